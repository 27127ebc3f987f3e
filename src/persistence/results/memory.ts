/**
 * Results that workers cached, kept in the supervisor's memory: so they survive the worker's restart, and are
 * there to ask for while it is busy. Values are opaque bytes. Bounded: those whose time is over go first, then the
 * least recently used.
 */
import { ResultStorageError } from '../../errors.js'
import type { ResultStorage } from './storage.js'

export interface ResultLimits {
  /** Results of all workers together. */
  readonly entries: number
  /** Of values and keys. */
  readonly bytes: number
}

/** One result as its worker has to know it. */
export interface KeptResult {
  readonly key: string
  readonly value: Uint8Array
  /** Milliseconds that are left to it; 0: as long as there is room. */
  readonly ttl: number
  /** Which of the worker's changes it came with; 0 for one that came from outside. */
  readonly number: number
}

/** What went because its time was over, or for want of room. */
export interface GoneResult {
  readonly worker: string
  readonly workerKey: string
  readonly key: string
  readonly number: number
}

export interface ResultStoreOptions {
  readonly limits: ResultLimits
  /** Milliseconds that never go backwards. */
  readonly now?: () => number
  readonly onGone?: (result: GoneResult) => void
}

interface Result extends GoneResult {
  readonly instance: string
  readonly value: Uint8Array
  /** When its time is over. */
  readonly until: number
}

/** Milliseconds of one page of the calendar. */
const PAGE = 1_000

export class ResultStore implements ResultStorage {
  readonly #limits: ResultLimits
  readonly #now: () => number
  readonly #onGone: (result: GoneResult) => void
  /** Least recently used first, which is the order in which a Map keeps what is set anew. */
  readonly #results = new Map<string, Result>()
  readonly #byInstance = new Map<string, Set<string>>()
  /** Ids of the results whose time ends within each page, by its number. */
  readonly #calendar = new Map<number, Set<string>>()
  /** The first page that may have such ones. */
  #page: number
  #bytes = 0

  constructor({ limits, now = () => performance.now(), onGone = () => undefined }: ResultStoreOptions) {
    this.#limits = limits
    this.#now = now
    this.#onGone = onGone
    this.#page = pageOf(now())
  }

  get size(): number {
    return this.#results.size
  }

  get(worker: string, workerKey: string, key: string): Uint8Array | undefined {
    const id = idOf(instanceOf(worker, workerKey), key)
    const result = this.#results.get(id)
    if (result === undefined) return undefined
    if (result.until <= this.#now()) {
      this.#lose(id, result)
      return undefined
    }
    this.#results.delete(id)
    this.#results.set(id, result)
    return result.value
  }

  /**
   * Keeps a copy, for `ttl` milliseconds (0: as long as there is room); `number` is given back with the result. Throws
   * `ResultStorageError` when it is larger than all of the room; then what was there stays.
   */
  set(worker: string, workerKey: string, key: string, value: Uint8Array, ttl = 0, number = 0): void {
    this.mustFit(key, value)
    const instance = instanceOf(worker, workerKey)
    const id = idOf(instance, key)
    const before = this.#results.get(id)
    if (before !== undefined) this.#remove(id, before)
    const until = ttl === 0 ? Number.POSITIVE_INFINITY : this.#now() + ttl
    const result = { worker, workerKey, instance, key, value: Uint8Array.from(value), until, number }
    this.#results.set(id, result)
    this.#bytes += sizeOf(result)
    add(this.#byInstance, instance, id)
    if (ttl !== 0) add(this.#calendar, pageOf(until), id)
    if (this.#full) this.sweep()
    while (this.#full) {
      const [oldest] = this.#results
      this.#lose(...oldest!)
    }
  }

  /** Throws `ResultStorageError` when `set` would. */
  mustFit(key: string, value: Uint8Array): void {
    if (key.length + value.length > this.#limits.bytes) throw tooLarge(key, value.length, this.#limits.bytes)
  }

  delete(worker: string, workerKey: string, key: string): void {
    const id = idOf(instanceOf(worker, workerKey), key)
    const result = this.#results.get(id)
    if (result !== undefined) this.#remove(id, result)
  }

  /** What one instance has. */
  *entries(worker: string, workerKey: string): Generator<KeptResult> {
    const now = this.#now()
    for (const id of this.#byInstance.get(instanceOf(worker, workerKey)) ?? []) {
      const { key, value, until, number } = this.#results.get(id)!
      if (until > now) yield { key, value, ttl: until === Number.POSITIVE_INFINITY ? 0 : until - now, number }
    }
  }

  /** Forgets all of one instance. */
  drop(worker: string, workerKey: string): void {
    for (const id of [...(this.#byInstance.get(instanceOf(worker, workerKey)) ?? [])]) {
      this.#remove(id, this.#results.get(id)!)
    }
  }

  /** Takes out those whose time is over. To be called now and then; nobody gets to see one meanwhile. */
  sweep(): void {
    const now = this.#now()
    // The page of this moment may have some that are still good, so it is looked at again.
    for (const last = pageOf(now); ; this.#page++) {
      for (const id of this.#calendar.get(this.#page) ?? []) {
        const result = this.#results.get(id)!
        if (result.until <= now) this.#lose(id, result)
      }
      if (this.#page >= last) return
    }
  }

  get #full(): boolean {
    return this.#bytes > this.#limits.bytes || this.#results.size > this.#limits.entries
  }

  #lose(id: string, result: Result): void {
    this.#remove(id, result)
    this.#onGone(result)
  }

  #remove(id: string, result: Result): void {
    this.#results.delete(id)
    this.#bytes -= sizeOf(result)
    remove(this.#byInstance, result.instance, id)
    if (result.until !== Number.POSITIVE_INFINITY) remove(this.#calendar, pageOf(result.until), id)
  }
}

function tooLarge(key: string, bytes: number, limit: number): ResultStorageError {
  return new ResultStorageError(
    'RESULT_STORAGE_TOO_LARGE',
    `the result ${JSON.stringify(key)} has ${bytes} bytes, and there is room for ${limit} (result_bytes)`,
  )
}

function pageOf(time: number): number {
  return Math.floor(time / PAGE)
}

function add<K>(sets: Map<K, Set<string>>, key: K, id: string): void {
  const set = sets.get(key)
  if (set === undefined) sets.set(key, new Set([id]))
  else set.add(id)
}

function remove<K>(sets: Map<K, Set<string>>, key: K, id: string): void {
  const set = sets.get(key)!
  set.delete(id)
  if (set.size === 0) sets.delete(key)
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
