/** How often and when a queued job of a method is tried again: `static retry`, and `static retries` for single methods. */

/** The pause after attempt `attempt` (1 is the first) that failed with `error`: milliseconds, or `false` for none more. */
export type BackoffFunction = (attempt: number, error: unknown) => number | false

interface Retry {
  /** How often the job may be started; by default the setting `attempts`. An enqueue that says it itself wins. */
  attempts?: number
  /** Milliseconds before the second attempt; by default the setting `retry_delay`. */
  delay?: number
  /** Longest pause, in milliseconds; by default the setting `retry_max_delay`. */
  maxDelay?: number
  /** 0.2 (default) means ±20 %. */
  jitter?: number
  /** Names or codes of errors after which there is no other attempt. */
  except?: readonly string[]
}

/** As a class says it. */
export interface RetryPolicy extends Retry {
  /** `'exponential'` (default): each pause twice the one before; `'fixed'`; or a function, which runs in the worker. */
  backoff?: 'exponential' | 'fixed' | BackoffFunction
}

/** As the supervisor knows it. */
export interface KnownRetry extends Retry {
  readonly backoff?: 'exponential' | 'fixed' | 'own'
}

const CHECKS: Record<keyof RetryPolicy, (value: unknown) => boolean> = {
  attempts: (value) => Number.isInteger(value) && isBetween(value, 1, 0xffff),
  backoff: (value) => value === 'exponential' || value === 'fixed' || typeof value === 'function',
  delay: (value) => isBetween(value, 0, Number.MAX_SAFE_INTEGER),
  maxDelay: (value) => isBetween(value, 0, Number.MAX_SAFE_INTEGER),
  jitter: (value) => isBetween(value, 0, 1),
  except: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
}

export const RETRY_ALLOWED =
  "an object with any of attempts (1 to 65535), backoff ('exponential', 'fixed' or a function), delay and maxDelay " +
  '(milliseconds from 0), jitter (0 to 1), except (a list of names or codes of errors)'

export function isRetryPolicy(value: unknown): value is RetryPolicy {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(
    ([key, part]) => Object.hasOwn(CHECKS, key) && (part === undefined || CHECKS[key as keyof RetryPolicy](part)),
  )
}

/** Without the function, which stays in the worker's host. */
export function knownRetry({ backoff, ...rest }: RetryPolicy): KnownRetry {
  if (backoff === undefined) return rest
  return { ...rest, backoff: typeof backoff === 'function' ? 'own' : backoff }
}

interface Policies<P> {
  readonly methods: readonly string[]
  readonly retry: P
  readonly retries: Readonly<Record<string, P>>
}

/** The policy of each method that has one. */
export function policiesOf<P extends object>({ methods, retry, retries }: Policies<P>): Map<string, P> {
  const own = new Map(Object.entries(retries))
  const policies = new Map<string, P>()
  for (const method of methods) {
    const policy = own.get(method) ?? retry
    if (Object.keys(policy).length > 0) policies.set(method, policy)
  }
  return policies
}

function isBetween(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most
}
