/**
 * What becomes of jobs that no worker has, those that wait and the dead ones, when somebody wants something else of them. As in
 * `Queue`, the first step decides and reserves the job; the queue commits or aborts it.
 */
import type { NewJob, QueueName, Revived } from '../store.js'
import { Flag, type JobColumns, NONE, Pending, State } from './job-columns.js'
import type { Settlement } from './job-queue.js'
import type { QueueState } from './queue-state.js'

/** Of the job that has the key: it stays as it is; it becomes the new one; that cannot be said before its last event is durable. */
export type Taken = 'kept' | 'replaced' | 'busy'

export class UntakenJobs {
  readonly #state: QueueState
  readonly #settle: (row: number, settlement: Settlement) => void
  /** What `replaced` will make of jobs, by row. */
  readonly #replacements = new Map<number, NewJob>()

  constructor(state: QueueState, settle: (row: number, settlement: Settlement) => void) {
    this.#state = state
    this.#settle = settle
  }

  /** The id of the waiting job with this key, which nobody can claim from now on; undefined: none is waiting. */
  remove(name: QueueName, jobKey: string): number | undefined {
    const row = this.#waiting(name, jobKey)
    if (row === NONE) return undefined
    this.#removing(row)
    return this.#state.jobs.id.get(row)
  }

  /** A job that waits, or a dead one. False: it is neither. */
  discard(id: number): boolean {
    const row = this.#state.ids.find(id)
    if (row === NONE || !(this.#isWaiting(row) || this.#isDead(row))) return false
    this.#removing(row)
    return true
  }

  /** Up to `most` dead jobs that died before `before`, or are the oldest beyond `entries`: they are being removed from now on. */
  discardDead(before: number, entries: number, most: number): number[] {
    const { jobs, total } = this.#state
    // The walk over a million rows takes some 20 ms, in which no job starts.
    if (total[State.dead] === 0) return []
    const beyond = total[State.dead]! - entries
    const rows = oldestFirst(jobs, most, (row) => this.#isDead(row) && (beyond > 0 || jobs.runAt.get(row) < before))
    const given = rows.filter((row, i) => i < beyond || jobs.runAt.get(row) < before)
    for (const row of given) this.#removing(row)
    return given.map((row) => jobs.id.get(row))
  }

  /** A job that waits is due at `runAt` from now on. False: it does not wait. */
  reschedule(id: number, runAt: number): boolean {
    const { ids, jobs } = this.#state
    const row = ids.find(id)
    if (row === NONE || !this.#isWaiting(row)) return false
    this.#state.leaveHeap(row)
    const suspect = jobs.has(row, Flag.suspect)
    this.#settle(row, { state: 'scheduled', attempts: jobs.attempts.get(row), runAt, suspect, failure: undefined })
    return true
  }

  /** Makes a dead job one that has not been started yet, due now; it holds its key from now on. */
  revive(id: number, now: number): Revived {
    const state = this.#state
    const { jobs, hash, keys } = state
    const row = state.ids.find(id)
    if (row === NONE || !this.#isDead(row)) return 'unknown'
    const body = state.bodies.read(row)
    if (body === undefined) return 'unknown'
    if (keys.find(jobs.queue.get(row), hash.ofText(body.jobKey), body.jobKey) !== NONE) return 'taken'
    keys.add(row)
    this.#settle(row, { state: 'scheduled', attempts: 0, runAt: now, suspect: false, failure: undefined })
    return 'revived'
  }

  /** The job that was enqueued under the key of the one in this row. */
  replace(row: number, job: NewJob, now: number): Taken {
    const { bodies, jobs } = this.#state
    if (!this.#isWaiting(row)) return isBusy(jobs.pending.get(row)) ? 'busy' : 'kept'
    this.#state.leaveHeap(row)
    const runAt = job.whenTaken === 'replace' ? jobs.runAt.get(row) : job.runAt
    const changed = { ...job, runAt }
    bodies.replacing(row, changed, now)
    this.#replacements.set(row, changed)
    jobs.pending.set(row, Pending.replace)
    return 'replaced'
  }

  /** The replacement is durable. */
  replaced(row: number, now: number): void {
    const state = this.#state
    const { jobs } = state
    const { runAt, priority, maxAttempts, atMostOnce } = this.#replacements.get(row)!
    this.#replacements.delete(row)
    jobs.runAt.set(row, runAt)
    jobs.priority.set(row, priority)
    jobs.maxAttempts.set(row, maxAttempts)
    jobs.attempts.set(row, 0)
    jobs.flags.set(row, atMostOnce ? Flag.atMostOnce : 0)
    state.bodies.replaced(row, true)
    state.move(row, runAt <= now ? State.ready : State.scheduled)
  }

  /** It was refused. */
  notReplaced(row: number): void {
    this.#replacements.delete(row)
    this.#state.bodies.replaced(row, false)
    this.#state.enterHeap(row)
  }

  /** The row of the job that has this key, when it waits and nothing is under way with it; or NONE. */
  #waiting(name: QueueName, jobKey: string): number {
    const state = this.#state
    const queue = state.find(name.worker, name.workerKey)
    if (queue === undefined) return NONE
    const row = state.keys.find(queue.number, state.hash.ofText(jobKey), jobKey)
    return row !== NONE && this.#isWaiting(row) ? row : NONE
  }

  #isWaiting(row: number): boolean {
    const { jobs } = this.#state
    const found = jobs.state.get(row)
    return (found === State.ready || found === State.scheduled) && jobs.pending.get(row) === Pending.none
  }

  #isDead(row: number): boolean {
    const { jobs } = this.#state
    return jobs.state.get(row) === State.dead && jobs.pending.get(row) === Pending.none
  }

  #removing(row: number): void {
    this.#state.leaveHeap(row)
    this.#state.jobs.pending.set(row, Pending.remove)
  }
}

/** Something is on its way to the disk, after which the job waits or its key is free. */
function isBusy(pending: number): boolean {
  return pending !== Pending.none && pending !== Pending.claim
}

/** The `most` rows with the earliest times of those that `matches`. */
function oldestFirst(jobs: JobColumns, most: number, matches: (row: number) => boolean): number[] {
  const byTime = (a: number, b: number) => jobs.runAt.get(a) - jobs.runAt.get(b) || jobs.id.get(a) - jobs.id.get(b)
  let rows: number[] = []
  let latest = Number.POSITIVE_INFINITY
  for (let row = 0; row < jobs.end; row++) {
    if (!matches(row) || jobs.runAt.get(row) > latest) continue
    rows.push(row)
    if (rows.length < 2 * most) continue
    rows = rows.sort(byTime).slice(0, most)
    latest = jobs.runAt.get(rows[most - 1]!)
  }
  return rows.sort(byTime).slice(0, most)
}
