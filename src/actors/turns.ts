/**
 * The turns of one actor, in its host: they start in order, `concurrency` at a time. A method that returns a
 * plain value is done at once, without a promise.
 *
 * Without a break, turns run for at most a slice; then what is done is sent and the event loop gets a turn,
 * so that cancellations, timers and sockets are heard while a full batch is worked off.
 */

import { Cancelled, DeadlineExceeded, type OffstageError, RemoteWorkerError, ResultStorageError } from '../errors.js'
import { decodeValue } from '../wire/codec.js'
import { readEnvelope } from '../wire/envelope.js'
import { describeThrown } from '../wire/failure.js'
import { BY_CALLER, BY_DEADLINE, type Call, calls } from './call.js'
import type { WorkerDescription } from './description.js'
import { Fifo } from './fifo.js'
import type { Gauge } from './gauge.js'
import { limitsOf, shorter } from './limits.js'
import { monotonic } from './messages.js'
import type { Method } from './methods.js'
import type { BackoffFunction } from './retry-policy.js'
import { NotCalled } from './schemas.js'

const SLICE_MS = 1
/** Milliseconds: a year. A longer pause between attempts is taken for a mistake. */
const LONGEST_PAUSE = 366 * 86_400_000

/** Where answers go. */
export interface TurnOutput {
  result(call: Call, value: unknown): void
  failed(call: Call, error: OffstageError): void
  /** A call that runs was told to end. */
  told(call: Call): void
  /** The turn of a call that the supervisor has answered, or of a task, has ended. */
  ended(call: Call, thrown: unknown): void
  /** Sends what is there now: a slice is over. */
  flush(): void
}

export class Turns {
  /** No turn starts while this is false: the instance is not made yet. */
  open = false
  /** Inside `work`, which ends with a flush. */
  working = false
  readonly #concurrency: number
  readonly #limits: ReadonlyMap<string, number>
  readonly #methods: ReadonlyMap<string, Method>
  readonly #instance: object
  readonly #gauge: Gauge
  readonly #output: TurnOutput
  readonly #backoffs: ReadonlyMap<string, BackoffFunction>
  readonly #queue = new Fifo<Call>()
  /** Calls whose promise is pending, by message number, for CANCEL. */
  readonly #pending = new Map<number, Call>()
  /** Calls whose method has returned, and whose answer waits until what they have cached is kept. */
  readonly #unstored = new Map<number, Call>()
  #running = 0
  #inRun = false
  #resuming = false
  #sliceEnd = 0
  #markedAt = 0
  #completed = 0
  /** The worker's code was called since the gauge was brought up to date. */
  #called = false
  #whenIdle: (() => void)[] = []

  constructor(
    worker: WorkerDescription,
    methods: ReadonlyMap<string, Method>,
    instance: object,
    gauge: Gauge,
    output: TurnOutput,
    backoffs: ReadonlyMap<string, BackoffFunction>,
  ) {
    this.#concurrency = worker.concurrency
    this.#limits = limitsOf(worker)
    this.#methods = methods
    this.#instance = instance
    this.#gauge = gauge
    this.#output = output
    this.#backoffs = backoffs
  }

