/** A job of the queue in the hands of a client: what it is at, what it comes to, how far it is, and how to take it back. */
import { DeadlineExceeded, RemoteWorkerError } from '../errors.js'
import { decodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { Call } from './call.js'
import { broadcast, type Outcome, valuesOf } from './everywhere.js'
import { isOver, type JobStatus, type SentStatus, statusOf } from './job-status.js'
import { asBag, readCommonOptions, timeOf } from './options.js'
import { placeKey } from './place.js'
import type { RequestOptions } from './request-options.js'
import type { Route } from './route.js'
import { serverOf } from './target.js'

/**
 * What became of `cancel`: the job was `removed` before it started; or it ran, was told to end, and has been `stopped`; or
 * it had `finished`, or was `dead`, before it could be; or it is `unknown` to the server.
 */
export type CancelOutcome = 'removed' | 'stopped' | 'finished' | 'dead' | 'unknown'

/** What became of `retry`: the dead job was `retried`; or an unfinished job has its key (`taken`); or it is not dead, but this. */
export type RetryOutcome = 'retried' | 'taken' | 'scheduled' | 'ready' | 'active' | 'finished' | 'unknown'

/** What became of `reschedule`: the job that waits is `rescheduled`; or it does not wait, but is this. */
export type RescheduleOutcome = 'rescheduled' | 'active' | 'dead' | 'finished' | 'unknown'

/** What became of `delete`: the job is `removed`; or it runs or has finished, or is `unknown` to the server. */
export type DeleteOutcome = 'removed' | 'active' | 'finished' | 'unknown'

/** What can be done with a job; R is what its method returns. */
export interface Job<R = unknown> {
  status(options?: RequestOptions): Promise<JobStatus>
  /**
   * Waits until the job has finished, and resolves to what its method returned. Rejects with `RemoteWorkerError` when it is
   * dead (`remote` is the last failure) or unknown to the server (NO_JOB), with `Cancelled` when it was removed or
   * cancelled, and with `DeadlineExceeded` after `timeout` milliseconds; the job goes on then. Asks again when the connection breaks.
   */
  result(options?: RequestOptions): Promise<R>
  /**
   * Removes the job when it waits. When it runs, the method's `signal` fires, and this resolves when it has ended: then the
   * job is not tried again, but one that returns all the same has finished.
   */
  cancel(options?: RequestOptions): Promise<CancelOutcome>
  /** Makes a job that waits due at `time`: a Date, an ISO time with its zone, or milliseconds since 1970; in the past means now. */
  reschedule(time: Date | string | number, options?: RequestOptions): Promise<RescheduleOutcome>
  /** Lets a dead job run again, now, with all its attempts; it has its key again. */
  retry(options?: RequestOptions): Promise<RetryOutcome>
  /** Removes a job that is dead, or waits; nothing of it is left then. */
  delete(options?: RequestOptions): Promise<DeleteOutcome>
  /**
   * What the worker tells with `this.progress(value)`: the latest value, then each that comes, but for those that are followed
   * by the next before anybody could ask. Ends when the job is over, however that was; `result()` says how.
   */
  progress(options?: RequestOptions): AsyncGenerator<unknown, void, undefined>
}

/** A job by its id, on the one server whose id that is. */
export class IdentifiedJob<R = unknown> implements Job<R> {
  readonly id: number
  /** Address of the server that has the job. */
  readonly server: string
  readonly #route: Route

  constructor(route: Route, id: number, server: string) {
    this.#route = route
    this.id = id
    this.server = server
  }

  async status(options?: RequestOptions): Promise<JobStatus> {
    return statusOf((await this.#ask(Verb.JOB, options)) as SentStatus | null, this.server)
  }

  async result(options?: RequestOptions): Promise<R> {
    return (await this.#ask(Verb.JOB_RESULT, options)) as R
  }

  async cancel(options?: RequestOptions): Promise<CancelOutcome> {
    return (await this.#ask(Verb.CANCEL_JOB, options)) as CancelOutcome
  }

  async reschedule(time: Date | string | number, options?: RequestOptions): Promise<RescheduleOutcome> {
    const call = this.#call(Verb.RESCHEDULE, options)
    call.runAt = timeOf(call, 'the new time', time)
    return (await this.#route.call(call)) as RescheduleOutcome
  }

  async retry(options?: RequestOptions): Promise<RetryOutcome> {
    return (await this.#ask(Verb.RETRY_JOB, options)) as RetryOutcome
  }

  async delete(options?: RequestOptions): Promise<DeleteOutcome> {
    return (await this.#ask(Verb.DELETE_JOB, options)) as DeleteOutcome
  }

  async *progress(options: RequestOptions = {}): AsyncGenerator<unknown, void, undefined> {
    const { timeout } = asBag(options, 'progress')
    let known = ''
    let last: number | undefined
    for (;;) {
      const sent = await this.#next(known, options, timeout === undefined)
      if (sent === undefined) continue
      if (sent === null) return
      if (sent.progress !== undefined && sent.progressNumber !== last) {
        last = sent.progressNumber
        yield decodeValue(sent.progress)
      }
      if (isOver(sent.state)) return
      known = sent.version
    }
  }

  /** The status when it is another one; undefined when there was none within the time that every call has. */
  async #next(known: string, options: RequestOptions, patient: boolean): Promise<SentStatus | null | undefined> {
    try {
      return (await this.#ask(Verb.JOB, options, known)) as SentStatus | null
    } catch (error) {
      if (patient && error instanceof DeadlineExceeded) return undefined
      throw error
    }
  }

  async #ask(verb: number, options: RequestOptions | undefined, known = ''): Promise<unknown> {
    const call = this.#call(verb, options)
    call.known = known
    return this.#route.call(call)
  }

  #call(verb: number, options: RequestOptions | undefined): Call {
    const call = new Call(verb, '', '', '')
    call.job = this.id
    readCommonOptions(call, options)
    call.to = serverOf(this.#route, this.server)
    return call
  }
}

/** What `enq…` resolves to. */
export class JobHandle<R = unknown> extends IdentifiedJob<R> {
  /** False: an unfinished job of that key was there already, and this is that one. */
  readonly created: boolean
  /** That job had not started, and is now what this call said: see the option `uniqueness`. */
  readonly replaced: boolean

  constructor(route: Route, id: number, created: boolean, replaced: boolean, server: string) {
    super(route, id, server)
    this.created = created
    this.replaced = replaced
  }
}

/** The job that has, or else had last, a key: found anew for each request, where the key belongs, then on the other servers. */
export class KeyedJob<R = unknown> implements Job<R> {
  readonly #route: Route
  readonly #name: { readonly worker: string; readonly workerKey: string; readonly jobKey: string }

  constructor(route: Route, worker: string, workerKey: string, jobKey: string) {
    this.#route = route
    this.#name = { worker, workerKey, jobKey }
  }

  async status(options?: RequestOptions): Promise<JobStatus> {
    const found = await this.#find(options)
    return found === undefined ? { state: 'unknown' } : statusOf(found.sent, found.server)
  }

  async result(options?: RequestOptions): Promise<R> {
    const job = await this.#job(options)
    if (job !== undefined) return job.result(options)
    const { worker, jobKey } = this.#name
    throw new RemoteWorkerError('NO_JOB', `no server knows a job of ${worker} with the key ${JSON.stringify(jobKey)}`)
  }

  async cancel(options?: RequestOptions): Promise<CancelOutcome> {
    return (await this.#job(options))?.cancel(options) ?? 'unknown'
  }

  async reschedule(time: Date | string | number, options?: RequestOptions): Promise<RescheduleOutcome> {
    return (await this.#job(options))?.reschedule(time, options) ?? 'unknown'
  }

  async retry(options?: RequestOptions): Promise<RetryOutcome> {
    return (await this.#job(options))?.retry(options) ?? 'unknown'
  }

  async delete(options?: RequestOptions): Promise<DeleteOutcome> {
    return (await this.#job(options))?.delete(options) ?? 'unknown'
  }

  async *progress(options?: RequestOptions): AsyncGenerator<unknown, void, undefined> {
    const job = await this.#job(options)
    if (job !== undefined) yield* job.progress(options)
  }

  async #job(options: RequestOptions | undefined): Promise<IdentifiedJob<R> | undefined> {
    const found = await this.#find(options)
    return found && new IdentifiedJob(this.#route, found.sent.id, found.server)
  }

  async #find(options: RequestOptions | undefined): Promise<{ sent: SentStatus; server: string } | undefined> {
    const route = this.#route
    const { worker, workerKey, jobKey } = this.#name
    const make = () => {
      const call = new Call(Verb.JOB, worker, workerKey, '')
      call.jobKey = jobKey
      call.place = placeKey(worker, workerKey, jobKey)
      readCommonOptions(call, options)
      return call
    }
    const first = make()
    const { links } = route
    const sent = (await route.call(first)) as SentStatus | null
    if (sent !== null) return { sent, server: first.server }
    const others = links.filter((link) => link.open && link.address.text !== first.server)
    if (others.length === 0) return undefined
    const outcomes = await broadcast(route, others, make)
    const found = outcomes.find(({ value }) => value !== undefined && value !== null)
    // That it is nowhere can be said only when all have been asked.
    if (found === undefined) valuesOf(withQueue(outcomes), first.title)
    return found && { sent: found.value as SentStatus, server: found.server }
  }
}

/** Without the servers that have no durable queue, and so no jobs. */
function withQueue(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.filter(({ error }) => error?.code !== 'STORE_DISABLED' && error?.code !== 'NO_WORKER')
}
