/**
 * Rebuilds the queue from a history of durable events, in their order. Counts and heaps are filled once, by
 * `end`: most of what a history holds is over by then.
 *
 * Events of unknown jobs are ignored: a journal may have dropped the beginning of a finished job's history.
 */
import type { JobFailure, QueueName } from '../store.js'
import { Flag, NONE, State } from './job-columns.js'
import type { Settlement } from './job-queue.js'
import type { KeySource } from './key-table.js'
import { outcomeUnknown } from './queue.js'
import type { QueueState } from './queue-state.js'

/** A job as it is read back. Nothing keeps the object itself, so that one can serve for all. */
export interface ReplayedJob extends QueueName, KeySource {
  readonly id: number
  /** The hash of its key. */
  readonly hashA: number
  readonly hashB: number
  readonly runAt: number
  readonly priority: number
  readonly maxAttempts: number
  readonly atMostOnce: boolean
  /** For the bodies: where the rest of it is. */
  readonly place: number
  readonly length: number
}

/** What became of a job in its history: for a record that replaces it. */
export interface ReplayedState {
  readonly attempts: number
  readonly suspect: boolean
  readonly active: boolean
  readonly dead: boolean
}

/** Where the bodies keep what a history says of failures. */
export interface ReplayedFailures {
  /** The last failure of the job in this row is in the record at this place. */
  failedAt(row: number, place: number): void
  failed(row: number, failure: JobFailure): void
}

export class Replay {
  readonly #state: QueueState
  readonly #failures: ReplayedFailures
  /** Jobs that died with the process that ran them, which no record says. */
  readonly #givenUp: number[] = []

  constructor(state: QueueState, failures: ReplayedFailures) {
    this.#state = state
    this.#failures = failures
  }

  /**
   * False when another unfinished job has the key: no history of ours holds that. One that is active was: no record
   * says that a job died with the process that ran it, but that its key was given away does.
   */
  enqueued(job: ReplayedJob): boolean {
    const row = this.#add(job)
    if (row === NONE) return false
    this.#state.jobs.state.set(row, State.ready)
    return true
  }

  /** The job as it is now, whatever came before. False as above. `failed`: its record holds its last failure. */
  replaced(job: ReplayedJob, { attempts, suspect, active, dead }: ReplayedState, failed: boolean): boolean {
    this.gone(job.id)
    const row = this.#add(job, !dead)
    if (row === NONE) return false
    const { jobs } = this.#state
    jobs.attempts.set(row, attempts)
    jobs.setFlag(row, Flag.suspect, suspect)
    if (failed) this.#failedAt(row, job.place)
    jobs.state.set(row, dead ? State.dead : active ? State.active : State.ready)
    return true
  }

  claimed(id: number, attempt: number): void {
    const { ids, jobs } = this.#state
    const row = ids.find(id)
    if (row === NONE) return
    jobs.state.set(row, State.active)
    jobs.attempts.set(row, attempt)
  }

  /** `place`: where the failure is recorded, if there is one. */
  settled(id: number, settlement: Omit<Settlement, 'failure'>, place: number | undefined): void {
    const { ids, jobs, keys } = this.#state
    const row = ids.find(id)
    if (row === NONE) return
    const { attempts, runAt, suspect, state } = settlement
    if (state === 'scheduled' && jobs.state.get(row) === State.dead) this.#takeKey(row)
    jobs.attempts.set(row, attempts)
    jobs.runAt.set(row, runAt)
    jobs.setFlag(row, Flag.suspect, suspect)
    if (place !== undefined) this.#failedAt(row, place)
    jobs.state.set(row, state === 'dead' ? State.dead : State.ready)
    if (state === 'dead') keys.remove(row)
  }

  /** The job is finished, and `job` is its last record, which has its value: it is kept until `KeptJobs` forgets it. */
  finished(job: ReplayedJob, attempt: number): void {
    this.gone(job.id)
    const { jobs } = this.#state
    const row = this.#add(job, false)
    jobs.attempts.set(row, attempt)
    jobs.state.set(row, State.finished)
  }

  /** Finished or dequeued. */
  gone(id: number): void {
    const state = this.#state
    const row = state.ids.find(id)
    if (row === NONE) return
    // No state is counted before the end.
    state.jobs.state.set(row, State.storing)
    state.forget(row)
  }

  /** Whoever ran a job that is still active is gone: the job is a suspect, or dead. */
  end(now: number): void {
    const state = this.#state
    const { jobs } = state
    for (let row = 0; row < jobs.end; row++) {
      const found = jobs.state.get(row)
      if (found === State.free) continue
      if (found === State.active) this.#stopped(row)
      const last = jobs.state.get(row)
      const over = last === State.dead || last === State.finished
      jobs.state.set(row, State.storing)
      state.bodies.stored(row)
      state.move(row, over ? last : jobs.runAt.get(row) <= now ? State.ready : State.scheduled)
    }
    // When they died is not known either: they are kept for as long as if it was now.
    for (const id of this.#givenUp) {
      const row = state.ids.find(id)
      if (row !== NONE && jobs.state.get(row) === State.dead) jobs.runAt.set(row, now)
    }
    state.takeGained()
  }

  /** The row of a new job, or NONE when its key is taken. A dead or finished one holds none. */
  #add(job: ReplayedJob, holdsKey = true): number {
    const state = this.#state
    const { hash, jobs, keys } = state
    const queue = state.ensure(job.worker, job.workerKey)
    hash.a = job.hashA
    hash.b = job.hashB
    const holder = holdsKey ? keys.find(queue.number, hash, job) : NONE
    if (holder !== NONE) {
      if (jobs.state.get(holder) !== State.active) return NONE
      this.#giveUp(holder)
    }
    const row = state.add(job.id, queue, job.runAt, job.priority, job.maxAttempts, job.atMostOnce)
    jobs.place.set(row, job.place)
    jobs.length.set(row, job.length)
    if (holdsKey) keys.add(row)
    return row
  }

  /** A dead job was given its key again: whoever seems to hold it died with the process that ran it. */
  #takeKey(row: number): void {
    const { bodies, hash, jobs, keys } = this.#state
    hash.a = jobs.hashA.get(row)
    hash.b = jobs.hashB.get(row)
    const key = { keyText: () => bodies.read(row)?.jobKey ?? '' }
    const holder = keys.find(jobs.queue.get(row), hash, key)
    if (holder !== NONE) this.#giveUp(holder)
    keys.add(row)
  }

  #failedAt(row: number, place: number): void {
    this.#state.jobs.setFlag(row, Flag.failed, true)
    this.#failures.failedAt(row, place)
  }

  #stopped(row: number): void {
    const { jobs } = this.#state
    const attemptsLeft = !jobs.has(row, Flag.atMostOnce) && jobs.attempts.get(row) < jobs.maxAttempts.get(row)
    if (!attemptsLeft) this.#giveUp(row)
    else {
      jobs.setFlag(row, Flag.suspect, true)
      jobs.state.set(row, State.ready)
    }
  }

  #giveUp(row: number): void {
    const { jobs, keys } = this.#state
    this.#givenUp.push(jobs.id.get(row))
    const attempts = jobs.attempts.get(row)
    const failure = { name: 'SupervisorStopped', message: `the supervisor stopped while attempt ${attempts} ran` }
    jobs.setFlag(row, Flag.failed, true)
    this.#failures.failed(row, jobs.has(row, Flag.atMostOnce) ? outcomeUnknown(failure) : failure)
    jobs.state.set(row, State.dead)
    keys.remove(row)
  }
}