  /** Takes a call into the queue; `work` starts it. */
  add(call: Call): void {
    if (this.#running === 0 && this.#queue.length === 0) this.#markedAt = performance.now()
    this.#queue.push(call)
  }

  /** Starts what may start. To be called once per event-loop turn that brought work. */
  work(): void {
    this.#sliceEnd = performance.now() + SLICE_MS
    this.working = true
    this.#run()
    this.working = false
    this.#output.flush()
  }

  cancel(corr: number, overdue: boolean): void {
    const why = overdue ? BY_DEADLINE : BY_CALLER
    const running = this.#pending.get(corr)
    if (running !== undefined) {
      running.cancel(why)
      // The supervisor has answered it, unless the caller is the queue, which must not hear of an end before there is one.
      if (overdue && running.jobId === 0) running.answered = true
      this.#output.told(running)
      return
    }
    const unstored = this.#unstored.get(corr)
    if (unstored !== undefined) {
      unstored.cancel(why)
      this.#abandon(unstored, overdue)
      return
    }
    const waiting = this.#queue.find((call) => call.corr === corr && call.task === undefined)
    if (waiting === undefined || waiting.answered) return
    waiting.cancel(why)
    this.#fail(waiting, this.#refusal(waiting))
  }

  /** Forgets the messages that have not started: they run in another host. */
  leave(): void {
    for (let left = this.#queue.length; left > 0; left--) {
      const call = this.#queue.shift()!
      if (call.task !== undefined) this.#queue.push(call)
    }
  }

  /** Tells every running call that its time is over. */
  abort(): void {
    for (const call of this.#pending.values()) call.cancel(BY_CALLER)
  }

  /** Calls `idle` when no turn waits or runs; at once if that is so now. */
  whenIdle(idle: () => void): void {
    this.#whenIdle.push(idle)
    this.#checkIdle()
  }

  #run(): void {
    if (this.#inRun || !this.open) return
    this.#inRun = true
    while (this.#running < this.#concurrency) {
      const call = this.#queue.shift()
      if (call === undefined) break
      this.#start(call)
      if (this.#queue.length > 0 && this.#running < this.#concurrency && performance.now() > this.#sliceEnd) {
        this.#resume()
        break
      }
    }
    this.#inRun = false
    this.#checkIdle()
  }

  #start(call: Call): void {
    const now = monotonic()
    if (call.task === undefined) {
      this.#gauge.take(call.corr, now, this.#limits.size > 0)
      if (call.answered) return
      if (call.deadline > 0 && monotonic() >= call.deadline) {
        call.cancel(BY_DEADLINE)
        this.#fail(call, this.#refusal(call))
        return
      }
    }
    if (call.task !== undefined) this.#gauge.begin(call.corr, now)
    this.#called = true
    this.#running++
    let value: unknown
    let later: boolean
    try {
      value = call.task === undefined ? this.#invoke(call, now) : calls.run(call, call.task)
      later = isThenable(value)
    } catch (thrown) {
      this.#rejected(call, thrown)
      return
    }
    if (!later) {
      this.#returned(call, value)
      return
    }
    if (call.task === undefined) this.#pending.set(call.corr, call)
    // A thenable that is not a promise may call back at once or twice: Promise.resolve tames it.
    const promise = value instanceof Promise ? value : Promise.resolve(value)
    promise.then(
      (result) => this.#settled(call, result, false),
      (thrown) => this.#settled(call, thrown, true),
    )
  }

  #invoke(call: Call, now: number): unknown {
    const { bytes, end } = call
    const envelope = readEnvelope(bytes, call.start, end)
    call.method = envelope.method
    call.jobKey = envelope.jobKey
    call.jobId = envelope.jobId
    call.attempt = envelope.attempt
    const method = this.#methods.get(envelope.method)
    if (method === undefined) {
      throw new RemoteWorkerError('NO_METHOD', `the worker has no method ${JSON.stringify(envelope.method)}`)
    }
    let argument: unknown
    if (envelope.payloadAt < end) {
      try {
        argument = decodeValue(bytes, envelope.payloadAt, end)
      } catch (error) {
        throw new RemoteWorkerError(
          'BAD_ARGUMENT',
          `the argument of ${envelope.method} cannot be read: ${error instanceof Error ? error.message : error}`,
        )
      }
    }
    const limit = shorter(envelope.runTimeout, this.#limits.get(envelope.method))
    if (limit > 0) call.deadline = call.deadline === 0 ? now + limit : Math.min(call.deadline, now + limit)
    call.dropBytes()
    call.called = true
    return calls.run(call, apply, method, this.#instance, argument)
  }

  #settled(call: Call, outcome: unknown, rejected: boolean): void {
    this.#pending.delete(call.corr)
    if (rejected) this.#rejected(call, outcome)
    else this.#returned(call, outcome)
    if (this.#queue.length === 0) this.#checkIdle()
    else if (performance.now() < this.#sliceEnd) this.#run()
    else this.#resume()
  }

  #returned(call: Call, value: unknown): void {
    this.#end(call)
    if (call.task !== undefined || call.answered) this.#output.ended(call, undefined)
    else if (call.unstored === 0) this.#answer(call, value)
    else {
      this.#unstored.set(call.corr, call)
      call.whenStored = () => {
        this.#unstored.delete(call.corr)
        this.#answer(call, value)
        this.#checkIdle()
      }
    }
  }

  #answer(call: Call, value: unknown): void {
    if (call.storeError !== undefined) {
      this.#fail(call, notKept(call.method, call.storeError))
      return
    }
    call.answered = true
    this.#output.result(call, value)
  }

  /** The caller does not wait until what the method has cached is kept. */
  #abandon(call: Call, overdue: boolean): void {
    this.#unstored.delete(call.corr)
    call.whenStored = undefined
    if (overdue && call.jobId === 0) {
      call.answered = true
      this.#output.ended(call, undefined)
    } else this.#fail(call, this.#failure(call, undefined))
    this.#checkIdle()
  }

