/**
 * Brings due jobs from the store to their workers and their outcomes back.
 *
 * - claims as many as a worker has room for, when one of its jobs becomes due or it gains room;
 * - wakes itself when the next job is due, and sweeps by a clock of its own besides, so that neither a jump of
 *   the clock nor a timer that was missed can strand a job;
 * - a method that returns finishes its job; one that throws is a failed attempt; a job that never started goes
 *   back without losing an attempt.
 */
import type { ReplySink } from '../actors/mailbox.js'
import type { OffstageError } from '../errors.js'
import type { Attempt, ClaimedJob, JobFailure, JobStore, QueueName } from '../persistence/store.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
import { asOffstageError } from './enqueuer.js'
import type { Logger } from './log.js'
import type { Registry } from './registry.js'

/** setTimeout takes no more than this; a later time is reached by setting it again. */
const LONGEST_TIMER = 2 ** 31 - 1

export interface DispatcherOptions {
  readonly store: JobStore
  readonly registry: Registry
  readonly log: Logger
  /** Until a released job is due again, in milliseconds. */
  readonly releaseDelay: number
  readonly now?: () => number
}

interface ActiveJob extends Attempt {
  readonly job: ClaimedJob
  /** `finish()` or `release()` was called in the method: what it returns or throws changes nothing more. */
  settled: boolean
}

interface Lane {
  readonly queue: QueueName
  claiming: boolean
  /** Something changed while a claim was under way. */
  again: boolean
}

