/**
 * Invariant 6: at most one unfinished job per key. For each key the calls are intervals, and there must be an order
 * of single moments in them in which every answer is right: a search in the manner of Wing and Gong (JPDC 1993).
 */
import { keyOf, queueOf } from './events.js'
import type { CallRecord, Timeline, Violation } from './timeline.js'

/** Who has the key: nobody, a job by its id, or the job of a request of which nobody was told the id. */
type Holder = number | 'unknown' | undefined

interface Step {
  readonly from: number
  readonly to: number
  /** It may not have happened. */
  readonly optional: boolean
  /** What it makes of the holder; 'impossible' when its answer is wrong then. */
  readonly effect: (holder: Holder) => Holder | 'impossible'
  readonly name: string
}

/** A search that takes longer is given up, and said to be. */
const MOST_VISITS = 500_000

export function uniqueness(timeline: Timeline): Violation[] {
  const violations: Violation[] = []
  for (const [key, steps] of stepsByKey(timeline)) {
    const stuck = linearise(steps)
    if (stuck === undefined) continue
    violations.push({
      invariant: 'uniqueness',
      what: `${key} ${stuck.undecided ? 'has too many overlapping calls to be judged' : `would be two jobs at once: no order of the calls explains ${stuck.step.name}`}`,
      events: steps.filter(({ from, to }) => from <= stuck.step.to && to >= stuck.step.from).map(({ from }) => from),
    })
  }
  return violations
}

/** Undefined when there is an order; otherwise the first step that fits nowhere in the longest attempt. */
function linearise(unsorted: readonly Step[]): { step: Step; undecided: boolean } | undefined {
  const steps = [...unsorted].sort((a, b) => a.from - b.from)
  const seen = new Set<string>()
  let visits = 0
  let deepest = -1
  let stuck: Step | undefined
  const visit = (done: ReadonlySet<number>, first: number, holder: Holder): boolean => {
    while (done.has(first)) first++
    if (first === steps.length) return true
    const state = `${first} ${[...done]
      .filter((at) => at > first)
      .sort((a, b) => a - b)
      .join()} ${holder}`
    if (seen.has(state) || visits++ > MOST_VISITS) return false
    seen.add(state)
    if (done.size > deepest) {
      deepest = done.size
      stuck = steps[first]
    }
    let limit = Number.POSITIVE_INFINITY
    for (let at = first; at < steps.length; at++) {
      if (!done.has(at)) limit = Math.min(limit, steps[at]!.to)
    }
    const enabled: number[] = []
    for (let at = first; at < steps.length && steps[at]!.from <= limit; at++) if (!done.has(at)) enabled.push(at)
    // One that fits and changes nothing can always come first.
    const reading = enabled.find((at) => holder !== undefined && steps[at]!.effect(holder) === holder)
    if (reading !== undefined) return visit(new Set(done).add(reading), first, holder)
    for (const at of enabled) {
      const step = steps[at]!
      const next = step.effect(holder)
      const after = new Set(done).add(at)
      if (next !== 'impossible' && visit(after, first, next)) return true
    }
    // What need not have happened is left out only when others wait for it, and one after the other.
    const needless = enabled.find((at) => steps[at]!.optional && steps[at]!.to === limit)
    if (needless !== undefined) return visit(new Set(done).add(needless), first, holder)
    return false
  }
  if (visit(new Set(), 0, undefined)) return undefined
  return { step: stuck ?? steps[0]!, undecided: visits > MOST_VISITS }
}

