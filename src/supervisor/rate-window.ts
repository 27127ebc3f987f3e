/** At most so many in any period of time. */
export class RateWindow {
  readonly #period: number
  /** When the last ones were, in a ring. */
  readonly #times: Float64Array
  /** Where the oldest of them is. */
  #oldest = 0

  constructor(most: number, period: number) {
    this.#period = period
    this.#times = new Float64Array(most).fill(Number.NEGATIVE_INFINITY)
  }

  /** How many more are allowed at `now`, in milliseconds of a monotonic clock. */
  room(now: number): number {
    const times = this.#times
    let room = 0
    while (room < times.length && times[(this.#oldest + room) % times.length]! <= now - this.#period) room++
    return room
  }

  /** `count` of them are now: no more than there is room for. */
  take(count: number, now: number): void {
    for (let i = 0; i < count; i++) {
      this.#times[this.#oldest] = now
      this.#oldest = (this.#oldest + 1) % this.#times.length
    }
  }

  /** When the next is allowed. */
  get next(): number {
    return this.#times[this.#oldest]! + this.#period
  }
}