  #rejected(call: Call, thrown: unknown): void {
    this.#end(call)
    if (call.task !== undefined) this.#output.ended(call, thrown ?? new Error(`${call.method} failed with ${thrown}`))
    else if (call.answered) this.#output.ended(call, undefined)
    else if (!call.called) this.#fail(call, thrown as OffstageError)
    else if (thrown instanceof NotCalled) this.#fail(call, thrown.error)
    else this.#fail(call, this.#failure(call, thrown))
  }

  #end(call: Call): void {
    call.ended = true
    this.#running--
    this.#completed++
  }

  #fail(call: Call, error: OffstageError): void {
    if (call.answered) return
    call.answered = true
    this.#output.failed(call, error)
  }

  /** What the caller hears of a method that threw: when it was told to stop, that is why. */
  #failure(call: Call, thrown: unknown): OffstageError {
    if (call.cancelled === BY_CALLER) return new Cancelled(`${call.method} was cancelled`, { executed: 'maybe' })
    if (call.cancelled === BY_DEADLINE) return overdueError(call.method, 'maybe')
    const remote = describeThrown(thrown)
    return new RemoteWorkerError('WORKER_ERROR', remote.message, {
      executed: 'yes',
      remote,
      details: {
        worker: call.owner.workerName,
        workerKey: call.owner.workerKey,
        method: call.method,
        ...(call.jobId === 0 ? {} : this.#ownBackoff(call, thrown)),
      },
    })
  }

  /** When the job is to be tried again, where the worker has a function for that. */
  #ownBackoff(call: Call, thrown: unknown): { retryIn?: number | false; backoffError?: string } {
    const backoff = this.#backoffs.get(call.method)
    if (backoff === undefined) return {}
    try {
      const retryIn = backoff(call.attempt, thrown)
      if (retryIn === false || (retryIn >= 0 && retryIn <= LONGEST_PAUSE)) return { retryIn }
      return {
        backoffError: `it returned ${String(retryIn)}: it has to be milliseconds, at most a year of them, or false`,
      }
    } catch (error) {
      return { backoffError: describeThrown(error).message }
    }
  }

  /** For a call that has not started and will not. */
  #refusal(call: Call): OffstageError {
    return call.cancelled === BY_CALLER
      ? new Cancelled('the call was cancelled before its turn came')
      : overdueError('', 'no')
  }

  /** The rest of the queue runs in a later turn of the event loop. */
  #resume(): void {
    if (this.#resuming) return
    this.#resuming = true
    setImmediate(() => {
      this.#resuming = false
      this.work()
    })
  }

  /** Brings the gauge up to date: two readings of the clock for a whole batch of turns. */
  measure(): void {
    if (!this.#called && this.#completed === 0) return
    const now = performance.now()
    this.#gauge.beat(monotonic(), now - this.#markedAt, this.#completed)
    if (this.#completed > 0) this.#markedAt = now
    this.#completed = 0
    this.#called = false
  }

  #checkIdle(): void {
    if (this.#whenIdle.length === 0 || this.#running > 0 || this.#queue.length > 0 || this.#unstored.size > 0) return
    const waiting = this.#whenIdle
    this.#whenIdle = []
    for (const idle of waiting) idle()
  }
}

function notKept(method: string, { code, message, retryable, details, cause }: OffstageError): ResultStorageError {
  const facts = { executed: 'yes', retryable, details, cause } as const
  return new ResultStorageError(code, `${method} has run, but what it cached is not kept: ${message}`, facts)
}

function overdueError(method: string, executed: 'no' | 'maybe'): DeadlineExceeded {
  const what = executed === 'no' ? 'passed before its turn came' : `passed while ${method} was running`
  return new DeadlineExceeded(`the deadline of the call ${what}`, { executed })
}

function apply(method: Method, instance: object, argument: unknown): unknown {
  return method.call(instance, argument)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
