/**
 * When a cron line fires next, whatever is done to the clocks.
 *
 * - A line that fires in every hour alike follows the clock on the wall: it leaves out what a gap leaves out, and
 *   fires in both of two hours that have the same name.
 * - A line for some hours fires once for each of its times: in a repeated hour the first time, and what falls into a
 *   gap fires as much later as the gap is long, which is when that time would have come without the change (RFC 5545,
 *   section 3.3.5).
 */
import { type Cron, nextWall } from './cron.js'
import type { Zone } from './zone.js'

/** Clocks have been changed by a whole day (Samoa, 2011); for so long after a change it still matters. */
const LONGEST_CHANGE = 86_400

/** The first firing after a time; undefined when there is none. Both in milliseconds since 1970. */
export function next(cron: Cron, zone: Zone, after: number): number | undefined {
  let from = Math.floor(after / 1_000) + 1
  let change = zone.transition(from - LONGEST_CHANGE, from)
  for (;;) {
    const offset = zone.offset(from)
    const found = inStretch(cron, from, offset, change)
    const stretchEnd = found === undefined ? undefined : zone.transition(from, found)
    if (stretchEnd === undefined) return found === undefined ? undefined : found * 1_000
    change = stretchEnd
    from = change.at
  }
}

/** The first firing from `from` on if the clocks were never changed after that. */
function inStretch(
  cron: Cron,
  from: number,
  offset: number,
  change: { at: number; before: number } | undefined,
): number | undefined {
  const wall = from + offset
  if (change === undefined || !cron.fixedHours) return minus(nextWall(cron, wall), offset)
  const { at, before } = change
  // What the clock has shown before.
  if (before > offset) return minus(nextWall(cron, Math.max(wall, at + before)), offset)
  const regular = minus(nextWall(cron, wall), offset)
  const skipped = nextWall(cron, from + before)
  if (skipped === undefined || skipped >= at + offset) return regular
  return regular === undefined ? skipped - before : Math.min(regular, skipped - before)
}

function minus(wall: number | undefined, offset: number): number | undefined {
  return wall === undefined ? undefined : wall - offset
}
