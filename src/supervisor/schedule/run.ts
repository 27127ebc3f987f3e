/** One run of a schedule. */
export interface Run {
  /** The time that it is for, in milliseconds since 1970. */
  readonly at: number
  /** Milliseconds from then until its worker was given it, `jitter` and earlier attempts of a job among them. */
  readonly late: number
  /** Milliseconds from then until its end; there once it has ended. */
  duration?: number
  /** Why it failed. */
  failure?: string
}

/** What a schedule is at. */
export interface Runs {
  /** How many are under way. */
  readonly running: number
  /** The one that began last, since the start of the server. */
  readonly last: Run | undefined
}

export function beginRun(at: number): Run {
  return { at, late: Math.max(0, Date.now() - at) }
}
