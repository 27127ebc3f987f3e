/** How long a failed job waits before its next attempt: exponential, bounded, with jitter. */
export interface Backoff {
  /** Before the second attempt, in ms. */
  readonly first: number
  readonly factor: number
  /** Never longer than this, in ms. */
  readonly max: number
  /** 0.2 means ±20 %, so that jobs that failed together do not come back together. */
  readonly jitter: number
}

export const DEFAULT_BACKOFF: Backoff = { first: 1000, factor: 2, max: 3_600_000, jitter: 0.2 }

/** The wait after attempt `attempt` (1 is the first), in whole ms. `random` is in [0, 1). */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  const even = Math.min(backoff.max, backoff.first * backoff.factor ** (attempt - 1))
  return Math.round(Math.min(backoff.max, even * (1 + backoff.jitter * (2 * random - 1))))
}
