/**
 * What each verb of a CALL does. Arguments and results pass through as bytes; only the envelope is read.
 *
 * `docs/PROTOCOL.md` has the table of verbs, with their envelope fields and answers.
 */
import type { WorkerInfo } from '../actors/actor-options.js'
import { InvalidArgument, NoJobKey, type OffstageError, ProtocolError, StoreError } from '../errors.js'
import type { Enqueued, JobStore, NewJob } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import { type Envelope, envelope, Verb, WhenTaken } from '../wire/envelope.js'
import { LONGEST_KEY, MOST_ATTEMPTS } from '../wire/limits.js'
import { type BulkEntry, bulkEntries, settleEach } from './bulk-entries.js'
import type { CachedResults } from './cached-results.js'
import type { Caller } from './caller.js'
import { encodeEnqueuedEach, encodeEnqueuedMany } from './enqueued.js'
import { asOffstageError, Enqueuer } from './enqueuer.js'
import { fitAll, whenFit } from './fitting.js'
import type { JobLimits } from './job-limits.js'
import { encodeJobList, jobFilter } from './job-list.js'
import type { JobService } from './job-service.js'
import { ABOUT_A_JOB, checkTime } from './job-verbs.js'
import type { Logger } from './log.js'
import type { Registry } from './registry.js'
import { readAsked } from './schedule/asked.js'
import type { Schedules } from './schedules.js'
import { Unanswered } from './unanswered.js'

/** Milliseconds; a timer takes no more. */
const LONGEST_RUN = 0x7fff_ffff

const NULL = Uint8Array.of(0xf6)
const FALSE = Uint8Array.of(0xf4)
const TRUE = Uint8Array.of(0xf5)

export interface ServiceOptions {
  readonly registry: Registry
  /** Undefined when the durable queue is disabled. */
  readonly store: JobStore | undefined
  readonly results: Pick<CachedResults, 'get' | 'reset'>
  /** As `store`. */
  readonly limits: JobLimits | undefined
  readonly schedules: Schedules
  /** Undefined as well. */
  readonly jobs: JobService | undefined
  readonly attempts: number
  readonly log: Logger
  /** A job that is not due yet was stored. */
  readonly onScheduled: (runAt: number) => void
}

export class Service {
  readonly #options: ServiceOptions
  readonly #registry: Registry
  readonly #enqueuer: Enqueuer | undefined
  readonly #unanswered: Unanswered

  constructor(options: ServiceOptions) {
    this.#options = options
    this.#registry = options.registry
    this.#enqueuer = options.store === undefined ? undefined : new Enqueuer(options.store, options.onScheduled)
    this.#unanswered = new Unanswered(options.log, 'an asynchronous call')
  }

  /** CALL, apart from the rest because it is the hot one. */
  call(caller: Caller, corr: number, e: Envelope, body: Buffer): void {
    try {
      caller.check(e)
      const actor = this.#registry.instance(e.worker, e.workerKey)
      caller.remember(corr, actor, actor.send(body, e.method, e.timeout, caller, corr))
    } catch (error) {
      caller.refuse(corr, asOffstageError(error))
    }
  }

  serve(caller: Caller, corr: number, e: Envelope, body: Buffer): void {
    try {
      this.#serve(caller, corr, e, body)
    } catch (error) {
      caller.refuse(corr, asOffstageError(error))
    }
  }

