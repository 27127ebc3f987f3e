/** What callers see of a job. */
import type { Job } from './job.js'
import type { ClaimedJob, JobFilter, JobInfo } from './store.js'

function payloadOf({ payload, payloadStart, payloadEnd }: Job): Uint8Array {
  const all = payloadStart === 0 && payloadEnd === payload.length
  return all ? payload : payload.subarray(payloadStart, payloadEnd)
}

export function claimedJob(job: Job): ClaimedJob {
  return {
    id: job.id,
    attempt: job.attempts,
    worker: job.queue.worker,
    workerKey: job.queue.workerKey,
    method: job.method,
    jobKey: job.jobKey,
    payload: payloadOf(job),
    runAt: job.runAt,
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    atMostOnce: job.atMostOnce,
    enqueuedAt: job.enqueuedAt,
    suspect: job.suspect,
  }
}

/** Undefined for a job that is not durable yet. */
export function jobInfo(job: Job): JobInfo | undefined {
  if (job.state === 'storing') return undefined
  const { worker, workerKey } = job.queue
  const { id, method, jobKey, state, priority, runAt, enqueuedAt, attempts, maxAttempts, failure } = job
  const info = { id, worker, workerKey, method, jobKey, state, priority, runAt, enqueuedAt, attempts, maxAttempts }
  return failure === undefined ? info : { ...info, failure }
}

export function matches(job: JobInfo, { worker, workerKey, jobKey, state }: JobFilter): boolean {
  return (
    (worker === undefined || job.worker === worker) &&
    (workerKey === undefined || job.workerKey === workerKey) &&
    (jobKey === undefined || job.jobKey === jobKey) &&
    (state === undefined || job.state === state)
  )
}
