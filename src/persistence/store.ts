/**
 * What the supervisor asks of a job store: small, asynchronous, in batches.
 *
 * Every implementation keeps the same rules (src/persistence/queue.ts) and passes the same contract
 * suite (test/contract/). Argument bytes and headers are opaque to a store: it keeps and returns them.
 */

/** A queue is one worker instance's jobs. `workerKey` is '' for the instance without a key. */
export interface QueueName {
  readonly worker: string
  readonly workerKey: string
}

/** A job to store. Times are wall-clock milliseconds since 1970. */
export interface NewJob extends QueueName {
  readonly method: string
  /** Unique per queue while a job with it is unfinished. */
  readonly jobKey: string
  /** The argument as CBOR, kept as it is. Owned by the store from the call on. */
  readonly payload: Uint8Array
  /** Not before this time; a time in the past means now. */
  readonly runAt: number
  /** Whole number, highest first. */
  readonly priority: number
  /** How often the job may be started, at least 1. */
  readonly maxAttempts: number
  /** Not started from this time on, in ms since 1970: then the job is dead, when its turn comes. 0 or absent: never. */
  readonly expiresAt?: number
  /** Milliseconds that one run may take, for whoever runs it. 0 or absent: as the worker has it. */
  readonly timeout?: number
  /**
   * When a job that waits has the key, it becomes this one, under its id and with all attempts: `'replace'` keeps its time,
   * `'debounce'` takes the new one. Absent: it stays as it is. One that runs always does.
   */
  readonly whenTaken?: WhenTaken | undefined
  /** Started at most once: its claim is on disk before it starts, and a crash leaves it dead. */
  readonly atMostOnce: boolean
}

type WhenTaken = 'replace' | 'debounce'

export interface Enqueued {
  /** The new job, or the unfinished one that has the key. A whole number, growing, unique in the store. */
  readonly id: number
  readonly created: boolean
  /** The unfinished job that has the key is now what was enqueued. */
  readonly replaced?: boolean
}

/** One start of one job: only the holder of the current attempt may settle it. */
export interface Attempt {
  readonly id: number
  /** 1 for the first start. */
  readonly attempt: number
}

/** An attempt that ended well. */
export interface Finished extends Attempt {
  /** What the method returned, as CBOR, for whoever asks for the result; empty or missing when that was nothing. */
  readonly value?: Uint8Array | undefined
  /** False: nothing is left of it, whatever the limits. */
  readonly kept?: boolean
}

export interface ClaimedJob extends NewJob, Attempt {
  readonly enqueuedAt: number
  /** An earlier attempt ended with its host or with the supervisor: see `docs/ARCHITECTURE.md`, suspects. */
  readonly suspect: boolean
}

/** A job that died without being started. */
export interface CondemnedJob extends QueueName {
  readonly id: number
  readonly failure: JobFailure
}

export interface JobFailure {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

export interface FailOptions {
  /** Its host ended while it ran: the job becomes a suspect. */
  readonly crashed?: boolean
  /** Milliseconds until the next attempt, in place of the store's backoff; `false`: there is none, the job is dead. */
  readonly retryIn?: number | false | undefined
}

/** What happened to a failed attempt. `stale`: it was no longer the current one, so nothing changed. */
export type FailOutcome =
  | { readonly state: 'retry'; readonly runAt: number }
  | { readonly state: 'dead' }
  | { readonly state: 'stale' }

/** What became of a dead job that should run again. `taken`: an unfinished job has its key. */
export type Revived = 'revived' | 'taken' | 'unknown'

/** A job is `finished` only as long as its result is kept. */
export type JobState = 'scheduled' | 'ready' | 'active' | 'dead' | 'finished'

export interface JobInfo extends QueueName {
  readonly id: number
  readonly method: string
  readonly jobKey: string
  readonly state: JobState
  readonly priority: number
  /** When it is due; of a dead job, when it died; of a finished one, when it was. */
  readonly runAt: number
  readonly enqueuedAt: number
  /** Starts so far. */
  readonly attempts: number
  readonly maxAttempts: number
  readonly expiresAt?: number
  readonly timeout?: number
  /** Why the last attempt ended, when it failed. */
  readonly failure?: JobFailure
}

/** One job: by its id, or the last one that had this key. */
export type JobRef = { readonly id: number } | (QueueName & { readonly jobKey: string })

export interface FoundJob extends JobInfo {
  /** Of a finished job: what its method returned, as CBOR; empty when that was nothing. */
  readonly value?: Uint8Array
}

export interface JobFilter {
  readonly worker?: string
  readonly workerKey?: string
  readonly jobKey?: string
  /** Without it: all but the finished ones. */
  readonly state?: JobState
  /** Only ids above this one: for paging, in the order of ids. */
  readonly after?: number
  /** At most this many (default 100). */
  readonly limit?: number
}

export interface JobCounts {
  readonly scheduled: number
  readonly ready: number
  readonly active: number
  readonly dead: number
}

export interface JobStoreEvents {
  /** The queue has at least one job that can be claimed now. */
  due(queue: QueueName): void
  /** A job that was to be claimed is dead instead, which is durable now: it expired, or what is kept of it is damaged. */
  condemned(job: CondemnedJob): void
  /** The store failed for good (a disk error): the supervisor ends with the error's exit code. */
  failed(error: Error): void
}

export interface JobStore {
  /** One line for the log at start: which store, where, what durability. */
  readonly description: string