  #serve(caller: Caller, corr: number, e: Envelope, body: Buffer): void {
    if (ABOUT_A_JOB.has(e.verb)) {
      // The job says whose it is: whether the caller may do this is looked at when it is found.
      this.#store()
      this.#options.jobs!.serve(caller, corr, e)
      return
    }
    caller.check(e)
    switch (e.verb) {
      case Verb.ASYNC: {
        const fit = this.#registry.checkerOf(e.worker)?.check(e.method, body.subarray(e.payloadAt))
        if (fit === undefined) this.#async(caller, corr, body, e)
        else {
          const heard = fit.catch((error: unknown) => this.#notTaken(e, error))
          whenFit(heard, caller, corr, () => this.#async(caller, corr, body, e))
        }
        break
      }
      case Verb.ENQUEUE: {
        const enqueuer = this.#enqueues()
        const job = this.#job(e, body, body.length)
        const fit = this.#registry.checkerOf(e.worker)?.check(e.method, job.payload)
        if (fit === undefined) enqueuer.add(job, caller, corr)
        else whenFit(fit, caller, corr, () => enqueuer.add(job, caller, corr))
        break
      }
      case Verb.ENQUEUE_MANY:
        this.#enqueueMany(caller, corr, body.subarray(e.payloadAt))
        break
      case Verb.ENQUEUE_EACH:
        reply(caller, corr, this.#enqueueEach(caller, body.subarray(e.payloadAt)), encodeEnqueuedEach)
        break
      case Verb.DEQUEUE:
        requireJobKey(e, 'dequeue')
        this.#registry.checkMethod(e.worker, e.method)
        reply(caller, corr, this.#store().remove(e, e.jobKey), yesOrNo)
        break
      case Verb.ASK_RESULT:
        this.#registry.checkWorker(e.worker)
        this.#askResult(caller, corr, e)
        break
      case Verb.RESET_RESULT:
        this.#resetResult(caller, corr, e, body.subarray(e.payloadAt))
        break
      case Verb.NEW_WORKER: {
        checkKeys(e)
        reply(caller, corr, this.#startNew(caller, e, body.subarray(e.payloadAt)), () => encodeValue(e.workerKey))
        break
      }
      case Verb.DELETE:
        reply(caller, corr, this.#remove(e), () => TRUE)
        break
      case Verb.WORKER_INFO:
        caller.answer(corr, encodeValue(this.#info(this.#registry.info(e.worker, e.workerKey))))
        break
      case Verb.ALL_WORKER_INFO:
        caller.answer(corr, encodeValue(this.#registry.allInfo().map((info) => this.#info(info))))
        break
      case Verb.PAUSE:
      case Verb.RESUME:
        this.#registry.checkWorker(e.worker)
        checkKeys(e)
        this.#store()
        reply(caller, corr, this.#options.limits!.pause(e, e.verb === Verb.PAUSE), yesOrNo)
        break
      case Verb.LIST_JOBS:
        if (e.worker !== '') this.#registry.checkWorker(e.worker)
        this.#listJobs(caller, corr, e, body.subarray(e.payloadAt))
        break
      case Verb.SCHEDULES:
        caller.answer(corr, encodeValue(this.#options.schedules.list()))
        break
      case Verb.PAUSE_SCHEDULE:
        reply(caller, corr, this.#options.schedules.pause(e), () => TRUE)
        break
      case Verb.RESUME_SCHEDULE:
        reply(caller, corr, this.#options.schedules.resume(e), () => TRUE)
        break
      case Verb.RUN_SCHEDULE:
        reply(caller, corr, this.#options.schedules.run(e), (fired) => encodeValue(fired))
        break
      default:
        throw new ProtocolError(`verb ${e.verb} is unknown to this server`)
    }
  }

  /** What is wrong with its schedules is said before anything is started. */
  async #startNew(caller: Caller, e: Envelope, data: Uint8Array): Promise<void> {
    const { worker, workerKey } = e
    const { schedules } = this.#options
    const asked = e.schedule.length === 0 ? [] : readAsked(e, e.schedule)
    // Who may not call a method may not have it called, either.
    for (const { method, persistent } of asked) {
      caller.check(envelope(persistent ? Verb.ENQUEUE : Verb.CALL, worker, workerKey, method))
    }
    if (asked.length > 0) this.#registry.checkWorker(worker)
    await schedules.check(asked)
    await this.#registry.startNew(worker, workerKey, data.length === 0 ? undefined : data)
    await schedules.begin(asked)
  }

  async #remove({ worker, workerKey }: Envelope): Promise<void> {
    this.#registry.instance(worker, workerKey)
    await this.#options.schedules.end({ worker, workerKey })
    await this.#registry.remove(worker, workerKey)
  }

  #async(caller: Caller, corr: number, body: Buffer, e: Envelope): void {
    try {
      this.#unanswered.send(this.#registry.instance(e.worker, e.workerKey), body, e)
    } catch (error) {
      this.#notTaken(e, error)
    }
    caller.accepted(corr)
  }

  /** The caller of an asynchronous call hears whether it was taken, and often does not listen: it goes to the log, too. */
  #notTaken(e: Envelope, error: unknown): never {
    this.#registry.deadLetters.add(e, asOffstageError(error))
    throw error
  }

  #askResult(caller: Caller, corr: number, e: Envelope): void {
    const value = this.#options.results.get(e, e.jobKey)
    if (value instanceof Promise) reply(caller, corr, value, (bytes) => bytes ?? NULL)
    else caller.answer(corr, value ?? NULL)
  }

  #resetResult(caller: Caller, corr: number, e: Envelope, value: Uint8Array): void {
    this.#registry.checkWorker(e.worker)
    checkKeys(e)
    const done = this.#options.results.reset(e, e.jobKey, value.length === 0 ? undefined : value)
    if (done === undefined) caller.answer(corr, TRUE)
    else reply(caller, corr, done, () => TRUE)
  }

  #enqueueMany(caller: Caller, corr: number, bytes: Buffer): void {
    const jobs: NewJob[] = []
    for (const { e, end } of bulkEntries(bytes)) {
      caller.check(e)
      jobs.push(this.#job(e, bytes, end, jobs.length))
    }
    const enqueuer = this.#enqueues()
    const fit = fitAll(this.#registry, jobs)
    const store = () => reply(caller, corr, enqueuer.many(jobs), encodeEnqueuedMany)
    if (fit === undefined) store()
    else whenFit(fit, caller, corr, store)
  }

  #enqueueEach(caller: Caller, bytes: Buffer): Promise<(Enqueued | OffstageError)[]> {
    const enqueuer = this.#enqueues()
    const read = async ({ e, end }: BulkEntry, index: number) => {
      caller.check(e)
      const job = this.#job(e, bytes, end, index)
      await this.#registry.checkerOf(job.worker)?.check(job.method, job.payload)
      return job
    }
    return settleEach(bytes, read, (jobs) => enqueuer.many(jobs))
  }

  /** With what calls it at certain times, and what waits in its queue, where there is that. */
  #info(info: WorkerInfo): object {
    const { store, limits, schedules } = this.#options
    const called = schedules.list(info)
    const facts = called.length === 0 ? info : { ...info, schedules: called }
    if (store === undefined || limits === undefined) return facts
    return { ...facts, jobs: store.counts(info), paused: limits.paused(info) }
  }

  #listJobs(caller: Caller, corr: number, e: Envelope, argument: Uint8Array): void {
    if (e.worker !== '') this.#registry.checkWorker(e.worker)
    const filter = jobFilter(e, argument)
    reply(caller, corr, this.#store().inspect(filter), (found) => encodeJobList(found, filter.limit))
  }

  /** The argument lies in `body`, behind the envelope and before `end`. */
  #job(e: Envelope, body: Buffer, end: number, index?: number): NewJob {
    requireJobKey(e, index === undefined ? 'enqueue' : `job ${index} of a bulk enqueue`)
    this.#registry.checkMethod(e.worker, e.method)
    // The store would refuse it, too, and with it the jobs of others that came in the same turn.
    checkKeys(e)
    if (e.attempts > MOST_ATTEMPTS) {
      throw new InvalidArgument(`attempts is ${e.attempts}; at most ${MOST_ATTEMPTS} are allowed`)
    }
    checkTime(e.runAt)
    if (e.expiresAt > 0) {
      checkTime(e.expiresAt)
      if (e.expiresAt <= e.runAt) throw new InvalidArgument('the job would expire before its time: it would never run')
    }
    if (e.runTimeout > LONGEST_RUN) {
      throw new InvalidArgument(`the time limit ${e.runTimeout} is over ${LONGEST_RUN} milliseconds`)
    }
    if (e.priority > 0x7fff_ffff || e.priority < -0x8000_0000) {
      throw new InvalidArgument(`the priority ${e.priority} is not a 32-bit whole number`)
    }
    return {
      worker: e.worker,
      workerKey: e.workerKey,
      method: e.method,
      jobKey: e.jobKey,
      payload: body.subarray(e.payloadAt, end),
      runAt: Math.max(e.runAt, 0),
      priority: e.priority,
      maxAttempts: e.attempts === 0 ? this.#attemptsOf(e) : e.attempts,
      expiresAt: e.expiresAt,
      timeout: e.runTimeout,
      whenTaken: whenTaken(e),
      atMostOnce: e.atMostOnce,
    }
  }

  #attemptsOf({ worker, method }: Envelope): number {
    return this.#registry.retryOf(worker, method)?.attempts ?? this.#options.attempts
  }

  #store(): JobStore {
    const { store } = this.#options
    if (store !== undefined) return store
    throw new StoreError(
      'STORE_DISABLED',
      'this server runs without a durable queue (persistent_disabled: true), so nothing can be enqueued there',
    )
  }

  #enqueues(): Enqueuer {
    this.#store()
    return this.#enqueuer!
  }
}

/** Of what is kept: keys of jobs, of instances and of cached results. */
function checkKeys({ jobKey, workerKey }: Envelope): void {
  const [what, key] = jobKey.length > LONGEST_KEY ? ['job', jobKey] : ['worker', workerKey]
  if (key.length <= LONGEST_KEY) return
  throw new InvalidArgument(`the ${what} key has ${key.length} characters; at most ${LONGEST_KEY} are allowed`)
}

function whenTaken({ whenTaken }: Envelope): NewJob['whenTaken'] {
  if (whenTaken === WhenTaken.KEEP) return undefined
  if (whenTaken === WhenTaken.REPLACE) return 'replace'
  if (whenTaken === WhenTaken.DEBOUNCE) return 'debounce'
  throw new InvalidArgument(`the rule for a taken key is ${whenTaken}: this server knows 0 to ${WhenTaken.DEBOUNCE}`)
}

function yesOrNo(value: boolean): Uint8Array {
  return value ? TRUE : FALSE
}

function requireJobKey(e: Envelope, what: string): void {
  if (e.jobKey === '') throw new NoJobKey(`${what} of ${e.worker}.${e.method} needs a job key`)
}

/** Answers when the promise settles. */
function reply<T>(caller: Caller, corr: number, promise: Promise<T>, encode: (value: T) => Uint8Array): void {
  promise.then(
    (value) => caller.answer(corr, encode(value)),
    (error: unknown) => caller.refuse(corr, asOffstageError(error)),
  )
}
