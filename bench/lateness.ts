/** How late jobs start that were scheduled for a time, by the wall clock of one machine. */
import { setTimeout as sleep } from 'node:timers/promises'
import { numberOf } from './argument.js'
import { type Contender, quantile } from './measure.js'

/** Number of a job, and when it started, in ms since 1970. */
export type Start = readonly [n: number, at: number]

export interface Observed {
  /** When job n was to start, in ms since 1970. */
  readonly due: readonly number[]
  readonly starts: readonly Start[]
  /** When the last one had been stored. */
  readonly storedAt: number
}

/** Jobs at a time, by every side. */
export const LATENESS_CONCURRENCY = 10
const MS_A_JOB = 5
/** From the choice of the times to the first of them: all jobs have to be stored by then. */
const LEAD_MS = 2000

/** Called at its start by a job with this argument. */
export function startOf(argument: string): Start {
  return [numberOf(argument), Date.now()]
}

/** A round schedules jobs for random times within its ms, one for each 5 ms on average. */
export function latenessContender(
  name: string,
  run: (due: readonly number[], lead: number) => Promise<Observed>,
): Contender {
  let lead = LEAD_MS
  return {
    name,
    async round(ms) {
      for (;;) {
        const first = Date.now() + lead
        const due = Array.from({ length: Math.ceil(ms / MS_A_JOB) }, () => first + Math.floor(Math.random() * ms))
        const observed = await run(due, lead)
        if (observed.storedAt < first) return latenessOf(name, observed)
        // Some were due before the side had them all: this round says nothing, the next gets more time.
        lead *= 2
      }
    },
  }
}

function latenessOf(name: string, { due, starts }: Observed) {
  const seen = new Set(starts.map(([n]) => n))
  if (seen.size !== due.length || starts.length !== due.length || !due.every((_, n) => seen.has(n))) {
    throw new Error(`${name}: of ${due.length} scheduled jobs one ran twice, or never`)
  }
  // A clock that says 7 stands somewhere between 7 and 8: half a ms more is right on average.
  const sorted = Float64Array.from(starts, ([n, at]) => at + 0.5 - due[n]!).sort()
  return {
    median: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1)!,
    early: sorted.filter((late) => late < 0).length,
  }
}

/** What the machine makes of timers, in a process that does nothing else. One may fire in the ms before, and is set again. */
export async function bareTimers(due: readonly number[]): Promise<Observed> {
  const storedAt = Date.now()
  const starts = due.map(async (at, n): Promise<Start> => {
    while (Date.now() < at) await sleep(at - Date.now())
    return [n, Date.now()]
  })
  return { due, starts: await Promise.all(starts), storedAt }
}
