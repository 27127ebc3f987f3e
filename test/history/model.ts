/**
 * A pure model of the store, fed with a history: for each job the states that it may be in. An answer makes one
 * of them certain; a call without an answer leaves two; a look at all jobs (`state`) settles what is left.
 *
 * A claim is answered when it is written, not when it is durable. So after a power cut it may be lost, unless a
 * later call was answered that only the disk can answer: the journal is one sequence, and what comes first in it
 * survives first. That reads the order of the records off the order of the calls, so `claim` belongs only into
 * histories that are recorded where the store is called.
 */
import { type Backoff, DEFAULT_BACKOFF } from '#offstage/persistence/backoff.js'
import type { JobInfo } from '#offstage/persistence/store.js'
import { type HistoryEvent, type IssuedJob, keyOf, type WantedJob } from './events.js'
import {
  claimed,
  distinct,
  ended,
  enqueued,
  type Facts,
  outcomes,
  type Possible,
  released,
  restarted,
  retried,
} from './possible.js'
import type { CallRecord, Timeline } from './timeline.js'

export interface ModelJob extends Facts {
  readonly id: number
  /** At least one. */
  states: readonly Possible[]
  /** Index of the event that made the states what they are. */
  since: number
  /** While the last claim may not be durable: what the job was before, and the index of the claim's `invoke`. */
  unsynced: { readonly before: readonly Possible[]; readonly invoked: number } | undefined
}

export type Complain = (what: string, events: readonly number[]) => void

export class Model {
  readonly jobs = new Map<number, ModelJob>()
  readonly #timeline: Timeline
  readonly #backoff: Backoff
  readonly #complain: Complain
  /** Calls without an answer, since the last look at all jobs. */
  #unanswered = new Set<CallRecord>()
  /** Records of calls invoked before this event are durable. */
  #durable = -1
  #powerCut = false
  /** Keys that some job may have had when calls without an answer were made. */
  #held = new Set<string>()

  constructor(timeline: Timeline, complain: Complain, backoff: Backoff = DEFAULT_BACKOFF) {
    this.#timeline = timeline
    this.#complain = complain
    this.#backoff = backoff
  }

  apply(index: number, event: HistoryEvent): void {
    switch (event.type) {
      case 'invoke':
        this.#unanswered.add(this.#call(event.call))
        break
      case 'fail':
        this.#unanswered.delete(this.#call(event.call))
        break
      case 'ok':
        this.#answered(index, this.#call(event.call))
        break
      case 'crash':
        if (event.power) this.#powerCut = true
        break
      case 'open':
        this.#opened(index)
        break
      case 'refused':
        this.#complain(`the store does not open: ${event.why}`, [index])
        break
      case 'state':
        this.#seen(index, event.jobs)
    }
  }

