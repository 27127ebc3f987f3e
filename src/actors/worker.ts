/**
 * `MetaWorker`, the class that workers extend. What belongs to the running call (`jobKey`, `persistentJob`,
 * `signal`, `deadline`) is right also when calls interleave, and in work that outlives its turn.
 */
import { InvalidArgument } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import type { ResultCache } from './cache.js'
import { type Call, calls } from './call.js'
import type { Cancelable } from './clock.js'
import { takeContext, type WorkerContext } from './context.js'
import type { WorkerLogger } from './logger.js'
import { monotonic } from './messages.js'
import type { RateLimit } from './rate-limit.js'
import type { RetryPolicy } from './retry-policy.js'
import type { StandardSchema } from './schemas.js'
import type { TcpHandler, TcpHandlerClass } from './sockets/handler.js'
import type { TcpServer } from './sockets/sockets.js'
import type { ThreadPool } from './thread-pool.js'

/** The queued job that a method is running. */
export interface PersistentJob {
  readonly id: number
  /** 1 for the first start of the job. */
  readonly attempt: number
  /** Marks the job as done now; false when this attempt is no longer the current one. */
  finish(): Promise<boolean>
  /** Puts the job back into the queue; false when this attempt is no longer the current one. */
  release(): Promise<boolean>
}

/** In bytes of CBOR. */
const LONGEST_PROGRESS = 65_536

/** Where another copy of offstage can see that a class extends this copy's `MetaWorker`, and which file that is. */
export const BRAND = Symbol.for('offstage.MetaWorker')

export class MetaWorker {
  static readonly [BRAND]: string = import.meta.url

  /** The name that clients use; without it, the file's name. */
  static workerName?: string
  /** Not started with the supervisor: only by `newWorker` or a schedule. */
  static noAutoLoad?: boolean
  /** Not started with the supervisor: each firing of a schedule starts a fresh instance, runs the method, and ends it. */
  static reloadOnSchedule?: boolean
  /** Messages that may be in work at a time (default 1). */
  static concurrency?: number
  /** `'thread'` (default) or `'process'`: one of its own; `'inline'`: in the supervisor's own thread. */
  static host?: string
  /**
   * Milliseconds (default 60,000; 0: any) that `create` may take. Beyond them the host is ended, and that is a crash.
   * When the worker is started again they count for the import of its file too.
   */
  static createTimeout?: number
  /**
   * Whether it is started again when its host has ended: `'permanent'` (default) always, `'transient'` unless it ended by
   * itself with the exit code 0 (`process.exit(0)`), `'temporary'` never.
   */
  static restart?: string
  /** More failures than this (default 5) within `restartPeriod` stop the worker as failed. */
  static maxRestarts?: number
  /** Seconds (default 60). */
  static restartPeriod?: number
  /** Messages that may wait or be in work (default 10,000); more are refused with `Overloaded`. */
  static mailboxLimit?: number
  /** MiB of JavaScript heap for its thread or process; running out of it ends that. Default: Node's own limit. */
  static memoryLimit?: number
  /** Environment variables for its thread or process, besides the supervisor's. Not there yet when the file is looked at for the first time. */
  static env?: Record<string, string>
  /** Flags of Node for its process, besides the supervisor's. */
  static execArgv?: string[]
  /** The most threads (default 20) for `this.threadPool`. They start when they are needed. */
  static poolSize?: number
  /**
   * Milliseconds that a method may run, from the start of its turn (default 0: any). Then its `signal` fires, and
   * its caller has `DeadlineExceeded`; of the caller's own timeout and this, the one that ends first counts.
   */
  static timeout?: number
  /** The same for single methods, in place of `timeout`: `{ render: 60_000 }`. */
  static timeouts?: Record<string, number>
  /** How many of its queued jobs may start: `{ jobs: 100, per: 60_000 }` is at most 100 in any minute. Calls do not count. */
  static rateLimit?: RateLimit
  /**
   * How often and when its queued jobs are tried again after a failure:
   * `{ attempts: 10, backoff: 'fixed', delay: 5_000, except: ['CardDeclined'] }`; see `RetryPolicy`.
   */
  static retry?: RetryPolicy
  /** The same for single methods, in place of `retry`: `{ charge: { attempts: 3 } }`. */
  static retries?: Record<string, RetryPolicy>
  /**
   * Milliseconds (default 5,000; 0: any) that a method gets to end once its `signal` has fired, by a deadline or by
   * its caller. One that still runs then costs the worker its host, which is started again as after a crash.
   */
  static grace?: number

