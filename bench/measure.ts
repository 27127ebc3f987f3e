/** Rounds, and what is told of them: median, minimum, maximum. */
import { performance } from 'node:perf_hooks'

/** What one round measured, by name: `rate` (per second), `p50` (µs)… */
type Figures = Readonly<Record<string, number>>

/** One side of a comparison. A round measures for about `ms` and checks everything it got back. */
export interface Contender {
  readonly name: string
  round(ms: number): Promise<Figures>
}

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: readonly number[]
}

/** How long a row takes: `warmUpMs` once for each contender, then `rounds` of `roundMs` each. */
export interface Plan {
  readonly warmUpMs: number
  readonly roundMs: number
  readonly rounds: number
}

/** By contender, then by figure. */
export type Measured = Map<string, Map<string, Summary>>

/** Warms every contender up, then lets them take turns, so that a slow minute of the machine hits all of them. */
export async function alternate(contenders: readonly Contender[], plan: Plan): Promise<Measured> {
  const taken = new Map<string, Figures[]>()
  for (const contender of contenders) {
    await contender.round(plan.warmUpMs)
    taken.set(contender.name, [])
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const contender of contenders) taken.get(contender.name)!.push(await contender.round(plan.roundMs))
  }
  return new Map([...taken].map(([name, rounds]) => [name, summarizeFigures(rounds)]))
}

function summarizeFigures(rounds: readonly Figures[]): Map<string, Summary> {
  const names = Object.keys(rounds[0] ?? {})
  return new Map(names.map((name) => [name, summarize(rounds.map((figures) => figures[name]!))]))
}

export function summarize(rounds: readonly number[]): Summary {
  const sorted = [...rounds].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), min: sorted[0]!, max: sorted.at(-1)!, rounds }
}

/** The value below which a share of `sorted` lies (nearest rank). */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new Error('nothing was measured')
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

/**
 * Keeps `lanes` calls in flight for about `ms`: each lane sends its next call when the last one was answered.
 * Answers per second, up to the last answer.
 */
export async function keepInFlight(lanes: number, ms: number, call: () => Promise<void>): Promise<number> {
  let done = 0
  const start = performance.now()
  const end = start + ms
  const lane = async () => {
    do {
      await call()
      done++
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return (done * 1000) / (performance.now() - start)
}

/** One call at a time for about `ms`: the latency of each, as p50 and p99 in µs. */
export async function timeEach(ms: number, call: () => Promise<void>): Promise<{ p50: number; p99: number }> {
  const latencies: number[] = []
  const end = performance.now() + ms
  for (let before = performance.now(); before < end; ) {
    await call()
    const after = performance.now()
    latencies.push((after - before) * 1000)
    before = after
  }
  const sorted = Float64Array.from(latencies).sort()
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}
