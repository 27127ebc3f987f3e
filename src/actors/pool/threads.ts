/**
 * The threads behind `this.threadPool`: a piscina pool, which starts threads as they are needed and ends those
 * that have been idle. A thread that dies takes the call with it that it was running, and no other.
 *
 * piscina's own answers only say that a thread is free again, or has died; everything else goes over the port
 * of the call. Its Atomics are off: with them an idle thread would not hear of anything but new tasks.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { Cancelled, DeadlineExceeded, InvalidArgument, type RemoteFailure, WorkerCrashed } from '../../errors.js'
import type { FromThread, ThreadTask, ToThread } from './line.js'
import type { ActorBridge, DeferredTask, PoolOptions, PoolRunner } from './task.js'

/** Milliseconds after which a thread without work ends; one stays. */
const IDLE = 30_000

/** Loaded when a worker defers for the first time: most workers never do. */
async function makePiscina({ size, memoryLimit }: PoolOptions): Promise<Piscina> {
  const { Piscina } = await import('piscina')
  const pool = new Piscina({
    filename: new URL('./thread-main.js', import.meta.url).href,
    name: 'run',
    // With none, calls that wait would be left without a thread when the last one dies.
    minThreads: 1,
    maxThreads: size,
    idleTimeout: IDLE,
    atomics: 'disabled',
    ...(memoryLimit > 0 ? { resourceLimits: { maxOldGenerationSizeMb: memoryLimit } } : {}),
  })
  return pool
}

export class PoolThreads implements PoolRunner {
  readonly #options: PoolOptions
  #pool: Promise<Piscina> | undefined
  #ended = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  async run(task: DeferredTask, bridge: ActorBridge, signal: AbortSignal): Promise<unknown> {
    this.#pool ??= this.#start()
    const pool = await this.#pool
    if (this.#ended) throw new Cancelled(`${task.method} was not deferred: the worker has been stopped`)
    const { port1, port2 } = new MessageChannel()
    const line = new Line(task.method, port1, bridge, signal)
    const sent: ThreadTask = { load: this.#options.load, task, port: port2, answers: line.answers }
    pool.run(sent, { transferList: [port2] }).then(
      () => line.free(),
      (error: unknown) => line.lost(error),
    )
    return line.outcome
  }

  async end(): Promise<void> {
    this.#ended = true
    const pool = await this.#pool
    await pool?.destroy()
  }

  async #start(): Promise<Piscina> {
    const pool = await makePiscina(this.#options)
    // A thread died without a call. Had calls been waiting for it, they would wait for ever: they fail, and the
    // next one finds a new pool.
    pool.on('error', () => {
      if (pool.threads.length > 0 || pool.queueSize === 0) return
      this.#pool = undefined
      void pool.destroy()
    })
    return pool
  }
}

/** The host's end of one deferred call. */
class Line {
  readonly answers = new SharedArrayBuffer(4)
  readonly outcome: Promise<unknown>
  readonly #method: string
  readonly #port: MessagePort
  readonly #bridge: ActorBridge
  readonly #signal: AbortSignal
  #started = false
  /** The method has ended: this says how. */
  #end: (() => void) | undefined
  #resolve: (value: unknown) => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(method: string, port: MessagePort, bridge: ActorBridge, signal: AbortSignal) {
    this.#method = method
    this.#port = port
    this.#bridge = bridge
    this.#signal = signal
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    port.on('message', (message: FromThread) => this.#hear(message))
    port.on('messageerror', (error) => this.#fail(error))
    if (signal.aborted) this.#cancel()
    else signal.addEventListener('abort', this.#cancel, { once: true })
  }

  /**
   * The thread is free again. Only now the outcome is known to who waits for it: what that defers next goes to this
   * thread, where the pool would have started another one before.
   */
  free(): void {
    this.#drain()
    this.#end?.()
    this.#close()
  }

  /** The thread has died, or the task could not be posted; what it said before comes first. */
  lost(error: unknown): void {
    this.#drain()
    this.#end?.()
    if (error instanceof Error && error.name === 'DataCloneError') {
      this.#fail(
        new InvalidArgument(`the argument of ${this.#method} cannot be sent to a thread: ${error.message}`, {
          cause: error,
        }),
      )
      return
    }
    const why = error instanceof Error ? describe(error) : `it threw ${String(error)}, which is not an Error`
    this.#fail(
      new WorkerCrashed(`the pool thread that ran ${this.#method} ended: ${why}`, {
        cause: error,
        executed: this.#started ? 'maybe' : 'no',
      }),
    )
  }

  readonly #cancel = (): void => {
    const { reason } = this.#signal
    this.#send({ type: 'cancel', overdue: reason instanceof DeadlineExceeded })
    // The thread that takes it finds it cancelled, and does not call the method.
    if (!this.#started) this.#reject(new Cancelled(`${this.#method} was cancelled before a pool thread was free`))
  }

  #hear(message: FromThread): void {
    switch (message.type) {
      case 'started':
        this.#started = true
        return
      case 'returned':
        this.#end = () => this.#resolve(message.value)
        return
      case 'threw':
        this.#end = () => this.#reject(revive(message.failure))
        return
      case 'cannotRun':
        this.#end = () => this.#reject(new InvalidArgument(message.message))
        return
      case 'log':
        this.#bridge.log(message.line)
        return
      case 'progress':
        this.#bridge.progress(message.value)
        return
      case 'set':
        this.#bridge.setCached(message.key, message.value, message.ttl)
        return
      case 'get':
        this.#answer({ type: 'value', value: this.#bridge.cached(message.key) })
        return
      case 'list':
        this.#answer({ type: 'keys', keys: this.#bridge.cachedKeys() })
        return
      case 'settle': {
        const { token } = message
        void this.#bridge.settle(message.release).then((current) => this.#send({ type: 'settled', token, current }))
      }
    }
  }

  /** The pool's own messages come by another port, and may overtake those of this one. */
  #drain(): void {
    for (let left = receiveMessageOnPort(this.#port); left !== undefined; left = receiveMessageOnPort(this.#port)) {
      this.#hear(left.message as FromThread)
    }
  }

  #answer(message: ToThread): void {
    this.#send(message)
    const words = new Int32Array(this.answers)
    Atomics.add(words, 0, 1)
    Atomics.notify(words, 0)
  }

  #send(message: ToThread): void {
    this.#port.postMessage(message)
  }

  #fail(error: Error): void {
    this.#reject(error)
    this.#close()
  }

  #close(): void {
    this.#signal.removeEventListener('abort', this.#cancel)
    this.#port.close()
  }
}

/** What piscina rejects with is an error of the thread, or one of its own that says how the thread ended. */
function describe(error: Error): string {
  const code = /^worker exited with code: (-?\d+)$/.exec(error.message)?.[1]
  if (code !== undefined) return `it ended by itself (process.exit, code ${code})`
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`
}

const BUILT_IN = new Map<string, ErrorConstructor>(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((Class) => [Class.name, Class]),
)

/** The error as it was thrown, as far as it can be sent. */
function revive({ name, message, code, stack }: RemoteFailure): Error {
  const error = new (BUILT_IN.get(name) ?? Error)(message)
  if (error.name !== name) Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  if (code !== undefined) Object.assign(error, { code })
  if (stack !== undefined) error.stack = stack
  return error
}
