/** One timer for many times: it rings at the earliest, and is told then which is the next. */
import type { Cancelable, Clock } from './clock.js'
import { monotonic } from './messages.js'

/** Milliseconds: it rings no more often than this, however close the times are. */
const STEP = 5

export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => number
  #timer: Cancelable | undefined
  #at = Number.POSITIVE_INFINITY

  /** `ring` returns the next time, a time of `monotonic()`, or Infinity for none. */
  constructor(clock: Clock, ring: () => number) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings at `at` or before it. */
  by(at: number): void {
    if (at >= this.#at) return
    this.#timer?.cancel()
    this.#at = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.after(Math.max(STEP, at - monotonic()), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.by(this.#ring())
    })
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#at = Number.POSITIVE_INFINITY
  }
}
