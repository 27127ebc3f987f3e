/** What clients are told of a job. */
import { RemoteWorkerError } from '../errors.js'
import type { FoundJob } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import type { Progress } from './watched-jobs.js'

/** Another text when something of the job has changed that its status tells; that its time has come does not count. */
export function versionOf({ state, attempts, runAt }: FoundJob, progress: Progress | undefined): string {
  const stage = state === 'scheduled' || state === 'ready' ? 'waiting' : state
  return `${stage} ${attempts} ${runAt} ${progress?.number ?? 0}`
}

/** As docs/PROTOCOL.md has it. */
export function encodeStatus(job: FoundJob, progress: Progress | undefined): Uint8Array {
  const { value: _, failure, ...info } = job
  const status = { ...info, version: versionOf(job, progress) }
  return encodeValue({
    ...status,
    ...(failure === undefined ? {} : { failure }),
    ...(progress === undefined ? {} : { progress: progress.value, progressNumber: progress.number }),
  })
}

/** What whoever waits for the result of a dead job gets. */
export function deadError(job: FoundJob): RemoteWorkerError {
  const { id, attempts, failure } = job
  const reason = failure === undefined ? 'nobody knows why' : failure.message
  return new RemoteWorkerError('WORKER_ERROR', `${titleOf(job)} is dead after ${attempts} attempts: ${reason}`, {
    // An attempt that the method has given back by `release` is not counted.
    executed: attempts === 0 ? 'maybe' : 'yes',
    details: { jobId: id, attempts },
    ...(failure === undefined ? {} : { remote: failure }),
  })
}

export function titleOf({ id, worker, workerKey, method, jobKey }: FoundJob): string {
  const instance = workerKey === '' ? worker : `${worker}[${workerKey}]`
  return `job ${id} (${instance}.${method} with the key ${JSON.stringify(jobKey)})`
}
