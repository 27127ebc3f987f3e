/** When what has ended is started again, how soon, and how often before that is given up. */

export const RESTART_TYPES = ['permanent', 'transient', 'temporary'] as const
export type RestartType = (typeof RESTART_TYPES)[number]

/** What comes after the end of a host; `normal`: by itself and with the exit code 0. */
export function afterEnd(restart: RestartType, normal: boolean): 'again' | 'done' | 'failed' {
  if (restart === 'permanent' || (restart === 'transient' && !normal)) return 'again'
  return normal ? 'done' : 'failed'
}

/** Milliseconds: the first pause, its limit, and how long it must have run for the pause to begin anew. */
const FIRST_BACKOFF = 100
const LONGEST_BACKOFF = 10_000
const STABLE_AFTER = 10_000

/** The restart intensity: more failures than `maxRestarts` within `restartPeriod` are too many. */
export interface Intensity {
  readonly maxRestarts: number
  /** Milliseconds. */
  readonly restartPeriod: number
}

export interface Failures {
  /** When it failed within the last `restartPeriod`, the last one at the end. */
  readonly times: readonly number[]
  /** In a row, without a stable time between. */
  readonly streak: number
  /** Milliseconds from the last failure to the next start. */
  readonly pause: number
}

export const NO_FAILURES: Failures = { times: [], streak: 0, pause: 0 }

/** `runningSince` is 0 when it did not run; `random` from 0 to below 1. */
export function countFailure(
  { times, streak }: Failures,
  at: number,
  runningSince: number,
  { restartPeriod }: Intensity,
  random: number,
): Failures {
  const stable = runningSince > 0 && at - runningSince >= STABLE_AFTER
  const inRow = stable ? 1 : streak + 1
  // Doubles with each failure in a row; between half and all of it, so that workers do not start in step.
  const full = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (inRow - 1))
  return {
    times: [...times.filter((time) => time > at - restartPeriod), at],
    streak: inRow,
    pause: full * (0.5 + random / 2),
  }
}

/** Whether one more failure, at this time, is too many. */
export function exhausted({ times }: Failures, at: number, { maxRestarts, restartPeriod }: Intensity): boolean {
  return times.filter((time) => time > at - restartPeriod).length >= maxRestarts
}
