/** How late the timers of this process are, added up: what a busy machine takes from everybody who waits. */

const STEP = 100

export class Lateness {
  /** Milliseconds since the beginning. */
  total = 0
  #expected = performance.now() + STEP
  #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setTimeout(() => this.#look(), STEP)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    this.total += Math.max(0, now - this.#expected)
    this.#expected = now + STEP
    this.#timer = setTimeout(() => this.#look(), STEP)
  }
}
