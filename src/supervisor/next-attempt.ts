/** When a job whose attempt has failed is tried again, by the policy of its method. */
import type { KnownRetry } from '../actors/retry-policy.js'
import type { OffstageError, RemoteWorkerError } from '../errors.js'
import { type Backoff, backoffDelay } from '../persistence/backoff.js'

/** Milliseconds; `false`: there is no other attempt; undefined: as the store does it. `defaults` fills in what the policy leaves open. */
export function nextAttemptIn(
  policy: KnownRetry | undefined,
  attempt: number,
  error: OffstageError,
  defaults: Backoff,
  random: () => number,
): number | false | undefined {
  if (policy === undefined) return undefined
  const { backoff, delay, maxDelay, jitter, except = [] } = policy
  if (namesOf(error).some((name) => except.includes(name))) return false
  const { retryIn } = error.details
  if (backoff === 'own' && (retryIn === false || typeof retryIn === 'number')) return retryIn
  return backoffDelay(
    {
      first: delay ?? defaults.first,
      factor: backoff === 'fixed' ? 1 : defaults.factor,
      max: maxDelay ?? Math.max(defaults.max, delay ?? 0),
      jitter: jitter ?? defaults.jitter,
    },
    attempt,
    random(),
  )
}

/** What a policy may call the error: what the method threw, or what happened to it. */
function namesOf(error: OffstageError): string[] {
  const { remote } = error as RemoteWorkerError
  return remote === undefined ? [error.name, error.code] : [remote.name, String(remote.code)]
}
