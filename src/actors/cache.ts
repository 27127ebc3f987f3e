/**
 * `this.cache` of a worker: what clients read with `askResult`.
 *
 * Values are encoded when they are set and kept as bytes. So one that cannot be sent throws in the line that
 * sets it, what a client reads is what was set, and `get` gives a fresh copy each time: changing it changes
 * nothing until it is set again. `1` and `'1'` are the same key.
 */
import { InvalidArgument } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'

/** Where the entries are: a Map in the worker itself; a pool thread asks its worker. */
export interface CacheEntries {
  readonly size: number
  get(key: string): Uint8Array | undefined
  set(key: string, value: Uint8Array): unknown
  /** False when there was none. */
  delete(key: string): boolean
  keys(): Iterable<string>
}

export class ResultCache {
  readonly #values: CacheEntries
  readonly #changed: (key: string, value: Uint8Array | undefined) => void

  /** `changed` hears of every change that the worker makes; `undefined` is a removal. */
  constructor(
    changed: (key: string, value: Uint8Array | undefined) => void,
    entries: CacheEntries = new Map<string, Uint8Array>(),
  ) {
    this.#changed = changed
    this.#values = entries
  }

  get size(): number {
    return this.#values.size
  }

  get<T = unknown>(key: string | number): T | undefined {
    const bytes = this.#values.get(keyOf(key))
    return bytes === undefined ? undefined : (decodeValue(bytes) as T)
  }

  /** Throws `CannotEncode`, naming the place, for a value that clients cannot be sent. */
  set(key: string | number, value: unknown): this {
    const name = keyOf(key)
    const bytes = encodeValue(value, `cache[${JSON.stringify(name)}]`)
    this.#values.set(name, bytes)
    this.#changed(name, bytes)
    return this
  }

  has(key: string | number): boolean {
    return this.#values.get(keyOf(key)) !== undefined
  }

  delete(key: string | number): boolean {
    const name = keyOf(key)
    const had = this.#values.delete(name)
    if (had) this.#changed(name, undefined)
    return had
  }

  clear(): void {
    for (const key of [...this.#values.keys()]) this.delete(key)
  }

  /** A change that comes from the supervisor, which need not be told. */
  receive(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.#values.delete(key)
    else this.#values.set(key, value)
  }

  /** A change that code of the worker made elsewhere, in a pool thread. */
  apply(key: string, value: Uint8Array | undefined): void {
    this.receive(key, value)
    this.#changed(key, value)
  }

  /** For a pool thread. */
  get entries(): Pick<CacheEntries, 'get' | 'keys'> {
    return this.#values
  }
}

function keyOf(key: string | number): string {
  if (typeof key === 'number') return String(key)
  if (typeof key !== 'string') {
    throw new InvalidArgument(`a cache key is a string or a number, this one is ${key === null ? 'null' : typeof key}`)
  }
  if (!key.isWellFormed()) throw new InvalidArgument(`the cache key ${JSON.stringify(key)} is not valid text`)
  return key
}
