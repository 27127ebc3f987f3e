/**
 * What one job may be: its states as the rules of the queue allow them, where a call without an answer may have
 * had its effect or not. The rules are written here once more, as plainly as possible.
 */
import { type Backoff, backoffDelay } from '#offstage/persistence/backoff.js'
import type { Attempt } from '#offstage/persistence/store.js'
import { keyOf, queueOf, type WantedJob } from './events.js'
import type { CallRecord } from './timeline.js'

export interface Possible {
  readonly state: 'waiting' | 'active' | 'dead' | 'gone'
  readonly attempts: number
  /** The time before which it does not run lies between these; most often they are the same. */
  readonly earliest: number
  readonly latest: number
  readonly suspect: boolean
}

export type Facts = Omit<WantedJob, 'token'>

export function enqueued(job: Facts): Possible {
  return { state: 'waiting', attempts: 0, earliest: job.runAt, latest: job.runAt, suspect: false }
}

export function claimed(from: Possible): Possible {
  return { ...from, state: 'active', attempts: from.attempts + 1 }
}

export function retried(job: Facts, from: Possible, earliest: number, latest: number, suspect: boolean): Possible {
  if (!attemptsLeft(job, from)) return ended(from, 'dead')
  return { ...from, state: 'waiting', earliest, latest, suspect }
}

export function released(job: Facts, from: Possible, runAt: number, counted: boolean): Possible {
  if (counted) return retried(job, from, runAt, runAt, false)
  return { ...from, state: 'waiting', attempts: from.attempts - 1, earliest: runAt, latest: runAt }
}

export function ended(from: Possible, state: 'gone' | 'dead'): Possible {
  // A dead job says when it died, which may be any time until it is seen.
  const times = state === 'dead' ? { earliest: 0, latest: Number.POSITIVE_INFINITY } : {}
  return { ...from, ...times, state, suspect: false }
}

/** Whoever ran it is gone. */
export function restarted(job: Facts, from: Possible): Possible {
  return from.state === 'active' ? retried(job, from, from.earliest, from.latest, true) : from
}

function attemptsLeft(job: Facts, { attempts }: Possible): boolean {
  return !job.atMostOnce && attempts < job.maxAttempts
}

/** All that the job can be when each of the calls had its effect or not, in whatever order. */
export function outcomes(
  job: Facts & { readonly id: number },
  from: readonly Possible[],
  calls: readonly CallRecord[],
  backoff: Backoff,
): Possible[] {
  const concerned = calls.filter((call) => concerns(call, job))
  const found = new Map<string, Possible>()
  const seen = new Set<string>()
  const visit = (state: Possible, left: readonly CallRecord[]) => {
    const name = nameOf(state)
    const visited = `${name} ${left.map(({ call }) => call).join()}`
    if (seen.has(visited)) return
    seen.add(visited)
    found.set(name, state)
    for (const call of left) {
      const next = effect(call, job, state, backoff)
      if (next !== undefined)
        visit(
          next,
          left.filter((other) => other !== call),
        )
    }
  }
  for (const state of from) visit(state, concerned)
  return [...found.values()]
}

export function distinct(states: readonly Possible[]): Possible[] {
  return [...new Map(states.map((state) => [nameOf(state), state])).values()]
}

/** Could the call change this job, in whatever state that is? */
export function concerns({ what }: CallRecord, job: Facts & { readonly id: number }): boolean {
  switch (what.op) {
    case 'claim':
      return queueOf(what.queue) === queueOf(job)
    case 'dequeue':
      return keyOf({ ...what.queue, jobKey: what.jobKey }) === keyOf(job)
    case 'finish':
      return what.attempts.some(({ id }) => id === job.id)
    case 'fail':
    case 'release':
      return what.attempt.id === job.id
    default:
      return false
  }
}

/** Undefined: none. */
function effect(
  { what, at }: CallRecord,
  job: Facts & { readonly id: number },
  from: Possible,
  backoff: Backoff,
): Possible | undefined {
  const current = ({ id, attempt }: Attempt) => id === job.id && from.state === 'active' && attempt === from.attempts
  switch (what.op) {
    case 'claim':
      return from.state === 'waiting' && from.earliest <= at ? claimed(from) : undefined
    case 'dequeue':
      return from.state === 'waiting' ? ended(from, 'gone') : undefined
    case 'finish':
      return what.attempts.some(current) ? ended(from, 'gone') : undefined
    case 'fail': {
      if (!current(what.attempt)) return undefined
      const [least, most] = [0, 1].map((random) => at + backoffDelay(backoff, from.attempts, random))
      return retried(job, from, least!, most!, what.crashed)
    }
    case 'release':
      return current(what.attempt) ? released(job, from, what.runAt ?? at, what.counted) : undefined
    default:
      return undefined
  }
}

function nameOf({ state, attempts, earliest, latest, suspect }: Possible): string {
  return state === 'gone' ? state : `${state} ${attempts} ${earliest} ${latest} ${suspect}`
}
