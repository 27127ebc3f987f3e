/** How often addresses have failed to authenticate: one that does so too often is not listened to for a while. */
import { TokenBucket } from '../wire/token-bucket.js'

/** Milliseconds between two looks at who can be forgotten. */
const SWEEP = 60_000
/** More addresses than these are not remembered: the oldest is forgotten. */
const MOST_ADDRESSES = 10_000

export class FailedAttempts {
  readonly #perMinute: number
  readonly #addresses = new Map<string, TokenBucket>()
  #sweptAt = 0

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** Whether it has to wait. */
  tooMany(address: string, now = performance.now()): boolean {
    return this.#addresses.get(address)?.has(now) === false
  }

  add(address: string, now = performance.now()): void {
    this.#sweep(now)
    let bucket = this.#addresses.get(address)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#perMinute / 60, now, this.#perMinute)
      this.#addresses.set(address, bucket)
    }
    bucket.take(1, now)
  }

  #sweep(now: number): void {
    if (this.#addresses.size >= MOST_ADDRESSES) this.#addresses.delete(this.#addresses.keys().next().value!)
    if (now - this.#sweptAt < SWEEP) return
    this.#sweptAt = now
    for (const [address, bucket] of this.#addresses) if (bucket.full(now)) this.#addresses.delete(address)
  }
}
