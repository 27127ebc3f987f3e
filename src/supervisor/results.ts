/** The results that workers cache, as the supervisor sees them: kept for clients, and each worker's copy kept in step. */
import type { Actor } from '../actors/actor.js'
import type { ActorOptions } from '../actors/actor-options.js'
import { ResultStore } from '../persistence/results/memory.js'
import type { QueueName } from '../persistence/store.js'
import type { Settings } from './settings.js'

export type ResultSettings = Pick<Settings, 'result_ttl' | 'result_entries' | 'result_bytes'>

export class Results {
  readonly #store: ResultStore
  readonly #find: (worker: string, workerKey: string) => Pick<Actor, 'setCache'> | undefined
  /** Milliseconds. */
  readonly #ttl: number
  readonly #largest: number

  /** `find`: the instance that runs under that name and key. */
  constructor(settings: ResultSettings, find: (worker: string, workerKey: string) => Actor | undefined) {
    const { result_ttl, result_entries: entries, result_bytes: bytes } = settings
    this.#find = find
    this.#ttl = result_ttl * 1_000
    this.#largest = bytes
    this.#store = new ResultStore({
      limits: { entries, bytes },
      onGone: ({ worker, workerKey, key, number }) => {
        this.#find(worker, workerKey)?.setCache({ key, value: undefined, ttl: 0, number })
      },
    })
  }

  get({ worker, workerKey }: QueueName, key: string): Uint8Array | undefined {
    return this.#store.get(worker, workerKey, key)
  }

  /** A client overwrites it, or clears it when there is no value. Throws `ResultStorageError`. */
  reset({ worker, workerKey }: QueueName, key: string, value: Uint8Array | undefined): void {
    const ttl = this.#ttl
    if (value === undefined) this.#store.delete(worker, workerKey, key)
    else this.#store.set(worker, workerKey, key, value, ttl)
    this.#find(worker, workerKey)?.setCache({ key, value, ttl, number: 0 })
  }

  /** What an instance needs for its cache. The name in `queue` may still change before it is used. */
  of(queue: Readonly<QueueName>): Pick<ActorOptions, 'initialCache' | 'onCache' | 'cache'> {
    return {
      cache: { ttl: this.#ttl, largest: this.#largest },
      initialCache: () => this.#store.entries(queue.worker, queue.workerKey),
      onCache: ({ key, value, ttl, number }) => {
        if (value === undefined) this.#store.delete(queue.worker, queue.workerKey, key)
        else this.#store.set(queue.worker, queue.workerKey, key, value, ttl, number)
      },
    }
  }

  /** Forgets all of an instance that is no more. */
  drop(worker: string, workerKey: string): void {
    this.#store.drop(worker, workerKey)
  }

  /** Lets go of those whose time is over: to be called every second or so. */
  sweep(): void {
    this.#store.sweep()
  }
}
