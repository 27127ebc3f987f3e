/**
 * Runs a deferred method, on an instance of its own whose constructor has run and whose `create` has not. What
 * belongs to the actor's own thread throws there; cache, log and job go over the bridge.
 */
import { InvalidArgument } from '../../errors.js'
import { ResultCache } from '../cache.js'
import { Call, calls } from '../call.js'
import { construct, type WorkerContext } from '../context.js'
import { WorkerLogger } from '../logger.js'
import type { Method } from '../methods.js'
import type { WorkerClass } from '../worker.js'
import { guardFields } from './fields.js'
import type { ActorBridge, DeferredTask } from './task.js'

export interface DeferredRun {
  /** To be cancelled, also while `run` is at work. */
  readonly call: Call
  run(): Promise<unknown>
}

/** `awake` is called when the method asks for its signal: a busy thread hears nothing otherwise. */
export function deferredRun(
  Class: WorkerClass,
  task: DeferredTask,
  bridge: ActorBridge,
  awake: () => void = () => undefined,
): DeferredRun {
  const context = new PoolContext(task, bridge)
  const call = new DeferredCall(context, task, awake)
  const body = async () => {
    const instance = construct(Class, context)
    guardFields(instance, task.unshared, task.method)
    try {
      const method: Method = Reflect.get(instance, task.method)
      return await method.call(instance, task.argument)
    } finally {
      call.ended = true
    }
  }
  return { call, run: () => calls.run(call, body) }
}

/** Its signal is asked for by methods that look at it again and again without giving the thread a break. */
class DeferredCall extends Call {
  readonly #awake: () => void

  constructor(context: PoolContext, task: DeferredTask, awake: () => void) {
    super(context, 0, Buffer.alloc(0), 0, 0, task.deadline)
    this.#awake = awake
    this.method = task.method
    this.jobKey = task.jobKey
    this.jobId = task.jobId
    this.attempt = task.attempt
  }

  override get signal(): AbortSignal {
    this.#awake()
    return super.signal
  }
}

class PoolContext implements WorkerContext {
  readonly workerName: string
  readonly workerKey: string
  readonly cache: ResultCache
  readonly logger: WorkerLogger
  readonly #method: string
  readonly #bridge: ActorBridge

  constructor(task: DeferredTask, bridge: ActorBridge) {
    this.workerName = task.workerName
    this.workerKey = task.workerKey
    this.#method = task.method
    this.#bridge = bridge
    this.logger = new WorkerLogger((line) => bridge.log(line))
    this.cache = new ResultCache({
      largest: task.largestCached,
      get size() {
        return bridge.cachedKeys().length
      },
      get: (key) => bridge.cached(key),
      set: (key, value, ttl) => bridge.setCached(key, value, ttl),
      delete: (key) => {
        const had = bridge.cached(key) !== undefined
        bridge.setCached(key)
        return had
      },
      keys: () => bridge.cachedKeys(),
    })
  }

  /** Only code outside any call asks for it, and there is none here. */
  readonly signal = new AbortController().signal

  readonly timers = { add: () => this.#refuse('addTimer and addPeriodicTimer') }

  readonly sockets = {
    connect: () => this.#refuse('connect'),
    startServer: () => this.#refuse('startServer'),
  }

  readonly pool = { defer: () => this.#refuse('threadPool') }

  settle(_call: Call, release: boolean): Promise<boolean> {
    return this.#bridge.settle(release)
  }

  progress(_call: Call, value: Uint8Array): void {
    this.#bridge.progress(value)
  }

  #refuse(what: string): never {
    throw new InvalidArgument(
      `${what} cannot be used in ${this.#method}, which runs in a pool thread: that belongs to the worker's own ` +
        `thread. Let ${this.#method} return what is needed, and do it in the method that deferred it`,
    )
  }
}
