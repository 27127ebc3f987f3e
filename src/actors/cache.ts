/**
 * `this.cache` of a worker: what clients read with `askResult`.
 *
 * Values are encoded when they are set and kept as bytes. So one that cannot be sent throws in the line that
 * sets it, what a client reads is what was set, and `get` gives a fresh copy each time: changing it changes
 * nothing until it is set again. `1` and `'1'` are the same key.
 */
import { InvalidArgument, ResultStorageError } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import { LONGEST_TTL } from '../wire/limits.js'

/** Where the entries are: in the worker itself; a pool thread asks its worker. */
export interface CacheEntries {
  /** Bytes of the largest value that is kept; 0 for any. */
  readonly largest: number
  readonly size: number
  get(key: string): Uint8Array | undefined
  /** `ttl` in milliseconds, `Infinity` for as long as there is room; undefined: what the configuration says. */
  set(key: string, value: Uint8Array, ttl: number | undefined): void
  /** False when there was none. */
  delete(key: string): boolean
  keys(): Iterable<string>
}

export interface CacheOptions {
  /**
   * Milliseconds after which the entry is gone, for the worker and for clients, unless it is set again: over 0, at most
   * 10 years; or `Infinity`. Default: `result_ttl` of the configuration, which by default sets no time.
   */
  readonly ttl?: number | undefined
}

export class ResultCache {
  readonly #entries: CacheEntries

  constructor(entries: CacheEntries) {
    this.#entries = entries
  }

  get size(): number {
    return this.#entries.size
  }

  get<T = unknown>(key: string | number): T | undefined {
    const bytes = this.#entries.get(keyOf(key))
    return bytes === undefined ? undefined : (decodeValue(bytes) as T)
  }

  /**
   * Throws `CannotEncode`, naming the place, for a value that clients cannot be sent, `ResultStorageError` with
   * `RESULT_STORAGE_TOO_LARGE` for one that is too large to be kept, and `InvalidArgument` for a wrong key or option.
   */
  set(key: string | number, value: unknown, options?: CacheOptions): this {
    const name = keyOf(key)
    const ttl = ttlOf(options, name)
    const bytes = encodeValue(value, `cache[${JSON.stringify(name)}]`)
    const { largest } = this.#entries
    if (largest > 0 && bytes.length + name.length > largest) {
      throw new ResultStorageError(
        'RESULT_STORAGE_TOO_LARGE',
        `cache[${JSON.stringify(name)}] has ${bytes.length} bytes, and at most ${largest} can be kept with its key: ` +
          'cache less of it, or in parts',
      )
    }
    this.#entries.set(name, bytes, ttl)
    return this
  }

  has(key: string | number): boolean {
    return this.#entries.get(keyOf(key)) !== undefined
  }

  delete(key: string | number): boolean {
    return this.#entries.delete(keyOf(key))
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key)
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

function ttlOf(options: CacheOptions | undefined, key: string): number | undefined {
  if (options === undefined) return undefined
  const at = `cache.set(${JSON.stringify(key)})`
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgument(`${at} takes a bag of options, such as { ttl: 60_000 }, and not ${typeof options}`)
  }
  const { ttl, ...unknown } = options
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) throw new InvalidArgument(`${at} has no option ${JSON.stringify(extra)}: allowed is ttl`)
  if (ttl === undefined || ttl === Number.POSITIVE_INFINITY) return ttl
  if (typeof ttl === 'number' && ttl > 0 && ttl <= LONGEST_TTL) return ttl
  const found = typeof ttl === 'number' ? ttl : typeof ttl
  throw new InvalidArgument(
    `ttl of ${at} is ${found}: it has to be a number of milliseconds over 0, at most ${LONGEST_TTL} (10 years), or Infinity`,
  )
}
