/** `middleMan.job`: the handle of a job that somebody else has enqueued. */
import { InvalidArgument } from '../errors.js'
import { IdentifiedJob, type Job, KeyedJob } from './job.js'
import { asBag, show, text } from './options.js'
import type { Route } from './route.js'
import { serverOf } from './target.js'

/** What names a job: an id, which is one server's own, or the keys that it was enqueued with. */
export type JobName =
  | { id: number; server?: string | undefined }
  | { worker: string; workerKey?: string | undefined; jobKey: string }

export function findJob(route: Route, name: unknown, options: unknown): Job {
  if (typeof name === 'number') return byId(route, name, asBag(options ?? {}, 'job').server)
  if (options !== undefined) throw new InvalidArgument('job takes options only with an id: { server }')
  const bag = asBag(name, 'job')
  if (bag.id !== undefined) return byId(route, bag.id, bag.server)
  const workerKey = bag.workerKey === undefined || bag.workerKey === '' ? '' : text(bag.workerKey, 'workerKey')
  return new KeyedJob(route, text(bag.worker, 'worker'), workerKey, text(bag.jobKey, 'jobKey'))
}

function byId(route: Route, id: unknown, server: unknown): Job {
  if (!Number.isSafeInteger(id) || (id as number) < 1) {
    throw new InvalidArgument(`the id of a job is ${show(id)}: it has to be a whole number from 1`)
  }
  if (server !== undefined)
    return new IdentifiedJob(route, id as number, serverOf(route, text(server, 'server')).address.text)
  const { links } = route
  if (links.length === 1) return new IdentifiedJob(route, id as number, links[0]!.address.text)
  const names = links.map(({ address }) => address.text).join(', ')
  throw new InvalidArgument(`job ${id} may be on any of several servers: say which ({ server }; there are ${names})`)
}
