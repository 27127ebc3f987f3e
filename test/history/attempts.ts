/** Invariants 3, 4 and 5: how often a job runs, that it does not run beside itself, and who may settle it. */
import type { Attempt } from '#offstage/persistence/store.js'
import { keyOf } from './events.js'
import type { CallRecord, Timeline, Violation } from './timeline.js'

interface Start {
  readonly index: number
  readonly run: string
  readonly id: number
  readonly attempt: number
  readonly token: string | undefined
  /** Index of its `end`, or of the crash that ended it. */
  ended: number
}

function starts({ history }: Timeline): Start[] {
  const all: Start[] = []
  const running = new Map<string, Start>()
  for (const [index, event] of history.entries()) {
    if (event.type === 'start') {
      const { run, id, attempt, token } = event
      const start: Start = { index, run, id, attempt, token, ended: Number.POSITIVE_INFINITY }
      all.push(start)
      running.set(run, start)
    } else if (event.type === 'end') {
      const start = running.get(event.run)
      if (start !== undefined) start.ended = index
      running.delete(event.run)
    } else if (event.type === 'crash') {
      for (const start of running.values()) start.ended = index
      running.clear()
    }
  }
  return all
}

function byJob(all: readonly Start[]): Start[][] {
  const jobs = new Map<number, Start[]>()
  for (const start of all) jobs.set(start.id, [...(jobs.get(start.id) ?? []), start])
  return [...jobs.values()]
}

function named(timeline: Timeline, { id, token }: { id: number; token?: string | undefined }): string {
  const wanted = timeline.wanted.get(token ?? timeline.created.get(id)?.token ?? '')
  return `job ${id}${wanted === undefined ? '' : ` ${keyOf(wanted.job)}`}`
}

/**
 * A job starts at most `maxAttempts` times, one that is `atMostOnce` once; no attempt starts twice; and nothing
 * starts after its completion was acknowledged.
 *
 * A power cut can take with it the claim of a job that had started, since a claim is answered when it is written.
 * The attempt then starts a second time under its number, and does not count twice. A claim that was given back as
 * not counted (`release`) never started, so it has no `start`, and its number is given out again.
 */
export function boundedRepeats(timeline: Timeline): Violation[] {
  const violations: Violation[] = []
  const complain = (what: string, events: number[]) => violations.push({ invariant: 'bounded repeats', what, events })
  const powerCuts = indexesOf(timeline, (event) => event.type === 'crash' && event.power)
  const finished = completions(timeline)
  for (const runs of byJob(starts(timeline))) {
    const { id, token } = runs[0]!
    const name = named(timeline, runs[0]!)
    const job = timeline.wanted.get(token ?? '')?.job
    const most = job === undefined ? Number.POSITIVE_INFINITY : job.atMostOnce ? 1 : job.maxAttempts
    const counted = new Map<number, Start>()
    for (const run of runs) {
      const earlier = counted.get(run.attempt)
      if (earlier !== undefined) {
        const cut = powerCuts.some((index) => index > earlier.index && index < run.index)
        if (!cut || job?.atMostOnce === true) {
          complain(`${name} started twice in attempt ${run.attempt}`, [earlier.index, run.index])
        }
      }
      counted.set(run.attempt, run)
      if (run.attempt > most || counted.size > most) {
        complain(
          `${name} started in attempt ${run.attempt} of ${most}`,
          runs.map(({ index }) => index),
        )
      }
      const done = finished.get(id)
      if (done !== undefined && done < run.index) {
        complain(`${name} started after its completion was acknowledged`, [done, run.index])
      }
    }
  }
  return violations
}

/** By id: the index of the event that acknowledged it. */
function completions({ calls }: Timeline): Map<number, number> {
  const done = new Map<number, number>()
  for (const { what, answer, ended } of calls) {
    if (what.op !== 'finish' || answer?.op !== 'finish') continue
    for (const [index, { id }] of what.attempts.entries()) if (answer.current[index] === true) done.set(id, ended)
  }
  return done
}

/** No job runs twice at the same time. */
export function noOverlap(timeline: Timeline): Violation[] {
  const violations: Violation[] = []
  for (const runs of byJob(starts(timeline))) {
    for (const [at, run] of runs.entries()) {
      const before = runs.slice(0, at).find(({ ended }) => ended > run.index)
      if (before === undefined) continue
      violations.push({
        invariant: 'no overlap',
        what: `${named(timeline, run)} started in attempt ${run.attempt} while attempt ${before.attempt} ran`,
        events: [before.index, run.index],
      })
    }
  }
  return violations
}

