/**
 * Results that workers cached, kept in the supervisor's memory: so they survive the worker's restart, and are
 * there to ask for while it is busy. Values are opaque bytes. Bounded: the least recently used go first.
 */
export interface ResultLimits {
  /** Results of all workers together. */
  readonly entries: number
  /** Of values and keys. */
  readonly bytes: number
}

const DEFAULT_LIMITS: ResultLimits = { entries: 100_000, bytes: 128 * 1024 * 1024 }

interface Result {
  readonly instance: string
  readonly key: string
  readonly value: Uint8Array
}

export class ResultStore {
  readonly #limits: ResultLimits
  /** Least recently used first, which is the order in which a Map keeps what is set anew. */
  readonly #results = new Map<string, Result>()
  readonly #byInstance = new Map<string, Set<string>>()
  #bytes = 0

  constructor(limits: ResultLimits = DEFAULT_LIMITS) {
    this.#limits = limits
  }

  get size(): number {
    return this.#results.size
  }

  get(worker: string, workerKey: string, key: string): Uint8Array | undefined {
    const id = idOf(instanceOf(worker, workerKey), key)
    const result = this.#results.get(id)
    if (result === undefined) return undefined
    this.#results.delete(id)
    this.#results.set(id, result)
    return result.value
  }

  /** Keeps a copy; a value that is larger than all of the room is not kept. */
  set(worker: string, workerKey: string, key: string, value: Uint8Array): void {
    const instance = instanceOf(worker, workerKey)
    const id = idOf(instance, key)
    this.#remove(id)
    const result = { instance, key, value: Uint8Array.from(value) }
    if (sizeOf(result) > this.#limits.bytes) return
    this.#results.set(id, result)
    this.#bytes += sizeOf(result)
    const ids = this.#byInstance.get(instance) ?? new Set()
    this.#byInstance.set(instance, ids.add(id))
    while (this.#bytes > this.#limits.bytes || this.#results.size > this.#limits.entries) {
      for (const oldest of this.#results.keys()) {
        this.#remove(oldest)
        break
      }
    }
  }

  delete(worker: string, workerKey: string, key: string): void {
    this.#remove(idOf(instanceOf(worker, workerKey), key))
  }

  /** What one instance has, by key. */
  *entries(worker: string, workerKey: string): Generator<readonly [string, Uint8Array]> {
    for (const id of this.#byInstance.get(instanceOf(worker, workerKey)) ?? []) {
      const { key, value } = this.#results.get(id)!
      yield [key, value]
    }
  }

  /** Forgets all of one instance. */
  drop(worker: string, workerKey: string): void {
    for (const id of [...(this.#byInstance.get(instanceOf(worker, workerKey)) ?? [])]) this.#remove(id)
  }

  #remove(id: string): void {
    const result = this.#results.get(id)
    if (result === undefined) return
    this.#results.delete(id)
    this.#bytes -= sizeOf(result)
    const ids = this.#byInstance.get(result.instance)!
    ids.delete(id)
    if (ids.size === 0) this.#byInstance.delete(result.instance)
  }
}

/** The lengths in front keep apart what only looks the same when it is joined. */
function instanceOf(worker: string, workerKey: string): string {
  return `${worker.length}:${worker}${workerKey.length}:${workerKey}`
}

function idOf(instance: string, key: string): string {
  return instance + key
}

function sizeOf({ key, value }: Result): number {
  return key.length + value.length
}
