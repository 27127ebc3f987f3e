/** Checks a job before it is stored: what a store accepts must come back from the disk unchanged. */
import { InvalidArgument } from '../errors.js'
import type { NewJob } from './store.js'

/** Longest worker name, worker key, method or job key, in bytes of UTF-8. */
const MAX_NAME_BYTES = 65_535

const MAX_ATTEMPTS = 0xffff

export function checkNewJob(job: NewJob): void {
  checkName('worker', job.worker)
  checkName('workerKey', job.workerKey)
  checkName('method', job.method)
  checkName('jobKey', job.jobKey)
  if (job.jobKey === '') refuse('jobKey', 'is empty', 'give every queued job a key')
  checkRunAt(job.runAt)
  checkExpiry(job)
  const { whenTaken } = job
  if (whenTaken !== undefined && whenTaken !== 'replace' && whenTaken !== 'debounce') {
    refuse('whenTaken', `is ${whenTaken}`, "give 'replace', 'debounce' or nothing")
  }
  if (job.priority !== (job.priority | 0)) refuse('priority', `is ${job.priority}`, 'give a whole number of 32 bits')
  const { maxAttempts } = job
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > MAX_ATTEMPTS) {
    refuse('maxAttempts', `is ${maxAttempts}`, `give a whole number from 1 to ${MAX_ATTEMPTS}`)
  }
}

function checkExpiry({ expiresAt = 0, timeout = 0 }: NewJob): void {
  if (!(expiresAt >= 0 && expiresAt < Number.POSITIVE_INFINITY)) {
    refuse('expiresAt', `is ${expiresAt}`, 'give a time in ms since 1970, or 0 for never')
  }
  if (timeout !== timeout >>> 0) refuse('timeout', `is ${timeout}`, 'give whole ms of 32 bits, or 0 for none')
}

export function checkRunAt(runAt: number): void {
  if (!Number.isFinite(runAt)) refuse('runAt', `is ${runAt}`, 'give a time in ms since 1970')
}

function checkName(field: string, text: string): void {
  // A lone surrogate becomes U+FFFD in UTF-8, so that two different keys would be one after a restart.
  if (!text.isWellFormed()) refuse(field, 'holds a lone surrogate', 'give well-formed text')
  // No UTF-16 unit takes more than 3 bytes, so most texts need no count.
  if (text.length * 3 <= MAX_NAME_BYTES) return
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_NAME_BYTES) refuse(field, `has ${bytes} bytes`, `at most ${MAX_NAME_BYTES} are possible`)
}

function refuse(field: string, found: string, wanted: string): never {
  throw new InvalidArgument(`the job's ${field} ${found}; ${wanted}`, { details: { field } })
}
