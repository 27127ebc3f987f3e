/**
 * What each row has to reach. A ratio is judged against a floor measured in the same run. A multiple of a peer is
 * judged against that peer where the run measured it (`npm run bench:peers`); elsewhere against the peer's figure as
 * it was when the target was set, on another machine: quoted, not measured.
 */
import type { Result } from './result.js'

type Target =
  | { readonly floor: string; readonly atLeast: number }
  | { readonly floor: string; readonly atMost: number }
  | { readonly peer: string; readonly quoted: number; readonly times: number }
  | { readonly most: number }

const TARGETS: Readonly<Record<string, Target>> = {
  'durable enqueue, 1 in flight': { floor: 'fdatasync loop', atLeast: 0.6 },
  'durable enqueue, 64 in flight': { peer: 'BullMQ', quoted: 13_800, times: 3 },
  'durable enqueue, 1024 in flight': { peer: 'BullMQ', quoted: 16_000, times: 5 },
  'durable enqueue, 500 a call': { peer: 'graphile-worker', quoted: 44_800, times: 4 },
  'drain no-op jobs, concurrency 100': { peer: 'graphile-worker', quoted: 14_000, times: 3 },
  'sync call, 1 in flight, p50': { floor: 'bare echo', atMost: 1.3 },
  'sync call, 64 in flight': { floor: 'bare echo', atLeast: 0.7 },
  'memory per queued job, 2,000,000 jobs, of the process': { most: 100 },
  'memory: event loop delay, 2,000,000 jobs enqueued, p99': { most: 20 },
  'memory: event loop delay, 2,000,000 jobs enqueued, max': { most: 20 },
  'memory: event loop delay, compaction of 2,000,000 jobs, p99': { most: 20 },
  'memory: event loop delay, compaction of 2,000,000 jobs, max': { most: 20 },
  'lateness of scheduled jobs, median': { most: 5 },
  'lateness of scheduled jobs, p99': { most: 50 },
  'idle with 1,000,000 scheduled jobs, CPU of the process': { most: 1 },
  'restart with 1,000,000 queued jobs': { most: 3000 },
  'restart with 1,000,000 queued jobs, page cache cold': { most: 3000 },
}

export interface Verdict {
  readonly target: string
  /** The target rests on a figure that this run did not measure. */
  readonly quoted: boolean
  readonly reached: boolean
}

export function judge(result: Result): Verdict | undefined {
  const target = TARGETS[result.row]
  if (target === undefined) return undefined
  if ('peer' in target) {
    const peer = result.floors.find(({ name }) => name === target.peer)
    if (peer !== undefined) {
      const text = `≥ ${target.times} × ${target.peer}`
      return { target: text, quoted: false, reached: peer.ratio.median >= target.times }
    }
    const least = target.quoted * target.times
    const text = `≥ ${(least / 1000).toFixed(1)}k/s (${target.times} × ${target.peer})`
    return { target: text, quoted: true, reached: result.ours.median >= least }
  }
  if ('most' in target) {
    return { target: `≤ ${target.most} ${result.unit}`, quoted: false, reached: result.ours.median <= target.most }
  }
  const floor = result.floors.find(({ name }) => name === target.floor)
  if (floor === undefined) throw new Error(`${result.row} was measured without its floor ${target.floor}`)
  const [text, reached] =
    'atLeast' in target
      ? [`≥ ${target.atLeast} × ${target.floor}`, floor.ratio.median >= target.atLeast]
      : [`≤ ${target.atMost} × ${target.floor}`, floor.ratio.median <= target.atMost]
  return { target: text, quoted: false, reached }
}
