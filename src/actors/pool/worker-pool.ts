/**
 * `this.threadPool` of a worker, in the worker's host: gives deferred calls to the pool, which is made for the
 * first of them, and does for them what only the host can do.
 */
import { setMaxListeners } from 'node:events'
import { Cancelled, InvalidArgument } from '../../errors.js'
import type { CacheEntries } from '../cache.js'
import { type Call, type CallOwner, calls } from '../call.js'
import type { LoadedClass } from '../description.js'
import type { LoadRequest } from '../messages.js'
import { Deferred } from './deferred.js'
import type { ActorBridge, DeferredTask, MakePool, PoolRunner } from './task.js'

/** The actor that the pool belongs to. */
export interface PoolOwner extends CallOwner {
  readonly cached: CacheEntries
  settle(call: Call, release: boolean): Promise<boolean>
  progress(call: Call, value: Uint8Array): void
  /** An encoded `LogLine`. */
  writeLog(line: Uint8Array): void
  /** A deferred call has failed that nobody waited for. */
  unheard(method: string, error: unknown): void
  /** Fields of the instance that `create` has set, which it may not have finished. */
  unshared(): string[]
}

export class WorkerPool {
  readonly #owner: PoolOwner
  readonly #make: MakePool
  readonly #running = new Set<DeferredCall>()
  #worker: { loaded: LoadedClass; load: LoadRequest } | undefined
  #runner: PoolRunner | undefined
  #ended = false
  #whenIdle: (() => void)[] = []

  constructor(owner: PoolOwner, make: MakePool) {
    this.#owner = owner
    this.#make = make
  }

  /** To be called before the instance is made. */
  belongsTo(loaded: LoadedClass, load: LoadRequest): void {
    this.#worker = { loaded, load }
  }

  defer(method: string, argument?: unknown): Promise<unknown> {
    const call = calls.getStore()
    const parent = call?.owner === this.#owner ? call : undefined
    return Deferred.of(this.#defer(method, argument, parent), (error) => this.#owner.unheard(method, error))
  }

  /** The worker stops: tells the calls whose own call is over, and so cannot tell them. */
  cancel(): void {
    for (const { parent, controller } of this.#running) {
      if (parent === undefined || parent.ended) controller.abort(new Cancelled('the worker is being stopped'))
    }
  }

  /** Calls `idle` when no deferred call waits or runs. */
  whenIdle(idle: () => void): void {
    if (this.#running.size === 0) idle()
    else this.#whenIdle.push(idle)
  }

  get busy(): boolean {
    return this.#running.size > 0
  }

  /** Ends the threads at once. Resolves when they have ended. */
  async end(): Promise<void> {
    this.#ended = true
    await this.#runner?.end()
  }

  async #defer(method: string, argument: unknown, parent: Call | undefined): Promise<unknown> {
    const { loaded, load } = this.#worker!
    checkMethod(loaded.Class, method, this.#owner.workerName)
    if (this.#ended) throw new Cancelled(`${method} was not deferred: the worker has been stopped`)
    const { poolSize: size, memoryLimit } = loaded.description
    this.#runner ??= this.#make({ load, size, memoryLimit })
    const deferred: DeferredCall = { parent, controller: new AbortController() }
    const abort = () => deferred.controller.abort(parent!.signal.reason)
    if (parent?.signal.aborted) abort()
    else if (parent !== undefined) {
      // A call may defer as much as it likes.
      setMaxListeners(0, parent.signal)
      parent.signal.addEventListener('abort', abort, { once: true })
    }
    this.#running.add(deferred)
    try {
      const task = this.#task(method, argument, parent)
      return await this.#runner.run(task, this.#bridge(parent), deferred.controller.signal)
    } finally {
      parent?.signal.removeEventListener('abort', abort)
      this.#running.delete(deferred)
      if (this.#running.size === 0) for (const idle of this.#whenIdle.splice(0)) idle()
    }
  }

  #task(method: string, argument: unknown, parent: Call | undefined): DeferredTask {
    return {
      method,
      argument,
      workerName: this.#owner.workerName,
      workerKey: this.#owner.workerKey,
      jobKey: parent?.jobKey ?? '',
      jobId: parent?.jobId ?? 0,
      attempt: parent?.attempt ?? 0,
      deadline: parent?.deadline ?? 0,
      unshared: this.#owner.unshared(),
      largestCached: this.#owner.cached.largest,
    }
  }

  #bridge(parent: Call | undefined): ActorBridge {
    const owner = this.#owner
    return {
      cached: (key) => owner.cached.get(key),
      cachedKeys: () => [...owner.cached.keys()],
      setCached: (key, value, ttl) => {
        const set = () => (value === undefined ? owner.cached.delete(key) : owner.cached.set(key, value, ttl))
        if (parent === undefined) set()
        else calls.run(parent, set)
      },
      log: (line) => owner.writeLog(line),
      progress: (value) => parent !== undefined && owner.progress(parent, value),
      settle: (release) => (parent === undefined ? Promise.resolve(false) : owner.settle(parent, release)),
    }
  }
}

interface DeferredCall {
  /** The call that deferred it. */
  readonly parent: Call | undefined
  readonly controller: AbortController
}

/** What can be deferred: a method of the class or of a class between it and MetaWorker. */
function checkMethod(Class: { prototype: object; name: string }, method: unknown, worker: string): void {
  const expected = `threadPool.defer takes the name of a method of ${worker}`
  if (typeof method !== 'string') throw new InvalidArgument(`${expected}, not ${typeof method}`)
  if (method === 'create' || method === 'constructor') {
    throw new InvalidArgument(`${expected}, and not ${method}, which is for the start of a worker`)
  }
  for (let owner = Class.prototype; Object.getPrototypeOf(Object.getPrototypeOf(owner)) !== null; ) {
    const found = Object.getOwnPropertyDescriptor(owner, method)
    if (typeof found?.value === 'function') return
    if (found !== undefined) throw new InvalidArgument(`${expected}, and ${method} is none`)
    owner = Object.getPrototypeOf(owner)
  }
  throw new InvalidArgument(`${expected}, and it has none of the name ${JSON.stringify(method)}`)
}
