/** What happens between a request and its arguments' check: see actors/checks/checker.ts. */
import { type OffstageError, RemoteWorkerError } from '../errors.js'
import type { NewJob } from '../persistence/store.js'
import type { Caller } from './caller.js'
import { asOffstageError } from './enqueuer.js'
import type { Registry } from './registry.js'

/** Goes on when the arguments fit their schemas; else the caller hears why they do not. */
export function whenFit(fit: Promise<unknown>, caller: Caller, corr: number, go: () => void): void {
  fit.then(go).catch((error: unknown) => caller.refuse(corr, asOffstageError(error)))
}

/** Rejects with what is wrong with the first job whose argument does not fit; undefined when there is nothing to check. */
export function fitAll(registry: Pick<Registry, 'checkerOf'>, jobs: readonly NewJob[]): Promise<unknown> | undefined {
  const checks = jobs.flatMap((job) => {
    const fit = registry.checkerOf(job.worker)?.check(job.method, job.payload)
    return fit === undefined ? [] : [fit.catch((error: OffstageError) => ({ job, error }))]
  })
  if (checks.length === 0) return undefined
  return Promise.all(checks).then((outcomes) => {
    const wrong = outcomes.find((outcome) => outcome !== undefined)
    if (wrong !== undefined) throw ofJob(wrong.job, wrong.error)
  })
}

/** One of many was refused: none is stored, and its key says which it was. */
function ofJob({ worker, jobKey }: NewJob, error: OffstageError): OffstageError {
  if (error.code !== 'BAD_ARGUMENT') return error
  const message = `the job ${JSON.stringify(jobKey)} of ${worker}: ${error.message}; none of these jobs was stored`
  return new RemoteWorkerError('BAD_ARGUMENT', message, { details: { ...error.details, worker, jobKey } })
}
