/** Invariants 1 and 2: nothing that was acknowledged is lost, and nothing is there that nobody asked for. */
import { keyOf } from './events.js'
import type { CallRecord, Timeline, Violation } from './timeline.js'

/**
 * Every job whose enqueue was acknowledged ends done, dead or dequeued. Needs a `state` at the end of the history,
 * which holds the dead jobs and those that wait; without one nothing is found.
 *
 * Where in the order of the enqueues the lost ones stand says what kind of loss it is: a lost end was not synced,
 * a lost beginning was deleted too early, a hole is damage.
 */
export function noLoss({ history, calls, created }: Timeline): Violation[] {
  const last = history.findLastIndex(({ type }) => type === 'state')
  const state = history[last]
  if (state?.type !== 'state') return []
  const there = new Set(state.jobs.map(({ id }) => id))
  const finished = new Set<number>()
  const dequeued = new Map<string, CallRecord[]>()
  for (const call of calls) {
    const { what, answer, outcome } = call
    if (outcome === 'fail') continue
    if (what.op === 'finish') {
      for (const [index, { id }] of what.attempts.entries()) {
        if (answer?.op !== 'finish' || answer.current[index] === true) finished.add(id)
      }
    } else if (what.op === 'dequeue' && (answer?.op !== 'dequeue' || answer.removed)) {
      const key = keyOf({ ...what.queue, jobKey: what.jobKey })
      dequeued.set(key, [...(dequeued.get(key) ?? []), call])
    }
  }
  const ids = [...created].filter(([, { call }]) => call.ended < last).sort(([a], [b]) => a - b)
  const lost = ids.filter(([id, { token, call }]) => {
    if (there.has(id) || finished.has(id)) return false
    return !(dequeued.get(keyOf(jobOf(token, call))) ?? []).some(({ ended }) => ended > call.invoked)
  })
  const firstLost = ids.indexOf(lost[0]!)
  const lastLost = ids.indexOf(lost.at(-1)!)
  const place = firstLost === 0 ? 'beginning' : lastLost === ids.length - 1 ? 'end' : 'middle'
  return lost.map(([id, { token, call }]) => ({
    invariant: 'no loss',
    what: `job ${id} ${keyOf(jobOf(token, call))} was acknowledged and is lost, at the ${place} of ${ids.length} enqueued`,
    events: [call.invoked, call.ended, last],
  }))
}

function jobOf(token: string, { what }: CallRecord) {
  if (what.op !== 'enqueue') throw new Error(`the token ${token} is of no enqueue`)
  return what.jobs.find((job) => job.token === token)!
}

/**
 * Every job that a claim gives out, every start and every job in a `state` was asked for by an enqueue that did
 * not fail, is as it was asked for, and is the only one of its request and of its id.
 */
export function noInvention({ history, wanted, created, byNumber }: Timeline): Violation[] {
  const violations: Violation[] = []
  const tokenOfId = new Map([...created].map(([id, { token }]) => [id, token]))
  const idOfToken = new Map([...created].map(([id, { token }]) => [token, id]))
  const complain = (what: string, ...events: number[]) => violations.push({ invariant: 'no invention', what, events })

  const check = (index: number, id: number, token: string | undefined): void => {
    if (token === undefined) {
      complain(`job ${id} has an argument that nobody sent`, index)
      return
    }
    const source = wanted.get(token)
    if (source === undefined || source.call.invoked > index) {
      complain(`job ${id} carries the token ${token}, which nobody sent`, index)
      return
    }
    const { call, job } = source
    if (call.outcome === 'fail' && call.ended < index) {
      complain(`job ${id} ${keyOf(job)} is there although its enqueue failed`, call.invoked, call.ended, index)
    }
    const otherToken = tokenOfId.get(id)
    const otherId = idOfToken.get(token)
    if (otherToken !== undefined && otherToken !== token) {
      complain(`job ${id} is that of the request ${otherToken} and that of ${token}`, call.invoked, index)
    } else if (otherId !== undefined && otherId !== id) {
      complain(`the request ${token} made job ${otherId} and job ${id}`, call.invoked, index)
    }
    tokenOfId.set(id, token)
    idOfToken.set(token, id)
  }

  for (const [index, event] of history.entries()) {
    if (event.type === 'start') check(index, event.id, event.token)
    if (event.type !== 'ok' || event.answer.op !== 'claim') continue
    const { what } = byNumber.get(event.call)!
    for (const issued of event.answer.jobs) {
      check(index, issued.id, issued.token)
      const job = issued.token === undefined ? undefined : wanted.get(issued.token)?.job
      if (job === undefined) continue
      const differs = (
        ['worker', 'workerKey', 'jobKey', 'method', 'priority', 'maxAttempts', 'atMostOnce'] as const
      ).find((field) => job[field] !== issued[field])
      if (differs !== undefined) {
        complain(
          `job ${issued.id} ${keyOf(job)} has ${differs} ${issued[differs]}, asked for was ${job[differs]}`,
          index,
        )
      }
      if (what.op === 'claim' && (what.queue.worker !== issued.worker || what.queue.workerKey !== issued.workerKey)) {
        complain(`job ${issued.id} ${keyOf(issued)} was claimed from another queue`, index)
      }
    }
  }
  return violations
}
