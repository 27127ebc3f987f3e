/**
 * A job store without a disk: the queue's rules and nothing else. For tests, and for a server that may
 * forget its jobs when it stops (`persistent_disabled`).
 */
import { StoreError } from '../../errors.js'
import { type Backoff, DEFAULT_BACKOFF } from '../backoff.js'
import { checkNewJob, checkRunAt } from '../new-job.js'
import { JobColumns } from '../queue/job-columns.js'
import type { KeepLimits } from '../queue/kept-jobs.js'
import { DISCARD_AT_A_TIME, Queue } from '../queue/queue.js'
import { QueueState } from '../queue/queue-state.js'
import type {
  Attempt,
  ClaimedJob,
  Enqueued,
  FailOptions,
  FailOutcome,
  Finished,
  FoundJob,
  JobCounts,
  JobFailure,
  JobFilter,
  JobInfo,
  JobRef,
  JobStore,
  JobStoreEvents,
  NewJob,
  QueueName,
  Revived,
} from '../store.js'
import { StoreEvents } from '../store-events.js'
import { MemoryBodies } from './bodies.js'

export interface MemoryStoreOptions {
  /** Wall-clock ms since 1970. */
  clock?: () => number
  /** In [0, 1). */
  random?: () => number
  backoff?: Partial<Backoff>
  /** Which results of finished jobs are kept. Default: none. */
  keep?: KeepLimits
}

export class MemoryStore implements JobStore {
  readonly description = 'jobs in memory only: they are lost when the server stops'
  readonly #queue: Queue
  readonly #events = new StoreEvents()
  readonly #clock: () => number
  #nextId = 1
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    this.#clock = options.clock ?? Date.now
    const backoff = { ...DEFAULT_BACKOFF, ...options.backoff }
    this.#queue = new Queue(new QueueState(new JobColumns(), new MemoryBodies(), 0), {
      backoff,
      random: options.random ?? Math.random,
      keep: options.keep,
    })
  }

  async enqueue(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    this.#checkOpen()
    for (const job of jobs) checkNewJob(job)
    const now = this.#clock()
    const results = jobs.map((job): Enqueued => {
      const id = this.#queue.enqueue(job, this.#nextId, now)
      const created = id === this.#nextId
      if (created) this.#nextId++
      const replaced = !created && this.#queue.taken === 'replaced'
      if (created || replaced) this.#queue.commit(id, now)
      return replaced ? { id, created, replaced } : { id, created }
    })
    this.#announce()
    return results
  }

  async remove(queue: QueueName, jobKey: string): Promise<boolean> {
    this.#checkOpen()
    const id = this.#queue.remove(queue, jobKey)
    if (id !== undefined) this.#commit(id)
    return id !== undefined
  }

  async reschedule(id: number, runAt: number): Promise<boolean> {
    this.#checkOpen()
    checkRunAt(runAt)
    return this.#commitIf(this.#queue.reschedule(id, runAt), id)
  }

  async revive(id: number): Promise<Revived> {
    this.#checkOpen()
    const revived = this.#queue.revive(id, this.#clock())
    this.#commitIf(revived === 'revived', id)
    return revived
  }

  async discardDead({ before, entries }: { before: number; entries: number }): Promise<number> {
    this.#checkOpen()
    const ids = this.#queue.discardDead(before, entries, DISCARD_AT_A_TIME)
    for (const id of ids) this.#commit(id)
    return ids.length
  }

  async discard(id: number): Promise<boolean> {
    this.#checkOpen()
    return this.#commitIf(this.#queue.discard(id), id)
  }

  async claim(queue: QueueName, limit: number, lastAttempts = limit): Promise<ClaimedJob[]> {
    this.#checkOpen()
    const now = this.#clock()
    const jobs = this.#queue.claim(queue, limit, now, lastAttempts)
    for (const { id } of jobs) this.#queue.commit(id, now)
    for (const condemned of this.#queue.takeCondemned()) {
      this.#queue.commit(condemned.id, now)
      queueMicrotask(() => this.#events.condemned(condemned))
    }
    this.#announce()
    return jobs
  }

  async finish(attempts: readonly Finished[]): Promise<boolean[]> {
    this.#checkOpen()
    const now = this.#clock()
    return attempts.map((attempt) => this.#commitIf(this.#queue.finish(attempt, now), attempt.id))
  }

  async fail(attempt: Attempt, failure: JobFailure, options?: FailOptions): Promise<FailOutcome> {
    this.#checkOpen()
    const outcome = this.#queue.fail(attempt, failure, this.#clock(), options)
    this.#commitIf(outcome.state !== 'stale', attempt.id)
    return outcome
  }

  async release(attempt: Attempt, options: { runAt?: number; counted?: boolean } = {}): Promise<boolean> {
    this.#checkOpen()
    const now = this.#clock()
    const released = this.#queue.release(attempt, options.runAt ?? now, options.counted ?? true, now)
    return this.#commitIf(released, attempt.id)
  }

  sweep(): number | undefined {
    this.#queue.sweep(this.#clock())
    this.#announce()
    return this.#queue.nextDue()
  }

  nextDue(): number | undefined {
    return this.#queue.nextDue()
  }

  async inspect(filter: JobFilter): Promise<JobInfo[]> {
    this.#checkOpen()
    return this.#queue.inspect(filter)
  }

  async find(ref: JobRef): Promise<FoundJob | undefined> {
    this.#checkOpen()
    return this.#queue.find(ref)
  }

  watch(id: number, changed: () => void): () => void {
    return this.#queue.watch(id, changed)
  }

  counts(queue?: QueueName): JobCounts {
    return this.#queue.counts(queue)
  }

  dueQueues(): QueueName[] {
    return this.#queue.claimable()
  }

  on<E extends keyof JobStoreEvents>(event: E, listener: JobStoreEvents[E]): void {
    this.#events.on(event, listener)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #commitIf(accepted: boolean, id: number): boolean {
    if (accepted) this.#commit(id)
    return accepted
  }

  #commit(id: number): void {
    this.#queue.commit(id, this.#clock())
    this.#announce()
  }

  /** After the caller's own answer, as a store with a disk would. */
  #announce(): void {
    const due = this.#queue.takeGained()
    if (due.length > 0) queueMicrotask(() => this.#closed || this.#events.due(due))
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the job store is closed: open a new one')
  }
}
