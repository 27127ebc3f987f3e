/** What the queue keeps of one job, and of one worker instance's jobs. Internal to the queue's rules. */
import type { Heap } from './heap.js'
import type { JobCounts, JobFailure, JobState, NewJob, QueueName } from './store.js'

/** The event of a job that was accepted and is not yet durable. A job has at most one. */
export const Pending = { none: 0, enqueue: 1, claim: 2, finish: 3, settle: 4, remove: 5 } as const
export type Pending = (typeof Pending)[keyof typeof Pending]

/** Where a failed or released attempt leaves the job, once that is durable. */
export interface Settlement {
  readonly state: 'scheduled' | 'dead'
  readonly attempts: number
  readonly runAt: number
  readonly suspect: boolean
  /** Undefined: the failure of an earlier attempt, if any, stays the last one. */
  readonly failure: JobFailure | undefined
}

export interface Job {
  readonly id: number
  readonly queue: JobQueue
  readonly method: string
  readonly jobKey: string
  /** Holds the argument from `payloadStart` to `payloadEnd`; recovered jobs share larger pieces of memory. */
  readonly payload: Uint8Array
  readonly payloadStart: number
  readonly payloadEnd: number
  runAt: number
  readonly priority: number
  readonly maxAttempts: number
  readonly atMostOnce: boolean
  readonly enqueuedAt: number
  /** Starts so far; while active, the number of the current attempt. */
  attempts: number
  /** The last attempt ended with its host or with the supervisor. */
  suspect: boolean
  /** 'storing' until the enqueue is durable. */
  state: JobState | 'storing'
  pending: Pending
  settlement: Settlement | undefined
  failure: JobFailure | undefined
  /** Place in its queue's `ready` heap or in the heap of scheduled jobs. */
  slot: number
}

export type Counts = { -readonly [S in keyof JobCounts]: JobCounts[S] }

export interface JobQueue extends QueueName {
  /** Sets its keys apart from those of other queues. */
  readonly number: number
  /** How many of its keys are held. */
  keys: number
  readonly ready: Heap<Job>
  readonly counts: Counts
  /** The suspect job that runs now, alone. */
  alone: Job | undefined
  /** Is it in the list of queues that gained a claimable job? */
  gained: boolean
}

export function createJob(
  job: NewJob,
  id: number,
  queue: JobQueue,
  enqueuedAt: number,
  payloadStart = 0,
  payloadEnd = job.payload.length,
): Job {
  return {
    id,
    queue,
    method: job.method,
    jobKey: job.jobKey,
    payload: job.payload,
    payloadStart,
    payloadEnd,
    runAt: job.runAt,
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    atMostOnce: job.atMostOnce,
    enqueuedAt,
    attempts: 0,
    suspect: false,
    state: 'storing',
    pending: Pending.none,
    settlement: undefined,
    failure: undefined,
    slot: -1,
  }
}

export function zeroCounts(): Counts {
  return { scheduled: 0, ready: 0, active: 0, dead: 0 }
}

export function readyFirst(a: Job, b: Job): boolean {
  return a.priority === b.priority ? a.id < b.id : a.priority > b.priority
}

export function dueFirst(a: Job, b: Job): boolean {
  return a.runAt === b.runAt ? a.id < b.id : a.runAt < b.runAt
}