  #call(number: number): CallRecord {
    return this.#timeline.byNumber.get(number)!
  }

  #answered(index: number, call: CallRecord): void {
    this.#unanswered.delete(call)
    const { what, answer } = call
    let durable = false
    if (answer?.op === 'enqueue' && what.op === 'enqueue') {
      for (const [position, { id, created }] of answer.jobs.entries()) {
        if (!created) continue
        durable = true
        this.#add(index, id, what.jobs[position]!)
      }
    } else if (answer?.op === 'dequeue' && what.op === 'dequeue') {
      durable = answer.removed
      if (answer.removed) this.#removed(index, keyOf({ ...what.queue, jobKey: what.jobKey }))
    } else if (answer?.op === 'claim') {
      for (const issued of answer.jobs) {
        if (issued.atMostOnce) durable = true
        this.#issued(index, call, issued)
      }
    } else if (answer?.op === 'finish' && what.op === 'finish') {
      for (const [position, { id }] of what.attempts.entries()) {
        if (answer.current[position] !== true) continue
        durable = true
        this.#change(index, id, (from) => ended(from, 'gone'))
      }
    } else if (answer?.op === 'fail' && what.op === 'fail') {
      const { outcome } = answer
      durable = outcome.state !== 'stale'
      if (outcome.state === 'dead') this.#change(index, what.attempt.id, (from) => ended(from, 'dead'))
      else if (outcome.state === 'retry') {
        const { runAt } = outcome
        this.#change(index, what.attempt.id, (from, job) => retried(job, from, runAt, runAt, what.crashed))
      }
    } else if (answer?.op === 'release' && what.op === 'release') {
      durable = answer.current
      const runAt = what.runAt ?? call.at
      if (durable) this.#change(index, what.attempt.id, (from, job) => released(job, from, runAt, what.counted))
    } else if (answer?.op === 'close') durable = true
    if (durable && call.invoked > this.#durable) this.#durable = call.invoked
  }

  #add(index: number, id: number, wanted: WantedJob): void {
    const { token: _, ...facts } = wanted
    const known = this.jobs.get(id)
    if (known !== undefined) this.#complain(`${describe(known)} was enqueued a second time under its id`, [index])
    this.jobs.set(id, { ...facts, id, states: [enqueued(facts)], since: index, unsynced: undefined })
  }

  #removed(index: number, key: string): void {
    for (const job of this.jobs.values()) {
      if (keyOf(job) !== key || !job.states.some(({ state }) => state === 'waiting')) continue
      this.#change(index, job.id, (from) => ended(from, 'gone'))
      return
    }
    // The first and last sign of an enqueue without an answer: whatever its id was, it is gone.
    if (this.#isWanted(key)) this.#held.add(key)
    else this.#complain(`${key} was removed, but no job with that key was waiting`, [index])
  }

  #issued(index: number, call: CallRecord, { id, attempt, suspect, token }: IssuedJob): void {
    const source = this.#timeline.wanted.get(token ?? '')
    // An enqueue without an answer, of which this is the first sign.
    if (!this.jobs.has(id) && source !== undefined && this.#unanswered.has(source.call))
      this.#add(index, id, source.job)

    const job = this.jobs.get(id)
    // Invariants 2 and 5 tell of jobs that nobody asked for.
    if (job === undefined) return
    const before = job.states.filter(({ state }) => state === 'waiting')
    const after = before.map(claimed).filter((state) => state.attempts === attempt && state.suspect === suspect)
    if (after.length === 0) {
      const as = suspect ? ' as a suspect' : ''
      this.#complain(`${describe(job)} was claimed for attempt ${attempt}${as}, but it was ${all(job.states)}`, [
        job.since,
        call.invoked,
        index,
      ])
      return
    }
    job.unsynced = { before, invoked: call.invoked }
    job.states = after
    job.since = index
  }

  #change(index: number, id: number, change: (from: Possible, job: ModelJob) => Possible): void {
    const job = this.jobs.get(id)
    if (job === undefined) return
    if (this.#isWanted(keyOf(job))) this.#held.add(keyOf(job))
    job.states = distinct(job.states.map((from) => change(from, job)))
    job.since = index
  }

  /** After a crash or a clean end: what was in flight may have happened, and whatever ran is over. */
  #opened(index: number): void {
    const unanswered = [...this.#unanswered]
    for (const job of this.jobs.values()) {
      let from = job.states
      if (this.#powerCut && job.unsynced !== undefined && job.unsynced.invoked > this.#durable) {
        from = [...from, ...job.unsynced.before]
      }
      if (from.every(({ state }) => state === 'gone')) continue
      if (from.some(holds)) this.#held.add(keyOf(job))
      const before = job.states
      const after = outcomes(job, from, unanswered, this.#backoff)
      job.states = distinct(after.map((state) => restarted(job, state)))
      job.unsynced = undefined
      if (before.length !== job.states.length || before[0] !== job.states[0]) job.since = index
    }
    this.#powerCut = false
  }

  #seen(index: number, infos: readonly JobInfo[]): void {
    const found = new Map(infos.map((info) => [info.id, info]))
    for (const job of this.jobs.values()) {
      if (job.states.some(holds)) this.#held.add(keyOf(job))
      const info = found.get(job.id)
      found.delete(job.id)
      this.#settle(index, job, info)
    }
    this.#checkWhole(index, this.#appeared(index, found))
    this.#unanswered.clear()
    this.#held.clear()
  }

  #settle(index: number, job: ModelJob, info: JobInfo | undefined): void {
    const before = job.states
    const states = before.filter((state) => (info === undefined ? state.state === 'gone' : fits(state, info)))
    if (states.length === 0) {
      const now = info === undefined ? 'gone' : describeInfo(info)
      this.#complain(`${describe(job)} is ${now}, but it can only be ${all(before)}`, [job.since, index])
      if (info === undefined) this.jobs.delete(job.id)
      else job.states = [asSeen(info)]
    } else {
      job.states = info === undefined ? states : states.map((state) => ({ ...state, ...timesSeen(info) }))
    }
    if (before.length > 1) job.since = index
  }

  /** Jobs that nobody was told of must come from enqueues without an answer; each of those makes one job. */
  #appeared(index: number, found: ReadonlyMap<number, JobInfo>): Map<WantedJob, CallRecord> {
    const appeared = new Map<WantedJob, CallRecord>()
    for (const info of found.values()) {
      const source = this.#source(info, appeared)
      if (source === undefined) {
        this.#complain(`job ${info.id} ${keyOf(info)} is there, and nobody enqueued it`, [index])
        continue
      }
      const [wanted, call] = source
      appeared.set(wanted, call)
      this.#held.add(keyOf(info))
      this.#add(index, info.id, wanted)
      const job = this.jobs.get(info.id)!
      const unclaimed = [enqueued(job)]
      const states = outcomes(job, unclaimed, [...this.#unanswered], this.#backoff).map((s) => restarted(job, s))
      job.states = states
      this.#settle(index, job, info)
    }
    return appeared
  }

  #source(info: JobInfo, taken: ReadonlyMap<WantedJob, CallRecord>): [WantedJob, CallRecord] | undefined {
    for (const call of this.#unanswered) {
      if (call.what.op !== 'enqueue') continue
      for (const wanted of call.what.jobs) {
        if (taken.has(wanted) || keyOf(wanted) !== keyOf(info)) continue
        if (wanted.method !== info.method || wanted.priority !== info.priority) continue
        if (wanted.maxAttempts === info.maxAttempts) return [wanted, call]
      }
    }
    return undefined
  }

  /**
   * The jobs of one call are stored together or not at all, but for those whose key was taken; if only by the job of a
   * call beside it, which then was refused.
   */
  #checkWhole(index: number, appeared: ReadonlyMap<WantedJob, CallRecord>): void {
    const calls = new Set(appeared.values())
    for (const call of calls) {
      if (call.what.op !== 'enqueue') continue
      for (const wanted of call.what.jobs) {
        if (appeared.has(wanted) || this.#held.has(keyOf(wanted)) || this.#refusedBeside(call, keyOf(wanted))) continue
        this.#complain(`${keyOf(wanted)} is missing, but other jobs of the same call are there`, [call.invoked, index])
      }
    }
  }

  /** By an enqueue without an answer. */
  #isWanted(key: string): boolean {
    for (const { what } of this.#unanswered) {
      if (what.op === 'enqueue' && what.jobs.some((job) => keyOf(job) === key)) return true
    }
    return false
  }

  #refusedBeside({ invoked, ended }: CallRecord, key: string): boolean {
    return this.#timeline.calls.some(({ what, outcome, ...other }) => {
      if (what.op !== 'enqueue' || outcome !== 'fail' || other.ended < invoked || other.invoked > ended) return false
      return what.jobs.some((job) => keyOf(job) === key)
    })
  }
}

