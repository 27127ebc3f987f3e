/** How graphile-worker is used, by client and worker. */

/** Jobs that a worker fetches at once, from its documentation's page on performance. */
export const LOCAL_QUEUE = 500
/**
 * Connections, which is also its default. More do not make it faster, at 64 and at 1024 calls in flight either:
 * every add_job notifies, and PostgreSQL lets transactions that notify commit one after the other.
 */
export const POOL = 10
/** ms between two looks for jobs whose time has come: the default of 2000 would be the lateness. */
export const POLL_MS = 5
