/** Where the results lie that workers cache and clients ask for. test/contract/result-storage.ts says what holds for each. */
export interface ResultStorage {
  /** Undefined when there is none, or its time is over. */
  get(worker: string, workerKey: string, key: string): Awaitable<Uint8Array | undefined>
  /** `ttl`: milliseconds that it is kept; 0: as long as there is room. Fails with `ResultStorageError`. */
  set(worker: string, workerKey: string, key: string, value: Uint8Array, ttl: number): Awaitable<void>
  delete(worker: string, workerKey: string, key: string): Awaitable<void>
}

type Awaitable<T> = T | Promise<T>
