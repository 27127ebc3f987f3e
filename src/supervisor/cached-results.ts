/**
 * The results that workers cache, as the supervisor sees them: kept for clients, here or in memcached, and each worker's copy
 * kept in step. What is in memcached is here as well, for the workers that are started again.
 */
import type { Actor } from '../actors/actor.js'
import type { ActorOptions } from '../actors/actor-options.js'
import type { CacheChange } from '../actors/cache-frame.js'
import { LARGEST_VALUE, MemcachedResults } from '../persistence/results/memcached/results.js'
import { checkedValue } from '../persistence/results/memcached/value.js'
import { ResultStore } from '../persistence/results/memory.js'
import type { QueueName } from '../persistence/store.js'
import type { Config } from './config.js'

type ResultConfig = Pick<Config, 'result_ttl' | 'result_entries' | 'result_bytes' | 'memcache'>

export class CachedResults {
  readonly #store: ResultStore
  readonly #memcached: MemcachedResults | undefined
  readonly #find: (worker: string, workerKey: string) => Pick<Actor, 'setCache'> | undefined
  /** Milliseconds. */
  readonly #ttl: number
  readonly #largest: number

  /** `find`: the instance that runs under that name and key. */
  constructor(config: ResultConfig, find: (worker: string, workerKey: string) => Actor | undefined) {
    const { result_ttl, result_entries: entries, result_bytes: bytes, memcache } = config
    this.#find = find
    this.#ttl = result_ttl * 1_000
    this.#memcached = memcache === undefined ? undefined : new MemcachedResults(memcache)
    this.#largest = memcache === undefined ? bytes : Math.min(bytes, LARGEST_VALUE)
    this.#store = new ResultStore({
      limits: { entries, bytes },
      onGone: ({ worker, workerKey, key, number }) => {
        this.#find(worker, workerKey)?.setCache({ key, value: undefined, ttl: 0, number })
      },
    })
  }

  /** What clients are to get; undefined when there is nothing. Fails with `ResultStorageError`. */
  get({ worker, workerKey }: QueueName, key: string): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#memcached === undefined) return this.#store.get(worker, workerKey, key)
    return this.#memcached.get(worker, workerKey, key).then((bytes) => checkedValue(key, bytes))
  }

  /** A client overwrites it, or clears it when there is no value. Fails with `ResultStorageError`. */
  reset(queue: QueueName, key: string, value: Uint8Array | undefined): void | Promise<void> {
    // Its fields may mean another call when the answer is there.
    const { worker, workerKey } = queue
    const change = { key, value, ttl: this.#ttl, number: 0 }
    const done = () => {
      this.#keep({ worker, workerKey }, change)
      this.#find(worker, workerKey)?.setCache(change)
    }
    if (this.#memcached === undefined) return done()
    // Not after it is there.
    if (value !== undefined) this.#store.mustFit(key, value)
    return this.#send(this.#memcached, queue, change).then(done)
  }

  /** What an instance needs for its cache. The name in `queue` may still change before it is used. */
  of(queue: Readonly<QueueName>): Pick<ActorOptions, 'initialCache' | 'onCache' | 'cache'> {
    return {
      cache: { ttl: this.#ttl, largest: this.#largest, awaited: this.#memcached !== undefined },
      initialCache: () => this.#store.entries(queue.worker, queue.workerKey),
      onCache: (change) => {
        this.#keep(queue, change)
        return this.#memcached && this.#send(this.#memcached, queue, change)
      },
    }
  }

  /** Forgets all of an instance that is no more. What lies in memcached stays there for its time. */
  drop(worker: string, workerKey: string): void {
    this.#store.drop(worker, workerKey)
  }

  /** Lets go of those whose time is over: to be called every second or so. */
  sweep(): void {
    this.#store.sweep()
  }

  close(): void {
    this.#memcached?.close()
  }

  #keep({ worker, workerKey }: QueueName, { key, value, ttl, number }: CacheChange): void {
    if (value === undefined) this.#store.delete(worker, workerKey, key)
    else this.#store.set(worker, workerKey, key, value, ttl, number)
  }

  #send(to: MemcachedResults, { worker, workerKey }: QueueName, { key, value, ttl }: CacheChange): Promise<void> {
    return value === undefined ? to.delete(worker, workerKey, key) : to.set(worker, workerKey, key, value, ttl)
  }
}
