/** A queued job as a message for its worker, and what went wrong with it as the store keeps it. */
import type { OffstageError } from '../errors.js'
import type { ClaimedJob, JobFailure } from '../persistence/store.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'

/** The body that a CALL for this job would have. */
export function turnOf(job: ClaimedJob): Buffer {
  const e = envelope(Verb.CALL, job.worker, job.workerKey, job.method, job.jobKey)
  e.jobId = job.id
  e.attempt = job.attempt
  if (job.timeout !== undefined && job.timeout > 0) e.runTimeout = job.timeout
  const body = Buffer.allocUnsafe(envelopeBound(e) + job.payload.length)
  const at = writeEnvelope(body, 0, e)
  body.set(job.payload, at)
  return body.subarray(0, at + job.payload.length)
}

/** Why an attempt failed: the worker's own error where there is one. */
export function failureOf(error: OffstageError): JobFailure {
  const remote = 'remote' in error ? (error.remote as JobFailure | undefined) : undefined
  const { name, message, stack } = remote ?? { name: error.name, message: error.message }
  return stack === undefined ? { name, message } : { name, message, stack }
}
