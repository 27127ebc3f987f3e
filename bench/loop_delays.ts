/** How late the event loop of this process is, and how much of that garbage collection may be. */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'

/** In ms, since the last time it was asked. */
export interface Delays {
  readonly p99: number
  readonly max: number
  /** The longest garbage collection. */
  readonly collection: number
}

/** ms between two looks at the clock; what is above it is the delay. */
const STEP = 1

export class LoopDelays {
  readonly #histogram = monitorEventLoopDelay({ resolution: STEP })
  #collection = 0

  constructor() {
    this.#histogram.enable()
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#collection = Math.max(this.#collection, duration)
    }).observe({ entryTypes: ['gc'] })
  }

  take(): Delays {
    const { max } = this.#histogram
    const p99 = this.#histogram.percentile(99)
    const taken = { p99: toMs(p99), max: toMs(max), collection: this.#collection }
    this.#histogram.reset()
    this.#collection = 0
    return taken
  }
}

function toMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - STEP)
}
