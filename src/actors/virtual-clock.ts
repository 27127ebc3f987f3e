/** A clock that stands still until it is moved. */
import type { Cancelable, Clock } from './clock.js'

interface Entry {
  readonly at: number
  readonly fn: () => void
}

export class VirtualClock implements Clock {
  #now = 0
  readonly #entries = new Set<Entry>()

  now(): number {
    return this.#now
  }

  after(ms: number, fn: () => void): Cancelable {
    const entry: Entry = { at: this.#now + ms, fn }
    this.#entries.add(entry)
    return { cancel: () => this.#entries.delete(entry) }
  }

  /** Moves to each due time in turn, in order, calls what is due and waits for `settled`. */
  async advance(ms: number, settled: () => Promise<void>): Promise<void> {
    const end = this.#now + ms
    for (let entry = this.#next(end); entry !== undefined; entry = this.#next(end)) {
      this.#entries.delete(entry)
      this.#now = entry.at
      entry.fn()
      await settled()
    }
    this.#now = end
  }

  /** Of two that are due at the same time, the one that was set first. */
  #next(end: number): Entry | undefined {
    let first: Entry | undefined
    for (const entry of this.#entries) {
      if (entry.at <= end && (first === undefined || entry.at < first.at)) first = entry
    }
    return first
  }
}
