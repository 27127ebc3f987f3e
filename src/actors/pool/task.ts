/**
 * One deferred call, as it goes to the pool, and what the deferred method may ask of its actor. Both are the
 * same whether the method runs in a thread of the pool or, in a test, beside its actor.
 */
import type { LoadRequest } from '../messages.js'

export interface DeferredTask {
  readonly method: string
  readonly argument: unknown
  readonly workerName: string
  readonly workerKey: string
  /** Of the call that deferred it; '' and 0 without one. */
  readonly jobKey: string
  readonly jobId: number
  readonly attempt: number
  /** A time of `monotonic()`, 0 for none. */
  readonly deadline: number
  /** Fields that `create` has set, which the instance in the pool has not. */
  readonly unshared: readonly string[]
  /** As `CacheEntries.largest`. */
  readonly largestCached: number
}

export interface ActorBridge {
  cached(key: string): Uint8Array | undefined
  cachedKeys(): string[]
  /** As `CacheEntries.set`; no value removes the entry. */
  setCached(key: string, value?: Uint8Array, ttl?: number): void
  /** An encoded `LogLine`. */
  log(line: Uint8Array): void
  /** Ends the queued job by hand; false when this attempt is no longer the current one. */
  settle(release: boolean): Promise<boolean>
  /** Of the queued job; `value` is CBOR. */
  progress(value: Uint8Array): void
}

export interface PoolRunner {
  /** Resolves with what the method returned; rejects with what it threw, or why it could not be run. */
  run(task: DeferredTask, bridge: ActorBridge, signal: AbortSignal): Promise<unknown>
  /** Ends the threads, whatever they are doing. Resolves when they have ended. */
  end(): Promise<void>
}

export interface PoolOptions {
  readonly load: LoadRequest
  /** The most threads. */
  readonly size: number
  /** MiB of JavaScript heap for each thread; 0 for Node's own limit. */
  readonly memoryLimit: number
}

export type MakePool = (options: PoolOptions) => PoolRunner
