/** A host in a thread or process of its own lets the supervisor see that its event loop turns. */
import type { Gauge } from './gauge.js'
import { monotonic } from './messages.js'

/** Milliseconds. */
const BEAT_EVERY = 1_000

export function startHeartbeat(gauge: Gauge): void {
  gauge.beat(monotonic())
  setInterval(() => gauge.beat(monotonic()), BEAT_EVERY).unref()
}