  /** Resolves when every new job is durable, in the order given. Rejects with `StoreError`. */
  enqueue(jobs: readonly NewJob[]): Promise<Enqueued[]>

  /** Removes the unfinished job with this key unless it is running. True once the removal is durable. */
  remove(queue: QueueName, jobKey: string): Promise<boolean>

  /** Makes a job that waits due at `runAt`. True once that is durable; false for one that does not wait. */
  reschedule(id: number, runAt: number): Promise<boolean>

  /** Gives a dead job all its attempts again, due now. Resolves when that is durable. */
  revive(id: number): Promise<Revived>

  /**
   * Removes dead jobs: those that died before the time `before`, and of the others the oldest beyond `entries`; not more than
   * a thousand at a time. Resolves to how many, once the removal is durable.
   */
  discardDead(limits: { readonly before: number; readonly entries: number }): Promise<number>

  /** Removes a dead job, or one that waits. True once the removal is durable. */
  discard(id: number): Promise<boolean>

  /**
   * Claims up to `limit` due jobs of a queue, highest priority first, then lowest id. Resolves when the
   * claims are written (durable when one is `atMostOnce`), so that a job that kills the process is counted.
   * A suspect job is claimed alone: the result then holds just that one.
   *
   * Of jobs whose last attempt it is (or that are `atMostOnce`), at most `lastAttempts` (default `limit`) are
   * claimed: as many as can start at once. A crash ends a claimed one for good, so none should wait claimed.
   */
  claim(queue: QueueName, limit: number, lastAttempts?: number): Promise<ClaimedJob[]>

  /**
   * Ends jobs as done; resolves when durable, and then their results are, too, as long as the store keeps them. False for
   * an attempt that is not the current one.
   */
  finish(attempts: readonly Finished[]): Promise<boolean[]>

  /**
   * Records a failed attempt: back to the queue with backoff, or dead when its attempts are used up. Resolves when durable.
   */
  fail(attempt: Attempt, failure: JobFailure, options?: FailOptions): Promise<FailOutcome>

  /**
   * Puts a claimed job back, due at `runAt` (default now), and takes this attempt off its count when
   * `counted` is false (it never started). False for a stale attempt.
   */
  release(attempt: Attempt, options?: { runAt?: number; counted?: boolean }): Promise<boolean>

  /**
   * Makes jobs whose time has come claimable, with a `due` event for each queue that gained one.
   * Returns when the next job will be due, or undefined. Cheap: the dispatcher calls it at least every second.
   */
  sweep(): number | undefined

  /** When the next scheduled job will be due, or undefined. */
  nextDue(): number | undefined

  inspect(filter: JobFilter): Promise<JobInfo[]>
  /** Undefined when there is no such job (any more). A dead or finished one is found by its key when none has it now. */
  find(ref: JobRef): Promise<FoundJob | undefined>
  /** Calls `changed` after each event of this job that is durable (a claim: written), until the returned function is called. */
  watch(id: number, changed: () => void): () => void
  counts(queue?: QueueName): JobCounts

  /** Queues that have a claimable job: asked once after start. */
  dueQueues(): QueueName[]

  on<E extends keyof JobStoreEvents>(event: E, listener: JobStoreEvents[E]): void

  /** Writes what is pending, marks the store as closed cleanly, frees its lock. */
  close(): Promise<void>
}