  /**
   * What the arguments of single methods have to look like: `{ charge: z.number().int() }`, of any library that follows
   * Standard Schema (zod, valibot, arktype). One that does not fit is refused with BAD_ARGUMENT, whose `details.issues` are
   * `{ path, message }`: of a call before the method runs, of an enqueue and an asynchronous call before it is taken. The
   * method gets what the schema makes of it.
   */
  static schemas?: Readonly<Record<string, StandardSchema>>

  readonly #context: WorkerContext

  constructor() {
    this.#context = takeContext(new.target.name)
  }

  /** Called once when the instance is loaded, with the data of `newWorker`. Until it is done no message runs. */
  create(_data?: unknown): unknown {
    return undefined
  }

  get workerName(): string {
    return this.#context.workerName
  }

  /** '' for the instance without a key. */
  get workerKey(): string {
    return this.#context.workerKey
  }

  /** Of the running call; undefined when it has none. */
  get jobKey(): string | undefined {
    const key = this.#call()?.jobKey
    return key === '' ? undefined : key
  }

  /** The queued job that is running; undefined outside one. */
  get persistentJob(): PersistentJob | undefined {
    const call = this.#call()
    if (call === undefined || call.jobId === 0) return undefined
    const context = this.#context
    return {
      id: call.jobId,
      attempt: call.attempt,
      finish: () => context.settle(call, false),
      release: () => context.settle(call, true),
    }
  }

  /** Fires when the running call is cancelled or its deadline passes; outside a call, when the worker stops. */
  get signal(): AbortSignal {
    return (this.#call() ?? this.#context).signal
  }

  /** When the running call's time is up; undefined when it has all the time in the world. */
  get deadline(): Date | undefined {
    const deadline = this.#call()?.deadline ?? 0
    return deadline === 0 ? undefined : new Date(Date.now() + deadline - monotonic())
  }

  /**
   * Tells whoever watches the queued job that is running how far it is: any value that can be sent, of up to 64 KiB in
   * CBOR; the latest counts. In a call, which nobody can watch, it does nothing. Throws `CannotEncode`, `InvalidArgument`.
   */
  progress(value: unknown): void {
    const bytes = encodeValue(value, 'progress')
    if (bytes.length > LONGEST_PROGRESS) {
      throw new InvalidArgument(`the progress takes ${bytes.length} bytes; at most ${LONGEST_PROGRESS} can be told`)
    }
    const call = this.#call()
    if (call !== undefined && call.jobId !== 0 && !call.ended) this.#context.progress(call, bytes)
  }

  get logger(): WorkerLogger {
    return this.#context.logger
  }

  /** What clients read with `askResult`. */
  get cache(): ResultCache {
    return this.#context.cache
  }

  /** Runs `fn` once, `seconds` from now, as a turn of this worker. An error in it is logged. */
  addTimer(seconds: number, fn: () => unknown): Cancelable {
    return this.#context.timers.add(seconds, fn, false)
  }

  /** Runs `fn` every so many seconds, as a turn of this worker. An error in it is logged. */
  addPeriodicTimer(seconds: number, fn: () => unknown): Cancelable {
    return this.#context.timers.add(seconds, fn, true)
  }

  /**
   * Connects to `host:port` by TCP. Resolves with the new handler as soon as the connection stands; its `postInit` and
   * `connectionCompleted` run as turns after that. Rejects with `ConnectionError`, also when there was no answer for
   * 10 s, and with the reason of `this.signal` when that fires before.
   */
  connect<H extends TcpHandler>(host: string, port: number, Handler: TcpHandlerClass<H>): Promise<H> {
    return this.#context.sockets.connect(this, this.signal, host, port, Handler)
  }

  /**
   * Listens on `host:port` by TCP, with a new handler for each connection. Port 0 takes a free one, which is in the result.
   * Rejects with `ConnectionError` (code `CANNOT_LISTEN`). Server and connections end with the worker.
   */
  startServer(host: string, port: number, Handler: TcpHandlerClass): Promise<TcpServer> {
    return this.#context.sockets.startServer(this, host, port, Handler)
  }

  /** Runs methods of this class in other threads. */
  get threadPool(): ThreadPool<this, MetaWorker> {
    // The type says which names and arguments the class allows; the pool looks at the name again.
    return this.#context.pool as ThreadPool<this, MetaWorker>
  }

  #call(): Call | undefined {
    const call = calls.getStore()
    return call?.owner === this.#context ? call : undefined
  }
}

/** A class that extends `MetaWorker`. */
export type WorkerClass<T extends MetaWorker = MetaWorker> = new () => T
