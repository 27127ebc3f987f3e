/** `middleMan.jobs`: what is in the queues. */
import { InvalidArgument } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { Call } from './call.js'
import { valuesOf } from './everywhere.js'
import { reach } from './instance-methods.js'
import { asBag, readServerOptions, text } from './options.js'
import type { Route } from './route.js'
import type { JobInfo } from './types.js'

export async function jobs(route: Route, options: unknown = {}): Promise<JobInfo[]> {
  const make = () => {
    const { worker, workerKey, jobKey, state, after, limit, ...rest } = asBag(options, 'jobs')
    if (workerKey !== undefined && worker === undefined) {
      throw new InvalidArgument('jobs has a workerKey and no worker: it takes both, or the worker alone')
    }
    const name = worker === undefined ? '' : text(worker, 'worker', 'jobs')
    const key = workerKey === undefined || workerKey === '' ? '' : text(workerKey, 'workerKey', 'jobs')
    const call = new Call(Verb.LIST_JOBS, name, key, '')
    const filter = { jobKey, state, after, limit, anyKey: workerKey === undefined ? true : undefined }
    const given = Object.entries(filter).filter(([, value]) => value !== undefined)
    call.payload = encodeValue(Object.fromEntries(given), 'jobs')
    return { call, host: readServerOptions(call, rest) }
  }
  const { outcomes, title } = await reach({ route }, make)
  const pages = valuesOf(outcomes, title) as { jobs: Omit<JobInfo, 'server'>[] }[]
  return pages.flatMap((page, i) => page.jobs.map((job) => ({ server: outcomes[i]!.server, ...job })))
}
