/**
 * A rate with room for a burst of one second. Taking more than there is leads into debt, and the answer says how long
 * that takes to be paid: so whoever reads from a socket need not know beforehand what it will get.
 */
export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  /** `now` in monotonic milliseconds; the bucket is full at first. */
  constructor(perSecond: number, now: number, burst = perSecond) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#at = now
  }

  /** Takes `amount`; milliseconds to wait before the next is taken. */
  take(amount: number, now: number): number {
    this.#fill(now)
    this.#tokens -= amount
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000
  }

  /** Whether a whole token is there. */
  has(now: number): boolean {
    this.#fill(now)
    return this.#tokens >= 1
  }

  /** Nothing is remembered by a full one: it may be forgotten. */
  full(now: number): boolean {
    this.#fill(now)
    return this.#tokens === this.#burst
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
  }
}
