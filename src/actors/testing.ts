/**
 * Public entry `offstage/testing`: a worker in a test, without a server, a thread or a network.
 *
 * It goes the way that it goes in production but for the thread: arguments and results are encoded and
 * decoded, only what clients can call can be called, errors arrive as clients get them.
 */
import { Cancelled, type OffstageError } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
import { Actor } from './actor.js'
import { CacheCopy } from './cache-copy.js'
import { asWorkerClass, describeWorker } from './description.js'
import { type InlineHost, inlineHost } from './hosts/inline.js'
import type { Log } from './log.js'
import type { Level } from './messages.js'
import { besideActor } from './pool/beside.js'
import type { ReplySink } from './reply.js'
import type { SchemaInput } from './schemas.js'
import type { TimerInfo } from './timers.js'
import { VirtualClock } from './virtual-clock.js'
import type { MetaWorker, WorkerClass } from './worker.js'

/** The methods of a worker that clients can call, as far as types can tell. */
export type MethodOf<T extends MetaWorker> = {
  [K in keyof T]: K extends keyof MetaWorker ? never : T[K] extends (...args: never[]) => unknown ? K : never
}[keyof T] &
  string

type Result<T, M extends keyof T> = T[M] extends (...args: never[]) => infer R ? Awaited<R> : never
type Parameter<T, M extends keyof T> = T[M] extends (argument: infer A, ...rest: never[]) => unknown ? A : never
/** What a caller gives: with a schema, what that takes. */
type Argument<T, M extends keyof T & string, C> = SchemaInput<C, M, Parameter<T, M>>

export interface TestCall<A> {
  arg?: A
  jobKey?: string
  /** Milliseconds. */
  timeout?: number
  signal?: AbortSignal
}

export interface TestJob<A> extends TestCall<A> {
  jobKey: string
  /** Default 1. */
  attempt?: number
}

/** How a queued job would have ended. */
export interface JobOutcome<R> {
  state: 'finished' | 'released' | 'failed'
  /** What the method returned, if it did. */
  value?: R
  /** Why it failed. */
  error?: OffstageError
}

export interface LoggedLine {
  level: Level
  message: string | undefined
  fields: Record<string, unknown>
}

export interface TestOptions {
  workerKey?: string
  /** For `create`. */
  data?: unknown
}

/** Makes an instance and calls its `create`. Rejects with what `newWorker` would reject with. */
export async function testWorker<T extends MetaWorker, C extends WorkerClass<T>>(
  Class: C & WorkerClass<T>,
  options: TestOptions = {},
): Promise<TestRun<T, C>> {
  const run = new TestRun<T, C>(Class, options)
  await run.begin()
  return run
}

/** Milliseconds that `close` waits for what runs. */
const CLOSE_WITHIN = 1000

/** `C` is the type of the class, which knows its schemas. */
export class TestRun<T extends MetaWorker, C = unknown> {
  /** Lines that the worker wrote with `this.logger`. */
  readonly logs: LoggedLine[] = []
  readonly #actor: Actor
  readonly #clock = new VirtualClock()
  readonly #cache = new CacheCopy(() => this.#clock.now(), ignore)
  readonly #waiting = new Map<number, Waiting>()
  #host: InlineHost | undefined
  #lastTag = 0