interface Settling extends Attempt {
  readonly call: CallRecord
  readonly op: string
  /** Undefined: no answer. */
  readonly accepted: boolean | undefined
  readonly counted: boolean
}

/**
 * An attempt is settled (finished, failed, released) by who holds it, once: what is accepted was given out by a
 * claim, in the same life of the store, and not settled before. And a job that is done or dead stays so.
 *
 * An attempt that is given back as not counted is given out again under its number. Nothing distinguishes the two
 * holders then, so either may settle it; only that both do counts as a fault. Needs `claim` events.
 */
export function fencing(timeline: Timeline): Violation[] {
  const violations: Violation[] = []
  const complain = (what: string, events: number[]) => violations.push({ invariant: 'fencing', what, events })
  const claims = issued(timeline)
  if (claims.size === 0) return violations
  const crashes = indexesOf(timeline, ({ type }) => type === 'open')
  const accepted = new Map<string, Settling[]>()
  const terminal = new Map<number, Settling>()
  for (const settling of settlings(timeline)) {
    if (settling.accepted !== true) continue
    const { id, attempt, call } = settling
    const name = `attempt ${attempt} of ${named(timeline, { id })}`
    const key = `${id}/${attempt}`
    const life = (index: number) => crashes.findLast((crash) => crash < index) ?? -1
    const mine = life(call.invoked)
    const given = (claims.get(key) ?? []).filter((claim) => claim.invoked < call.ended && life(claim.invoked) === mine)
    const before = (accepted.get(key) ?? []).filter((other) => life(other.call.invoked) === mine)
    if (given.length === 0) {
      complain(`${name} was settled by ${settling.op}, but nobody held it`, [call.invoked, call.ended])
    } else if (before.length >= given.length) {
      const other = before.at(-1)!
      complain(`${name} was settled twice, by ${other.op} and by ${settling.op}`, [other.call.ended, call.ended])
    }
    accepted.set(key, [...(accepted.get(key) ?? []), settling])
    const end = terminal.get(id)
    if (end !== undefined && end.call.ended < call.invoked) {
      complain(`${name} was settled by ${settling.op} after the job had ended by ${end.op}`, [
        end.call.ended,
        call.ended,
      ])
    }
    if (settling.op === 'finish' || settling.op === 'death') terminal.set(id, settling)
  }
  return violations
}

/** By `id/attempt`: the claims that gave it out, or may have: one without an answer could have taken any job. */
function issued({ calls }: Timeline): Map<string, CallRecord[]> {
  const claims = new Map<string, CallRecord[]>()
  for (const call of calls) {
    if (call.answer?.op !== 'claim') continue
    for (const { id, attempt } of call.answer.jobs) {
      const key = `${id}/${attempt}`
      claims.set(key, [...(claims.get(key) ?? []), call])
    }
  }
  return claims
}

function settlings({ calls }: Timeline): Settling[] {
  const all: Settling[] = []
  for (const call of calls) {
    const { what, answer } = call
    if (what.op === 'finish') {
      for (const [index, attempt] of what.attempts.entries()) {
        const accepted = answer?.op === 'finish' ? answer.current[index] : undefined
        all.push({ ...attempt, call, op: 'finish', accepted, counted: true })
      }
    } else if (what.op === 'fail') {
      const outcome = answer?.op === 'fail' ? answer.outcome.state : undefined
      const accepted = outcome === undefined ? undefined : outcome !== 'stale'
      all.push({ ...what.attempt, call, op: outcome === 'dead' ? 'death' : 'fail', accepted, counted: true })
    } else if (what.op === 'release') {
      const accepted = answer?.op === 'release' ? answer.current : undefined
      all.push({ ...what.attempt, call, op: 'release', accepted, counted: what.counted })
    }
  }
  return all.sort((a, b) => a.call.ended - b.call.ended)
}

function indexesOf({ history }: Timeline, wanted: (event: Timeline['history'][number]) => boolean): number[] {
  const indexes: number[] = []
  for (const [index, event] of history.entries()) if (wanted(event)) indexes.push(index)
  return indexes
}
