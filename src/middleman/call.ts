/**
 * One call on its way: what is sent, where it stands, and how it ends. It is its own envelope, its own abort
 * listener and its own entry in the list of deadlines, so that a call costs one object and one promise.
 */
import { setMaxListeners } from 'node:events'
import { Cancelled, DeadlineExceeded, type Executed, type OffstageError } from '../errors.js'
import { type Envelope, NOTHING_SCHEDULED, Verb, WhenTaken } from '../wire/envelope.js'
import type { Address } from './addresses.js'
import { type DeadlineList, type Limited, startDeadline, stopDeadline } from './deadlines.js'

const NOTHING = new Uint8Array(0)
const NO_SIGNALS: readonly AbortSignal[] = []
const ONCE = { once: true }

/** Who has a call while it is not on a channel. */
export interface CallOwner {
  forget(call: Call): void
}

/** Where a call goes. */
export interface Server {
  readonly address: Address
}

/** The connection that a call was written to. */
export interface Carrier {
  /** The answer is not wanted any more. */
  cancel(call: Call): void
}

export class Call implements Envelope, Limited {
  readonly verb: number
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  jobKey = ''
  timeout = -1
  runAt = -1
  priority = 0
  attempts = 0
  atMostOnce = false
  expiresAt = 0
  runTimeout = 0
  whenTaken: number = WhenTaken.KEEP
  requestId = ''
  schedule: Uint8Array = NOTHING_SCHEDULED
  job = 0
  known = ''
  jobId = 0
  attempt = 0
  payloadAt = 0

  /** Argument bytes; empty for none. */
  payload: Uint8Array = NOTHING
  /** Sending it again after a connection broke cannot do anything twice. */
  repeatable: boolean
  signal: AbortSignal | undefined = undefined
  /**
   * Those that it has in common with others. They are not made one by `AbortSignal.any`, of which Node 20 keeps something for
   * each call, as long as the signals live.
   */
  common: readonly AbortSignal[] = NO_SIGNALS

  corr = 0
  /** Of its body, as written. */
  bytes = 0
  /** It has waited, so less of its time is left than at first. */
  delayed = false
  /** Who has written it and waits for the answer. */
  channel: Carrier | undefined = undefined
  /** `Connection.flushes` when it was put into the outbox. */
  writtenAt = 0
  /** It may have reached a server, on an earlier channel. */
  sent = false
  /** Makes of the answer what the caller gets. */
  wrap: ((value: unknown, server: string) => unknown) | undefined = undefined
  /** Its server has given its credit back before the answer: it only waits. */
  free = false
  /** The one server that it is for; undefined when any will do. */
  to: Server | undefined = undefined
  /** What its server is named by: see place.ts. Empty for a call that takes its turn. */
  place = ''
  /** It waits for a server when there is none. */
  patient = true
  /** Servers that did not take it. */
  asked: Set<Server> | undefined = undefined
  /** Address of the server that it was written to last. */
  server = ''
  /** The caller's timeout; `timeout` is what was left of it when the call was written. */
  limit = -1
  /** When the time to answer is up, and when the time to find a server is (0: it did not wait); monotonic ms. */
  deadline = Number.POSITIVE_INFINITY
  waitUntil = 0
  earlier: Limited | undefined = undefined
  later: Limited | undefined = undefined
  list: DeadlineList | undefined = undefined

  #owner: CallOwner | undefined = undefined
  #resolve: Resolve = never
  #reject: Reject = never

  constructor(verb: number, worker: string, workerKey: string, method: string) {
    this.verb = verb
    this.worker = worker
    this.workerKey = workerKey
    this.method = method
    this.repeatable = REPEATABLE[verb]!
  }

  /** The promise of the answer; from here on the deadline runs and the signal is heard. */
  begin(owner: CallOwner): Promise<unknown> {
    this.#owner = owner
    const promise = new Promise(capture)
    this.#resolve = captured
    this.#reject = capturedReject
    if (this.limit >= 0) {
      this.timeout = this.limit
      startDeadline(this)
    }
    if (this.signal !== undefined) {
      // Many calls may share one, which Node would take for a leak.
      setMaxListeners(0, this.signal)
      this.signal.addEventListener('abort', this, ONCE)
    }
    for (const signal of this.common) signal.addEventListener('abort', this, ONCE)
    return promise
  }

  /** The signal that has fired. */
  get aborted(): AbortSignal | undefined {
    return this.signal?.aborted ? this.signal : this.common.find(({ aborted }) => aborted)
  }

  /** What is known of it while there is no answer. */
  get executed(): Executed {
    return this.sent || this.channel !== undefined ? 'maybe' : 'no'
  }

  succeed(value: unknown): void {
    this.#settle()
    this.#resolve(value)
  }

  fail(error: Error): void {
    this.#settle()
    this.#reject(error)
  }

