/** How many queued jobs of an instance may start: `static rateLimit`. */
export interface RateLimit {
  /** At most so many, 1 to 100,000 … */
  jobs: number
  /** … in any so many milliseconds, up to a day. */
  per: number
}

export const RATE_LIMIT_ALLOWED = 'an object with jobs (1 to 100000) and per (milliseconds, 1 to 86400000)'

export function isRateLimit(value: unknown): value is RateLimit {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { jobs, per, ...rest } = value as Partial<RateLimit>
  return isWholeWithin(jobs, 100_000) && isWholeWithin(per, 86_400_000) && Object.keys(rest).length === 0
}

function isWholeWithin(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most
}