  /** Use `testWorker`. */
  constructor(Class: WorkerClass<T>, { workerKey = '', data }: TestOptions) {
    const write = (level: Level) => (fields: object, message?: string) =>
      void this.logs.push({ level, message, fields: fields as Record<string, unknown> })
    const name = Class.name || 'worker'
    const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
    this.#actor = new Actor(
      {
        file: name,
        workerKey,
        ...(data === undefined ? {} : { data: encodeValue(data, 'data') }),
        overrides: { host: 'inline', memoryLimit: 0, env: {}, execArgv: [] },
        log: silent,
        workerLog: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
        onCache: (change) =>
          change.value === undefined ? void this.#cache.delete(change.key) : this.#cache.receive(change),
        onChange: ignore,
      },
      (_options, events) => {
        const load = async (request: { overrides: object }) =>
          describeWorker(asWorkerClass(Class), request.overrides, name)
        this.#host = inlineHost(events, { clock: this.#clock, load, pool: () => besideActor(Class) })
        return this.#host
      },
    )
  }

  /** Use `testWorker`. */
  async begin(): Promise<void> {
    await this.#actor.load()
    await this.#actor.start('once')
  }

  /** The instance itself. What is called on it directly is an ordinary call, not a turn. */
  get instance(): T {
    return this.#host!.runtime.instance as T
  }

  /** Timers that are waiting. */
  get timers(): TimerInfo[] {
    return this.#host!.runtime.timers.pending
  }

  /** Calls a method as a client does; rejects as a client's promise does. */
  call<M extends MethodOf<T>>(method: M, options: TestCall<Argument<T, M, C>> = {}): Promise<Result<T, M>> {
    return this.#send(method, options, 0, 0).then(({ error, value }) => {
      if (error !== undefined) throw error
      return value as Result<T, M>
    })
  }

  /** Runs a method as a queued job, once. */
  async job<M extends MethodOf<T>>(method: M, options: TestJob<Argument<T, M, C>>): Promise<JobOutcome<Result<T, M>>> {
    const { error, value, settled } = await this.#send(method, options, this.#lastTag + 1, options.attempt ?? 1)
    const state = settled ?? (error === undefined ? 'finished' : 'failed')
    return { state, ...(error === undefined ? { value: value as Result<T, M> } : { error }) }
  }

  /** What the worker has in its cache under the key, as a client would get it; null when there is nothing. */
  askResult(key: string | number): unknown {
    const bytes = this.#cache.get(String(key))
    return bytes === undefined ? null : decodeValue(bytes)
  }

  /** Lets so much time pass for the worker's cache and timers: each timer that falls due runs, one after the other, to its end. */
  advance(seconds: number): Promise<void> {
    return this.#clock.advance(seconds * 1000, () => this.#quiet())
  }

  /** Stops the worker as the server would. */
  close(): Promise<void> {
    return this.#actor.stop(CLOSE_WITHIN)
  }

  #send(method: string, options: TestCall<unknown>, jobId: number, attempt: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const { signal } = options
      if (signal?.aborted)
        throw new Cancelled(`the signal of the call to ${method} was aborted`, { cause: signal.reason })
      const tag = ++this.#lastTag
      const body = callBody(method, options, jobId, attempt)
      try {
        const id = this.#actor.send(body, method, options.timeout ?? -1, jobId === 0 ? this.#sink : this.#jobSink, tag)
        const cancel = () => this.#actor.cancel(id)
        signal?.addEventListener('abort', cancel)
        this.#waiting.set(tag, {
          settled: undefined,
          resolve: (outcome) => {
            signal?.removeEventListener('abort', cancel)
            resolve(outcome)
          },
        })
      } catch (error) {
        reject(error)
      }
    })
  }

  readonly #sink: ReplySink = {
    result: (tag, bytes, start, end) => this.#answer(tag, { value: decodeValue(bytes, start, end) }),
    failed: (tag, bytes, start, end) => this.#answer(tag, { error: decodeFailure(bytes.subarray(start, end)) }),
    settle: (tag, how, done) => {
      const waiting = this.#waiting.get(tag)
      if (waiting !== undefined) waiting.settled = how === 'finish' ? 'finished' : 'released'
      done(waiting !== undefined)
    },
  }

  readonly #jobSink: ReplySink = { ...this.#sink, queued: true }

  #answer(tag: number, outcome: { value?: unknown; error?: OffstageError }): void {
    const waiting = this.#waiting.get(tag)
    this.#waiting.delete(tag)
    waiting?.resolve({ ...outcome, settled: waiting.settled })
  }

  /** Until no turn runs, and what it wrote has arrived here. */
  async #quiet(): Promise<void> {
    const { runtime } = this.#host!
    await runtime.idle()
    runtime.flush()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

interface Outcome {
  value?: unknown
  error?: OffstageError
  settled: JobOutcome<unknown>['state'] | undefined
}

interface Waiting {
  settled: Outcome['settled']
  resolve(outcome: Outcome): void
}

function callBody(method: string, { arg, jobKey, timeout }: TestCall<unknown>, jobId: number, attempt: number): Buffer {
  const head = envelope(Verb.CALL, '', '', method, jobKey ?? '')
  head.timeout = timeout ?? -1
  head.jobId = jobId
  head.attempt = attempt
  const argument = arg === undefined ? new Uint8Array(0) : encodeValue(arg, 'arg')
  const body = Buffer.alloc(envelopeBound(head) + argument.length)
  const end = writeEnvelope(body, 0, head)
  body.set(argument, end)
  return body.subarray(0, end + argument.length)
}

function ignore(): void {
  // Lines about the worker's life are for a server's log.
}
