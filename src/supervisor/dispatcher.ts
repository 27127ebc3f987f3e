/**
 * Brings due jobs from the store to their workers and their outcomes back.
 *
 * - claims as many as a worker has room for, when one of its jobs becomes due or it gains room;
 * - wakes itself when the next job is due, and sweeps by a clock of its own besides, so that neither a jump of
 *   the clock nor a timer that was missed can strand a job;
 * - a method that returns finishes its job; one that throws is a failed attempt; a job that never started goes
 *   back without losing an attempt;
 * - what the store refuses for now (the disk is full) is tried again with each sweep, so that neither an outcome
 *   nor a queue is forgotten.
 */
import type { Actor } from '../actors/actor.js'
import type { ReplySink } from '../actors/reply.js'
import { OffstageError } from '../errors.js'
import type { Backoff } from '../persistence/backoff.js'
import type { Attempt, ClaimedJob, JobStore, QueueName } from '../persistence/store.js'
import { decodeFailure } from '../wire/failure.js'
import { ownBytes } from '../wire/frame.js'
import { asOffstageError } from './enqueuer.js'
import type { JobLimits } from './job-limits.js'
import { failureOf, turnOf } from './job-turn.js'
import type { Logger } from './log.js'
import { nextAttemptIn } from './next-attempt.js'
import type { Registry } from './registry.js'
import type { WatchedJobs } from './watched-jobs.js'

/** In CBOR. */
const UNDEFINED = 0xf7

/** setTimeout takes no more than this; a later time is reached by setting it again. */
const LONGEST_TIMER = 2 ** 31 - 1

/** What keeps a job from starting for reasons that are not its own; any other failure is one of its attempts. */
const NOT_ITS_OWN = new Set(['WORKER_STOPPED', 'OVERLOADED', 'CANCELLED'])

export interface DispatcherOptions {
  readonly store: JobStore
  readonly registry: Registry
  readonly limits: JobLimits
  readonly watched: WatchedJobs
  readonly log: Logger
  /** Until a released job is due again, in milliseconds. */
  readonly releaseDelay: number
  /** For what the retry policy of a method leaves open. */
  readonly backoff: Backoff
  readonly random?: () => number
  readonly now?: () => number
}

/** Hears of each start of a job, and of what came of it; `failure.executed` is `no` when it had not started after all. */
export interface JobWatch {
  began(job: ClaimedJob): void
  ended(job: ClaimedJob, failure: OffstageError | undefined): void
}

interface ActiveJob extends Attempt {
  readonly job: ClaimedJob
  /** `finish()` or `release()` was called in the method: what it returns or throws changes nothing more. */
  settled: boolean
  /** What it returned, in CBOR; undefined for nothing. */
  value: Uint8Array | undefined
  /** Who runs it, and its number there. */
  actor: Actor | undefined
  message: number
  /** Nobody wants it any more: when this attempt does not finish it, it is forgotten. */
  cancelled: boolean
}

/** A queue that is being claimed from. */
interface Lane {
  readonly queue: QueueName
  /** Something changed while a claim was under way. */
  again: boolean
}

