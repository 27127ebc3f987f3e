/** Calls that no server can take now. Each waits for at most the same time, so the first to come is the first to give up. */
import type { Call } from './call.js'

export class WaitingRoom {
  /** In milliseconds. */
  readonly #patience: number
  readonly #onGiveUp: (call: Call) => void
  /** In the order of their `waitUntil`. */
  readonly #calls = new Set<Call>()
  #timer: NodeJS.Timeout | undefined

  /** `onGiveUp` gets a call that has waited long enough; it is gone from here then. */
  constructor(patience: number, onGiveUp: (call: Call) => void) {
    this.#patience = patience
    this.#onGiveUp = onGiveUp
  }

  get empty(): boolean {
    return this.#calls.size === 0
  }

  add(call: Call): void {
    call.waitUntil = performance.now() + this.#patience
    call.delayed = true
    this.#calls.add(call)
    if (this.#calls.size === 1) this.#arm(this.#patience)
  }

  delete(call: Call): boolean {
    const there = this.#calls.delete(call)
    if (there && this.empty) clearTimeout(this.#timer)
    return there
  }

  /** Those that wait now, in order. */
  list(): Call[] {
    return [...this.#calls]
  }

  #arm(delay: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(), delay)
  }

  #look(): void {
    const now = performance.now()
    for (const call of this.#calls) {
      if (call.waitUntil > now) {
        this.#arm(call.waitUntil - now)
        return
      }
      this.#calls.delete(call)
      this.#onGiveUp(call)
    }
  }
}