  /** The caller waits no longer: the server is told, and `error` is the outcome. */
  abandon(error: OffstageError): void {
    if (this.channel !== undefined) this.channel.cancel(this)
    else this.#owner!.forget(this)
    this.fail(error)
  }

  expire(): void {
    const facts = { executed: this.executed }
    this.abandon(new DeadlineExceeded(`no answer of ${this.title} within ${this.limit} ms`, facts))
  }

  /** The abort listener. */
  handleEvent(): void {
    this.abandon(cancelled(this, this.aborted!))
  }

  /** `billing_worker.charge`, for messages. */
  get title(): string {
    const key = this.workerKey === '' ? '' : `[${this.workerKey}]`
    const title = VERB_TITLES[this.verb]
    const what = this.method === '' ? title! : this.method
    if (this.job !== 0) return `${what} of job ${this.job}`
    const whole = this.worker === '' ? what : `${this.worker}${key}.${what}`
    return title === undefined || this.method === '' ? whole : `${title} of ${whole}`
  }

  #settle(): void {
    if (this.list !== undefined) stopDeadline(this)
    this.signal?.removeEventListener('abort', this)
    for (const signal of this.common) signal.removeEventListener('abort', this)
    this.channel = undefined
  }
}

type Resolve = (value: unknown) => void
type Reject = (error: Error) => void

function never(): void {}

/** An executor without a closure: the two functions of the promise made last. */
let captured: Resolve = never
let capturedReject: Reject = never
function capture(resolve: Resolve, reject: Reject): void {
  captured = resolve
  capturedReject = reject
}

export function cancelled(call: Call, signal: AbortSignal): Cancelled {
  return new Cancelled(`the signal of the call to ${call.title} was aborted`, {
    executed: call.executed,
    cause: signal.reason,
  })
}

const REPEATABLE: Record<number, boolean> = {
  [Verb.CALL]: false,
  [Verb.ASYNC]: false,
  // A job key makes it one job, unless the first has ended meanwhile: then it runs again, which only a job that is
  // `atMostOnce` excludes.
  [Verb.ENQUEUE]: true,
  [Verb.ENQUEUE_MANY]: true,
  [Verb.ENQUEUE_EACH]: true,
  // Not DEQUEUE: the second answer would be that nothing was removed.
  [Verb.DEQUEUE]: false,
  [Verb.ASK_RESULT]: true,
  [Verb.RESET_RESULT]: true,
  [Verb.NEW_WORKER]: false,
  [Verb.DELETE]: false,
  [Verb.WORKER_INFO]: true,
  [Verb.ALL_WORKER_INFO]: true,
  [Verb.SCHEDULES]: true,
  [Verb.PAUSE_SCHEDULE]: true,
  [Verb.RESUME_SCHEDULE]: true,
  [Verb.RUN_SCHEDULE]: false,
  [Verb.JOB]: true,
  [Verb.JOB_RESULT]: true,
  // The second answer would be that there is no such job.
  [Verb.CANCEL_JOB]: false,
  [Verb.RETRY_JOB]: false,
  [Verb.DELETE_JOB]: false,
  [Verb.RESCHEDULE]: true,
}

/** Sending one of these twice, or to a server that goes down, leaves nothing behind that matters. */
export const HARMLESS = new Set<number>([
  Verb.ASK_RESULT,
  Verb.RESET_RESULT,
  Verb.WORKER_INFO,
  Verb.ALL_WORKER_INFO,
  Verb.LIST_JOBS,
  Verb.SCHEDULES,
  Verb.JOB,
  Verb.JOB_RESULT,
])

const VERB_TITLES: Record<number, string> = {
  [Verb.ASK_RESULT]: 'askResult',
  [Verb.RESET_RESULT]: 'resetResult',
  [Verb.NEW_WORKER]: 'newWorker',
  [Verb.DELETE]: 'delete',
  [Verb.WORKER_INFO]: 'workerInfo',
  [Verb.ALL_WORKER_INFO]: 'allWorkerInfo',
  [Verb.ENQUEUE_MANY]: 'enqueueMany',
  [Verb.ENQUEUE_EACH]: 'enqueueManySettled',
  [Verb.PAUSE]: 'pauseQueue',
  [Verb.RESUME]: 'resumeQueue',
  [Verb.LIST_JOBS]: 'jobs',
  [Verb.RESCHEDULE]: 'reschedule',
  [Verb.SCHEDULES]: 'schedules.list',
  [Verb.PAUSE_SCHEDULE]: 'schedules.pause',
  [Verb.RESUME_SCHEDULE]: 'schedules.resume',
  [Verb.RUN_SCHEDULE]: 'schedules.run',
  [Verb.JOB]: 'status',
  [Verb.JOB_RESULT]: 'result',
  [Verb.CANCEL_JOB]: 'cancel',
  [Verb.RETRY_JOB]: 'retry',
  [Verb.DELETE_JOB]: 'delete',
}
