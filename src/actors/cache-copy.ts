/**
 * The worker's copy of its cache: what `this.cache.get` reads, without asking the supervisor. Every change goes there, too,
 * and what the supervisor loses or is told by a client comes from there.
 */
import type { CacheEntries } from './cache.js'
import type { CacheChange } from './cache-frame.js'
import { ANY_CACHE, type CacheRules } from './messages.js'

interface Entry {
  readonly value: Uint8Array
  /** When its time is over, by the clock of the copy. */
  readonly until: number
  readonly number: number
}

/** `corr` of a frame has 32 bits. */
const LAST_NUMBER = 0xffff_ffff

export class CacheCopy implements CacheEntries {
  readonly #entries = new Map<string, Entry>()
  readonly #now: () => number
  readonly #changed: (change: CacheChange) => void
  #rules = ANY_CACHE
  #last = 0

  /** `now`: milliseconds that never go backwards; `changed` hears of every change that the worker makes. */
  constructor(now: () => number, changed: (change: CacheChange) => void) {
    this.#now = now
    this.#changed = changed
  }

  set rules(rules: CacheRules) {
    this.#rules = rules
  }

  get largest(): number {
    return this.#rules.largest
  }

  get awaited(): boolean {
    return this.#rules.awaited
  }

  get size(): number {
    return this.keys().length
  }

  get(key: string): Uint8Array | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.until > this.#now()) return entry?.value
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, value: Uint8Array, ttl = this.#rules.ttl): void {
    this.#change({ key, value, ttl: ttl === Number.POSITIVE_INFINITY ? 0 : ttl, number: this.#next() })
  }

  delete(key: string): boolean {
    const had = this.get(key) !== undefined
    // In memcached there may be one that this copy never had, or has lost.
    if (had || this.awaited) this.#change({ key, value: undefined, ttl: 0, number: this.#next() })
    return had
  }

  keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.get(key) !== undefined)
  }

  /** A change that comes from the supervisor. */
  receive(change: CacheChange): void {
    const { key, value, ttl, number } = change
    if (value !== undefined) {
      this.#last = Math.max(this.#last, number)
      this.#entries.set(key, { value, until: ttl === 0 ? Number.POSITIVE_INFINITY : this.#now() + ttl, number })
    } else if (number === 0 || this.#entries.get(key)?.number === number) this.#entries.delete(key)
  }

  #change(change: CacheChange): void {
    if (change.value === undefined) this.#entries.delete(change.key)
    else this.receive(change)
    this.#changed(change)
  }

  #next(): number {
    this.#last = this.#last === LAST_NUMBER ? 1 : this.#last + 1
    return this.#last
  }
}