export class Dispatcher implements ReplySink {
  readonly #store: JobStore
  readonly #registry: Registry
  readonly #log: Logger
  readonly #releaseDelay: number
  readonly #now: () => number
  readonly #lanes = new Map<string, Map<string, Lane>>()
  readonly #active = new Map<number, ActiveJob>()
  readonly #idle: (() => void)[] = []
  #finished: ActiveJob[] = []
  #settling = 0
  #lastTag = 0
  #timer: NodeJS.Timeout | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(options: DispatcherOptions) {
    this.#store = options.store
    this.#registry = options.registry
    this.#log = options.log
    this.#releaseDelay = options.releaseDelay
    this.#now = options.now ?? Date.now
  }

  start(): void {
    this.#store.on('due', (queue) => this.wake(queue))
    for (const queue of this.#store.dueQueues()) this.wake(queue)
    this.sweep()
  }

  /** Makes jobs claimable whose time has come, and sets the timer for the next. */
  sweep(): void {
    if (this.#stopped) return
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.expect(this.#store.sweep())
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
    const lane = this.#lane(queue)
    if (lane.claiming) lane.again = true
    else void this.#claim(lane)
  }

  /** Claims nothing more; resolves when every job that was running is settled in the store. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (this.#active.size === 0 && this.#settling === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  get active(): number {
    return this.#active.size
  }

  result(tag: number): void {
    const active = this.#take(tag)
    if (active === undefined || active.settled) return
    if (this.#finished.length === 0) setImmediate(() => this.#flush())
    this.#finished.push(active)
    this.#settling++
  }

  failed(tag: number, bytes: Buffer, start: number, end: number): void {
    const active = this.#take(tag)
    if (active !== undefined) this.#fail(active, decodeFailure(bytes.subarray(start, end)))
  }

  settle(tag: number, how: 'finish' | 'release', done: (current: boolean) => void): void {
    const active = this.#active.get(tag)
    if (active === undefined || active.settled) {
      done(false)
      return
    }
    active.settled = true
    const settled =
      how === 'finish' ? this.#store.finish([active]).then(([current]) => current === true) : this.#release(active)
    this.#record(settled, active, done)
  }

  async #release(active: ActiveJob): Promise<boolean> {
    const runAt = this.#now() + this.#releaseDelay
    const current = await this.#store.release(active, { runAt, counted: false })
    this.expect(runAt)
    return current
  }

  async #claim(lane: Lane): Promise<void> {
    lane.claiming = true
    try {
      do {
        lane.again = false
        const actor = this.#registry.find(lane.queue.worker, lane.queue.workerKey)
        const room = this.#stopped || actor === undefined ? 0 : actor.room
        if (room < 1) return
        const jobs = await this.#store.claim(lane.queue, room)
        for (const job of jobs) this.#send(job)
        // A full claim may have left more; when the worker still has room there is no other event to wait for.
        if (jobs.length === room) lane.again = true
      } while (lane.again)
    } catch (error) {
      if (!this.#stopped) this.#log.error({ err: error, ...lane.queue }, 'jobs could not be claimed')
    } finally {
      lane.claiming = false
    }
  }

  #send(job: ClaimedJob): void {
    const tag = ++this.#lastTag
    const active: ActiveJob = { id: job.id, attempt: job.attempt, job, settled: false }
    const actor = this.#stopped ? undefined : this.#registry.find(job.worker, job.workerKey)
    if (actor === undefined) {
      this.#putBack(active)
      return
    }
    this.#active.set(tag, active)
    try {
      actor.send(turnOf(job), job.method, -1, this, tag)
    } catch (error) {
      this.#active.delete(tag)
      this.#fail(active, asOffstageError(error))
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
      // It returned; only its value, which nobody waits for, could not be sent.
      this.#record(this.#store.finish([active]), active)
    } else if (error.executed === 'no' && error.code !== 'NO_METHOD') {
      this.#putBack(active)
    } else {
      const crashed = error.code === 'WORKER_CRASHED'
      this.#record(this.#store.fail(active, failureOf(error), crashed), active, (outcome) => {
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

  /** It never started. */
  #putBack(active: ActiveJob): void {
    this.#record(this.#store.release(active, { counted: false }), active)
  }

  #flush(): void {
    const finished = this.#finished
    this.#finished = []
    this.#settling -= finished.length
    this.#settling++
    this.#store
      .finish(finished)
      .catch((error: unknown) => this.#unsettled(error, finished[0]!.job))
      .finally(() => this.#settledOne())
  }

  #record<T>(outcome: Promise<T>, active: ActiveJob, done?: (value: T) => void): void {
    this.#settling++
    outcome.then(done, (error: unknown) => this.#unsettled(error, active.job)).finally(() => this.#settledOne())
  }

  /** The store has failed, and says so by its own event, which ends the supervisor; the claim stays on disk. */
  #unsettled(error: unknown, job: ClaimedJob): void {
    this.#log.error({ err: error, worker: job.worker, jobId: job.id }, 'the outcome of a job could not be stored')
  }

  #settledOne(): void {
    this.#settling--
    if (this.#stopped && this.#active.size === 0 && this.#settling === 0) {
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  #take(tag: number): ActiveJob | undefined {
    const active = this.#active.get(tag)
    this.#active.delete(tag)
    if (active?.settled) {
      // Its outcome may have been the last thing that `stop` waits for.
      this.#settling++
      setImmediate(() => this.#settledOne())
    }
    return active
  }

  #lane({ worker, workerKey }: QueueName): Lane {
    const byKey = this.#lanes.get(worker) ?? new Map<string, Lane>()
    this.#lanes.set(worker, byKey)
    const lane = byKey.get(workerKey) ?? { queue: { worker, workerKey }, claiming: false, again: false }
    byKey.set(workerKey, lane)
    return lane
  }
}

/** The body that a CALL for this job would have. */
function turnOf(job: ClaimedJob): Buffer {
  const e = envelope(Verb.CALL, job.worker, job.workerKey, job.method, job.jobKey)
  e.jobId = job.id
  e.attempt = job.attempt
  const body = Buffer.allocUnsafe(envelopeBound(e) + job.payload.length)
  const at = writeEnvelope(body, 0, e)
  body.set(job.payload, at)
  return body.subarray(0, at + job.payload.length)
}

function failureOf(error: OffstageError): JobFailure {
  const remote = 'remote' in error ? (error.remote as JobFailure | undefined) : undefined
  const { name, message, stack } = remote ?? { name: error.name, message: error.message }
  return stack === undefined ? { name, message } : { name, message, stack }
}