function stepsByKey(timeline: Timeline): Map<string, Step[]> {
  const { history, calls, wanted, created } = timeline
  const opens = [...history.entries()].filter(([, { type }]) => type === 'open').map(([index]) => index)
  const byKey = new Map<string, Step[]>()
  const ids = idsByToken(timeline)
  const keyOfId = new Map<number, string>()
  for (const [token, id] of ids) {
    const source = wanted.get(token)
    if (source !== undefined) keyOfId.set(id, keyOf(source.job))
  }
  const add = (key: string | undefined, call: CallRecord, step: Omit<Step, 'from' | 'to'>) => {
    if (key === undefined) return
    const steps = byKey.get(key) ?? []
    steps.push({ from: call.invoked, to: lastMoment(opens, call), ...step })
    byKey.set(key, steps)
  }
  const leave = (id: number, call: CallRecord, optional: boolean, name: string) => {
    const known = created.has(id)
    const holds = (holder: Holder) => holder === id || (!known && holder === 'unknown')
    add(keyOfId.get(id), call, { optional, name, effect: (holder) => (holds(holder) ? undefined : 'impossible') })
  }

  for (const call of calls) {
    const { what, answer, outcome } = call
    if (outcome === 'fail') continue
    const unknown = answer === undefined
    if (what.op === 'enqueue') {
      for (const [at, job] of what.jobs.entries()) {
        const told = answer?.op === 'enqueue' ? answer.jobs[at] : undefined
        const name = `the enqueue of ${job.token} (${told === undefined ? 'no answer' : `job ${told.id}${told.created ? '' : ', not created'}`})`
        if (told?.created === false) {
          const { id } = told
          const fits = (holder: Holder) => holder === id || (!created.has(id) && holder === 'unknown')
          add(keyOf(job), call, { optional: false, name, effect: (holder) => (fits(holder) ? id : 'impossible') })
        } else {
          const holder = ids.get(job.token) ?? 'unknown'
          const effect = (before: Holder) => (before === undefined ? holder : 'impossible')
          // One whose job was seen did happen, answer or not.
          add(keyOf(job), call, { optional: !ids.has(job.token), name, effect })
        }
      }
    } else if (what.op === 'dequeue') {
      if (!unknown && !(answer.op === 'dequeue' && answer.removed)) continue
      const key = keyOf({ ...what.queue, jobKey: what.jobKey })
      const effect = (holder: Holder) => (holder === undefined ? ('impossible' as const) : undefined)
      add(key, call, { optional: unknown, name: 'its dequeue', effect })
    } else if (what.op === 'finish') {
      for (const [at, { id }] of what.attempts.entries()) {
        if (unknown || (answer.op === 'finish' && answer.current[at] === true)) {
          leave(id, call, unknown, `the end of job ${id}`)
        }
      }
    } else if (what.op === 'fail') {
      if (unknown || (answer.op === 'fail' && answer.outcome.state === 'dead')) {
        leave(what.attempt.id, call, unknown, `the death of job ${what.attempt.id}`)
      }
    } else if (what.op === 'release') {
      if (unknown || (answer.op === 'release' && answer.current)) {
        leave(what.attempt.id, call, true, `the release of job ${what.attempt.id}`)
      }
    }
  }
  addDeaths(timeline, byKey, keyOfId)

  return byKey
}

/** A job that is claimed when the process ends can be dead when it begins again. */
function addDeaths({ history, calls }: Timeline, byKey: Map<string, Step[]>, keyOfId: Map<number, string>): void {
  const claims = calls.filter(({ what }) => what.op === 'claim')
  if (claims.length === 0) return
  let last = -1
  for (const [index, event] of history.entries()) {
    if (event.type !== 'open') continue
    for (const [key, steps] of byKey) {
      const claimed = claims.some(({ what, answer, invoked }) => {
        if (what.op !== 'claim' || invoked < last || invoked > index) return false
        if (answer?.op !== 'claim') return key.startsWith(`${queueOf(what.queue)}/`)
        return answer.jobs.some((job) => (keyOfId.get(job.id) ?? keyOf(job)) === key)
      })
      if (!claimed) continue
      steps.push({ from: index, to: index, optional: true, name: 'a death by a crash', effect: () => undefined })
    }
    last = index
  }
}

/** The id of a request's job, from an answer or from whoever ran it. */
function idsByToken({ history, created }: Timeline): Map<string, number> {
  const ids = new Map<string, number>()
  for (const [id, { token }] of created) ids.set(token, id)
  for (const event of history) {
    if (event.type === 'start' && event.token !== undefined) ids.set(event.token, event.id)
    if (event.type !== 'ok' || event.answer.op !== 'claim') continue
    for (const { id, token } of event.answer.jobs) if (token !== undefined) ids.set(token, id)
  }
  return ids
}

/** A call without an answer can have its effect until the process that it was sent to is replaced. */
function lastMoment(opens: readonly number[], { ended, outcome }: CallRecord): number {
  if (outcome === 'ok') return ended
  return opens.find((open) => open > ended) ?? Number.POSITIVE_INFINITY
}
