/**
 * What the rules of the queue do not need of a job: its names, its argument, its last failure. Each store keeps them
 * in its own way, under the number of the job's row.
 */
import type { JobFailure, NewJob } from '../store.js'

export interface JobBody {
  readonly method: string
  readonly jobKey: string
  /** The caller's own: it outlives the job. Of a finished job it is its value. */
  readonly payload: Uint8Array
  /** Wall clock, ms. */
  readonly enqueuedAt: number
  /** As of `NewJob`; 0 for none. */
  readonly expiresAt: number
  readonly timeout: number
}

export interface JobBodies {
  /** Keeps a new job. Its row is filled. */
  add(row: number, job: NewJob, now: number): void
  /** The enqueue of the job is durable. */
  stored(row: number): void
  /**
   * The job finishes in this attempt, at this time. `value` (in CBOR, empty for none) is kept as its body from `finished`
   * on; undefined when nothing is to be kept. Returns whether it is: a damaged body cannot tell whose value it is.
   */
  finishing(row: number, attempt: number, at: number, value: Uint8Array | undefined): boolean
  /** The end of a job whose value is kept is durable. Returns when it was. */
  finished(row: number): number
  /** Bytes that are kept of it. */
  bytes(row: number): number
  /** The last failure of the job, now durable. */
  failed(row: number, failure: JobFailure): void
  /** Keeps what is to replace the body, times and failure of the job in this row, from `replaced` on. */
  replacing(row: number, job: NewJob, now: number): void
  /** It has, durably; or it was refused, and nothing changes. The columns of the row say the rest. */
  replaced(row: number, done: boolean): void
  /** The job is gone; its row is still filled. */
  forget(row: number): void
  /** Is this the job's key? Asked when their hashes are the same. */
  hasKey(row: number, jobKey: string): boolean
  /** Undefined: it was damaged where it is kept. */
  read(row: number): JobBody | undefined
  /** Undefined: it was damaged, or there is none. */
  failure(row: number): JobFailure | undefined
}