function holds({ state }: Possible): boolean {
  return state === 'waiting' || state === 'active'
}

function fits(possible: Possible, info: JobInfo): boolean {
  if (possible.state === 'gone' || possible.attempts !== info.attempts) return false
  const state = possibleState(info)
  return possible.state === state && possible.earliest <= info.runAt && info.runAt <= possible.latest
}

function possibleState({ state }: JobInfo): Possible['state'] {
  if (state === 'finished') return 'gone'
  return state === 'scheduled' || state === 'ready' ? 'waiting' : state
}

function asSeen(info: JobInfo): Possible {
  const state = possibleState(info)
  return { state, attempts: info.attempts, ...timesSeen(info), suspect: false }
}

export function describe(job: { readonly id: number } & Facts): string {
  return `job ${job.id} ${keyOf(job)}`
}

/** A job that died with its supervisor is taken to have died when that was started again, each time. */
function timesSeen({ state, runAt }: JobInfo): Pick<Possible, 'earliest' | 'latest'> {
  return { earliest: runAt, latest: state === 'dead' ? Number.POSITIVE_INFINITY : runAt }
}

function describeInfo({ state, attempts, runAt }: JobInfo): string {
  return `${state} with ${attempts} attempts, due at ${runAt}`
}

function all(states: readonly Possible[]): string {
  return states
    .map(({ state, attempts, earliest, latest, suspect }) => {
      if (state === 'gone') return state
      return `${suspect ? 'suspect, ' : ''}${state} with ${attempts} attempts, due at ${earliest === latest ? earliest : `${earliest} to ${latest}`}`
    })
    .join(', or ')
}