export class Dispatcher implements ReplySink {
  readonly queued = true
  readonly #store: JobStore
  readonly #registry: Registry
  readonly #limits: JobLimits
  readonly #watched: WatchedJobs
  readonly #log: Logger
  readonly #releaseDelay: number
  readonly #backoff: Backoff
  readonly #random: () => number
  readonly #now: () => number
  readonly #lanes = new Map<string, Map<string, Lane>>()
  readonly #active = new Map<number, ActiveJob>()
  readonly #idle: (() => void)[] = []
  /** What waits for the next sweep to be tried again. */
  #refused: (() => void)[] = []
  #finished: ActiveJob[] = []
  /** Claims and outcomes that are on their way to the store or wait for it. */
  #storing = 0
  #watch: JobWatch | undefined
  #lastTag = 0
  #timer: NodeJS.Timeout | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(options: DispatcherOptions) {
    this.#store = options.store
    this.#registry = options.registry
    this.#limits = options.limits
    this.#watched = options.watched
    this.#log = options.log
    this.#releaseDelay = options.releaseDelay
    this.#backoff = options.backoff
    this.#random = options.random ?? Math.random
    this.#now = options.now ?? Date.now
  }

  start(): void {
    this.#store.on('due', (queue) => this.wake(queue))
    this.#store.on('condemned', ({ id: jobId, failure, ...queue }) => {
      this.#log.error(
        { ...queue, jobId, failure: failure.name },
        `a job is dead and was not started: ${failure.message}`,
      )
    })
    for (const queue of this.#store.dueQueues()) this.wake(queue)
    this.sweep()
  }

  watch(watch: JobWatch): void {
    this.#watch = watch
  }

  /** Makes jobs claimable whose time has come, and sets the timer for the next. */
  sweep(): void {
    if (this.#stopped) return
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.expect(this.#store.sweep())
    this.#tryAgain()
  }

  /** A job will be due at `runAt`: wakes up then. */
  expect(runAt: number | undefined): void {
    if (this.#stopped || runAt === undefined || runAt >= this.#wakeAt) return
    this.#wakeAt = runAt
    clearTimeout(this.#timer)
    const wait = Math.min(Math.max(runAt - this.#now(), 0), LONGEST_TIMER)
    this.#timer = setTimeout(() => this.sweep(), wait)
  }

  /** A queue has a due job, or its worker gained room. */
  wake(queue: QueueName): void {
    const lane = this.#lanes.get(queue.worker)?.get(queue.workerKey)
    if (lane !== undefined) lane.again = true
    else if (this.#room(queue) > 0) void this.#claim(this.#openLane(queue))
  }

  /** Claims nothing more; resolves when every job that was claimed is settled in the store, or back in it. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#limits.stop()
    this.#tryAgain()
    if (this.#active.size === 0 && this.#storing === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  result(tag: number, bytes: Buffer, start: number, end: number): void {
    const active = this.#take(tag)
    if (active === undefined) return
    this.#watch?.ended(active.job, undefined)
    if (active.settled) return
    const nothing = end === start + 1 && bytes[start] === UNDEFINED
    if (!nothing) active.value = ownBytes(bytes, start, end)
    if (this.#finished.length === 0) setImmediate(() => this.#flush())
    this.#finished.push(active)
    this.#storing++
  }

  failed(tag: number, bytes: Buffer, start: number, end: number): void {
    const active = this.#take(tag)
    if (active === undefined) return
    const error = decodeFailure(bytes.subarray(start, end))
    this.#watch?.ended(active.job, error)
    this.#fail(active, error)
  }

  settle(tag: number, how: 'finish' | 'release', done: (current: boolean) => void): void {
    const active = this.#active.get(tag)
    if (active === undefined || active.settled) {
      done(false)
      return
    }
    active.settled = true
    const settle = async () => {
      if (how === 'finish') return (await this.#finish([active]))[0] === true
      const runAt = this.#now() + this.#releaseDelay
      const current = await this.#store.release(active, { runAt, counted: false })
      this.expect(runAt)
      return current
    }
    this.#record(settle, active, done, () => done(false))
  }

  progress(tag: number, bytes: Buffer, start: number, end: number): void {
    const active = this.#active.get(tag)
    if (active !== undefined) this.#watched.progressed(active.id, ownBytes(bytes, start, end))
  }

  /**
   * Tells the method that runs the job to end, as its caller would; when it does not finish the job all the same, nothing
   * is left of that. False: nobody is there to be told, because the job is on its way.
   */
  cancel(id: number): boolean {
    for (const active of this.#active.values()) {
      if (active.id !== id || active.settled || active.actor === undefined) continue
      if (!active.cancelled) {
        active.cancelled = true
        active.actor.cancel(active.message)
      }
      return true
    }
    return false
  }

  async #claim(lane: Lane): Promise<void> {
    const { queue } = lane
    this.#storing++
    try {
      do {
        lane.again = false
        const room = this.#room(queue)
        if (room < 1) break
        const free = this.#registry.find(queue.worker, queue.workerKey)?.free ?? 0
        const jobs = await this.#store.claim(queue, room, free)
        this.#limits.claimed(queue, jobs.length)
        for (const job of jobs) this.#send(job)
        // A full claim may have left more; when the worker still has room there is no other event to wait for.
        if (jobs.length === room) lane.again = true
      } while (lane.again)
    } catch (error) {
      if (!this.#stopped) this.#log.error({ err: error, ...queue }, 'jobs could not be claimed')
      if (isForNow(error)) this.#refused.push(() => this.wake(queue))
    }
    this.#closeLane(queue)
    this.#stored()
  }

  #room(queue: QueueName): number {
    const actor = this.#stopped ? undefined : this.#registry.find(queue.worker, queue.workerKey)
    return actor === undefined ? 0 : this.#limits.allowed(queue, actor.room)
  }

  #send(job: ClaimedJob): void {
    const tag = ++this.#lastTag
    const { id, attempt } = job
    const active: ActiveJob = {
      id,
      attempt,
      job,
      settled: false,
      value: undefined,
      actor: undefined,
      message: 0,
      cancelled: false,
    }
    const actor = this.#stopped ? undefined : this.#registry.find(job.worker, job.workerKey)
    if (actor === undefined) {
      this.#putBack(active)
      return
    }
    this.#active.set(tag, active)
    this.#watch?.began(job)
    try {
      active.message = actor.send(turnOf(job), job.method, -1, this, tag, job.timeout)
      active.actor = actor
    } catch (error) {
      this.#active.delete(tag)
      const refused = asOffstageError(error)
      this.#watch?.ended(job, refused)
      this.#fail(active, refused)
    }
  }

  #fail(active: ActiveJob, error: OffstageError): void {
    const { worker, workerKey, method, jobKey } = active.job
    const fields = { worker, workerKey, method, jobKey, jobId: active.id, attempt: active.attempt }
    if (active.settled) {
      this.#log.warn({ ...fields, code: error.code }, `a job failed after it was settled: ${error.message}`)
      return
    }
    if (error.code === 'RESULT_NOT_ENCODABLE') {
      // It returned; only its value could not be sent.
      this.#log.warn(fields, `a job is done, but has no result: ${error.message}`)
      this.#record(() => this.#finish([active]), active)
    } else if (active.cancelled) {
      this.#forget(active)
    } else if (error.executed === 'no' && NOT_ITS_OWN.has(error.code)) {
      this.#putBack(active)
    } else {
      const crashed = error.code === 'WORKER_CRASHED'
      const { backoffError } = error.details
      if (backoffError !== undefined)
        this.#log.error(fields, `the backoff of ${worker}.${method} failed: ${backoffError}`)
      const policy = this.#registry.retryOf(worker, method)
      const retryIn = nextAttemptIn(policy, active.attempt, error, this.#backoff, this.#random)
      const fail = () => this.#store.fail(active, failureOf(error), { crashed, retryIn })
      this.#record(fail, active, (outcome) => {
        if (outcome.state === 'retry') {
          this.expect(outcome.runAt)
          const runAt = new Date(outcome.runAt).toISOString()
          this.#log.warn({ ...fields, code: error.code, runAt }, `a job failed and is tried again: ${error.message}`)
        } else if (outcome.state === 'dead') {
          this.#log.error({ ...fields, code: error.code }, `a job failed for the last time: ${error.message}`)
        }
      })
    }
  }

  async #finish(jobs: readonly ActiveJob[]): Promise<boolean[]> {
    const stored = this.#watched.ending(jobs)
    const current = await this.#store.finish(jobs).finally(stored)
    for (let i = 0; i < jobs.length; i++) if (current[i]) this.#watched.ended(jobs[i]!.id, jobs[i]!)
    return current
  }

  /** It was cancelled, and has ended without being done: nothing is left of it. */
  #forget(active: ActiveJob): void {
    const { id, attempt, job } = active
    const { worker, workerKey, method, jobKey } = job
    this.#record(
      () => this.#store.finish([{ id, attempt, kept: false }]),
      active,
      ([current]) => {
        if (!current) return
        this.#watched.ended(id, 'cancelled')
        this.#log.info({ worker, workerKey, method, jobKey, jobId: id, attempt }, 'a job was cancelled while it ran')
      },
    )
  }

  /** It never started. */
  #putBack(active: ActiveJob): void {
    this.#record(() => this.#store.release(active, { counted: false }), active)
  }

  #flush(): void {
    const finished = this.#finished
    this.#finished = []
    this.#storing -= finished.length
    this.#record(() => this.#finish(finished), finished[0]!)
  }

  /** Stores an outcome; `unstored` is called when that failed for good. */
  #record<T>(store: () => Promise<T>, active: ActiveJob, stored?: (value: T) => void, unstored?: () => void): void {
    this.#storing++
    const attempt = () =>
      store()
        .then(stored, failed)
        .finally(() => this.#stored())
    const failed = (error: unknown) => {
      if (isForNow(error) && !this.#stopped) {
        if (this.#refused.length === 0) this.#log.warn({ err: error }, 'the outcome of a job waits for the store')
        this.#storing++
        this.#refused.push(() => void attempt())
        return
      }
      // The store has failed, and says so by its own event, which ends the supervisor; the claim stays on disk.
      const { worker, id: jobId } = active.job
      this.#log.error({ err: error, worker, jobId }, 'the outcome of a job could not be stored')
      unstored?.()
    }
    void attempt()
  }

  #tryAgain(): void {
    const refused = this.#refused
    this.#refused = []
    for (const attempt of refused) attempt()
  }

  #stored(): void {
    this.#storing--
    if (this.#stopped && this.#active.size === 0 && this.#storing === 0) {
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  #take(tag: number): ActiveJob | undefined {
    const active = this.#active.get(tag)
    this.#active.delete(tag)
    if (active?.settled) {
      // Its outcome may have been the last thing that `stop` waits for.
      this.#storing++
      setImmediate(() => this.#stored())
    }
    return active
  }

  #openLane({ worker, workerKey }: QueueName): Lane {
    const lane = { queue: { worker, workerKey }, again: false }
    const byKey = this.#lanes.get(worker)
    if (byKey === undefined) this.#lanes.set(worker, new Map([[workerKey, lane]]))
    else byKey.set(workerKey, lane)
    return lane
  }

  #closeLane({ worker, workerKey }: QueueName): void {
    this.#lanes.get(worker)?.delete(workerKey)
  }
}

/** The store refused this one, and may take it later. */
function isForNow(error: unknown): boolean {
  return error instanceof OffstageError && error.retryable
}
