/**
 * A history: what clients asked of a job store and what they heard, what ran, and when it crashed. Recorded by
 * the simulation, or put together from the logs of clients and workers around a real process; checker.ts judges it.
 *
 * The order of the list is the order in time. An `invoke` stands before the call was made, its `ok`, `fail` or
 * `info` after the answer came, a `start` when the method was running already, an `end` before it was over. Where
 * logs are merged, by time on one machine, that is enough: the checker takes calls as intervals.
 */
import type { Attempt, Enqueued, FailOutcome, JobInfo, QueueName } from '#offstage/persistence/store.js'

/** A job as it was asked for. */
export interface WantedJob extends QueueName {
  readonly jobKey: string
  readonly method: string
  readonly runAt: number
  readonly priority: number
  readonly maxAttempts: number
  readonly atMostOnce: boolean
  /** Names this one request, unique in the history; the job's argument carries it, so a run can say it. */
  readonly token: string
}

/** A job as a claim gave it out. */
export interface IssuedJob extends Attempt, Omit<WantedJob, 'token'> {
  readonly suspect: boolean
  /** Read from the argument; undefined when the argument is not as it was asked for. */
  readonly token: string | undefined
}

export type Call =
  | { readonly op: 'enqueue'; readonly jobs: readonly WantedJob[] }
  | { readonly op: 'dequeue'; readonly queue: QueueName; readonly jobKey: string }
  | { readonly op: 'claim'; readonly queue: QueueName; readonly limit: number; readonly lastAttempts: number }
  | { readonly op: 'finish'; readonly attempts: readonly Attempt[] }
  | { readonly op: 'fail'; readonly attempt: Attempt; readonly crashed: boolean }
  | { readonly op: 'release'; readonly attempt: Attempt; readonly counted: boolean; readonly runAt: number | undefined }
  | { readonly op: 'close' }

export type Answer =
  | { readonly op: 'enqueue'; readonly jobs: readonly Enqueued[] }
  | { readonly op: 'dequeue'; readonly removed: boolean }
  | { readonly op: 'claim'; readonly jobs: readonly IssuedJob[] }
  | { readonly op: 'finish'; readonly current: readonly boolean[] }
  | { readonly op: 'fail'; readonly outcome: FailOutcome }
  | { readonly op: 'release'; readonly current: boolean }
  | { readonly op: 'close' }

export type HistoryEvent =
  | { readonly type: 'invoke'; readonly at: number; readonly call: number; readonly what: Call }
  | { readonly type: 'ok'; readonly at: number; readonly call: number; readonly answer: Answer }
  /** Certainly not done. */
  | { readonly type: 'fail'; readonly at: number; readonly call: number; readonly why: string }
  /** Nobody knows: no answer came, or one that says so. */
  | { readonly type: 'info'; readonly at: number; readonly call: number; readonly why: string }
  /** A method began to run. `run` is unique in the history. */
  | {
      readonly type: 'start'
      readonly at: number
      readonly run: string
      readonly id: number
      readonly attempt: number
      readonly token: string | undefined
    }
  /** It is over, whatever its outcome. A crash ends all that run. */
  | { readonly type: 'end'; readonly at: number; readonly run: string }
  /** `power`: what was written and not synced may be lost. */
  | { readonly type: 'crash'; readonly at: number; readonly power: boolean }
  /** The store is open and takes calls. */
  | { readonly type: 'open'; readonly at: number }
  /** It refused to open, other than by a fault that was injected. */
  | { readonly type: 'refused'; readonly at: number; readonly why: string }
  /** All jobs of the store, while no call is in flight. */
  | { readonly type: 'state'; readonly at: number; readonly jobs: readonly JobInfo[] }
  /** No more faults: from here on all that is due gets run. */
  | { readonly type: 'healed'; readonly at: number }

export type History = readonly HistoryEvent[]

export function queueOf({ worker, workerKey }: QueueName): string {
  return `${worker}/${workerKey}`
}

/** Unfinished jobs are unique by this. */
export function keyOf(job: QueueName & { readonly jobKey: string }): string {
  return `${queueOf(job)}/${job.jobKey}`
}
