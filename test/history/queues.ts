/** Invariants 7 to 10: order, times, that all gets done in the end, and equality with the model. */
import type { Backoff } from '#offstage/persistence/backoff.js'
import { type IssuedJob, keyOf, queueOf } from './events.js'
import { describe, Model, type ModelJob } from './model.js'
import { concerns } from './possible.js'
import type { CallRecord, Timeline, Violation } from './timeline.js'

/** What a `state` shows is what the model allows, and the store opens after every crash. */
export function modelEquality(timeline: Timeline, backoff?: Backoff): Violation[] {
  const violations: Violation[] = []
  const complain = (what: string, events: readonly number[]) =>
    violations.push({ invariant: 'model equality', what, events })
  const model = new Model(timeline, complain, backoff)
  for (const [index, event] of timeline.history.entries()) model.apply(index, event)
  return violations
}

/** Calls `look` with the model as it was before each claim's answer. */
function atClaims(
  timeline: Timeline,
  backoff: Backoff | undefined,
  look: (model: Model, call: CallRecord, jobs: readonly IssuedJob[], index: number) => void,
): void {
  const model = new Model(timeline, () => {}, backoff)
  for (const [index, event] of timeline.history.entries()) {
    if (event.type === 'ok' && event.answer.op === 'claim') {
      look(model, timeline.byNumber.get(event.call)!, event.answer.jobs, index)
    }
    model.apply(index, event)
  }
}

/**
 * A claim takes the highest priority first, then the lowest id, and passes over no job that was durable and due
 * all the while. Claims of one queue that overlap are left out: their jobs may be answered in either order.
 */
export function order(timeline: Timeline, backoff?: Backoff): Violation[] {
  const violations: Violation[] = []
  const complain = (what: string, events: number[]) => violations.push({ invariant: 'order', what, events })
  atClaims(timeline, backoff, (model, call, jobs, index) => {
    for (const [at, job] of jobs.entries()) {
      const before = jobs[at - 1]
      if (before !== undefined && !outranks(before, job)) {
        complain(`job ${job.id} ${keyOf(job)} was claimed behind job ${before.id}`, [call.invoked, index])
      }
    }
    const last = jobs.at(-1)
    if (last === undefined) return
    const beside = timeline.calls.filter((other) => other !== call && overlap(other, call))
    if (beside.some(({ what }) => what.op === 'claim' && queueOf(what.queue) === queueOf(last))) return
    const claimed = new Set(jobs.map(({ id }) => id))
    for (const job of model.jobs.values()) {
      if (claimed.has(job.id) || queueOf(job) !== queueOf(last) || !outranks(job, last)) continue
      if (!wasDue(job, call) || beside.some((other) => concerns(other, job))) continue
      complain(`${describe(job)} was due, and job ${last.id} ${keyOf(last)} was claimed before it`, [
        job.since,
        call.invoked,
        index,
      ])
    }
  })
  return violations
}

function outranks(a: { priority: number; id: number }, b: { priority: number; id: number }): boolean {
  return a.priority === b.priority ? a.id < b.id : a.priority > b.priority
}

function overlap(a: CallRecord, b: CallRecord): boolean {
  return a.invoked < b.ended && b.invoked < a.ended
}

/** Certainly, from before the call was made. */
function wasDue({ states, since }: ModelJob, call: CallRecord): boolean {
  return since < call.invoked && states.every(({ state, latest }) => state === 'waiting' && latest <= call.at)
}

/** No job is claimed before its time, the one it was enqueued for or the one it was put back for. */
export function notEarly(timeline: Timeline, backoff?: Backoff): Violation[] {
  const violations: Violation[] = []
  const complain = (what: string, events: number[]) => violations.push({ invariant: 'not early', what, events })
  atClaims(timeline, backoff, (model, call, jobs, index) => {
    for (const { id } of jobs) {
      const job = model.jobs.get(id)
      const waiting = job?.states.filter(({ state }) => state === 'waiting') ?? []
      if (job === undefined || waiting.length === 0) continue
      const earliest = Math.min(...waiting.map((state) => state.earliest))
      if (earliest > call.endedAt) {
        complain(`${describe(job)} was claimed ${earliest - call.endedAt} ms too early`, [job.since, index])
      }
    }
  })
  return [...violations, ...notStartedEarly(timeline)]
}

/** The same for starts: all that can be said where no claims are recorded. */
export function notStartedEarly(timeline: Timeline): Violation[] {
  return [...early(timeline), ...resurrected(timeline)]
}

function early({ history, wanted }: Timeline): Violation[] {
  const violations: Violation[] = []
  for (const [index, event] of history.entries()) {
    if (event.type !== 'start' || event.token === undefined) continue
    const source = wanted.get(event.token)
    if (source === undefined || event.at >= source.job.runAt) continue
    const what = `job ${event.id} ${keyOf(source.job)} started ${source.job.runAt - event.at} ms too early`
    violations.push({ invariant: 'not early', what, events: [source.call.invoked, index] })
  }
  return violations
}

/** A job that was there before a dequeue of its key that removed something has ended: it does not run after it. */
function resurrected({ history, calls, created, byNumber, wanted }: Timeline): Violation[] {
  const violations: Violation[] = []
  const removals = new Map<string, CallRecord[]>()
  for (const call of calls) {
    if (call.what.op !== 'dequeue' || call.answer?.op !== 'dequeue' || !call.answer.removed) continue
    const key = keyOf({ ...call.what.queue, jobKey: call.what.jobKey })
    removals.set(key, [...(removals.get(key) ?? []), call])
  }
  const check = (index: number, since: number, id: number) => {
    const source = created.get(id)
    if (source === undefined) return
    const key = keyOf(wanted.get(source.token)!.job)
    for (const { invoked, ended } of removals.get(key) ?? []) {
      if (source.call.ended > invoked || since < ended) continue
      const text = `job ${id} ${key} ran after it had been dequeued`
      violations.push({ invariant: 'not early', what: text, events: [source.call.ended, ended, index] })
    }
  }
  for (const [index, event] of history.entries()) {
    if (event.type === 'ok' && event.answer.op === 'claim') {
      for (const { id } of event.answer.jobs) check(index, byNumber.get(event.call)!.invoked, id)
    } else if (event.type === 'start') check(index, index, event.id)
  }
  return violations
}

/** Once there are no more faults, all that is queued gets done: the last `state` has dead jobs only. */
export function liveness({ history }: Timeline): Violation[] {
  const healed = history.findIndex(({ type }) => type === 'healed')
  if (healed < 0) return []
  const last = history.findLastIndex(({ type }) => type === 'state')
  const state = history[last]
  if (state?.type !== 'state' || last < healed) {
    return [
      { invariant: 'liveness', what: 'the store was healed, and nobody looked at its jobs after', events: [healed] },
    ]
  }
  return state.jobs
    .filter((job) => job.state !== 'dead')
    .map((job) => ({
      invariant: 'liveness',
      what: `job ${job.id} ${keyOf(job)} is still ${job.state} at the end`,
      events: [healed, last],
    }))
}
