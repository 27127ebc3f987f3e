/** How late the event loop of this process is. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** In ms. */
export interface Delays {
  readonly p99: number
  readonly max: number
}

/** ms between two looks at the clock; what is above it is the delay. */
const STEP = 1

const histogram = monitorEventLoopDelay({ resolution: STEP })
histogram.enable()

/** Since the last time this was called. */
export function takeDelays(): Delays {
  const measured = { p99: toMs(histogram.percentile(99)), max: toMs(histogram.max) }
  histogram.reset()
  return measured
}

function toMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - STEP)
}
