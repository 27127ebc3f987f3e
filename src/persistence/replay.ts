/**
 * Rebuilds the queue from a history of durable events, in their order. Counts and heaps are filled once, by
 * `end`: most of what a history holds is over by then.
 *
 * Events of unknown jobs are ignored: a journal may have dropped the beginning of a finished job's history.
 */
import { createJob, type Job, type Settlement } from './job.js'
import { attemptsLeft, outcomeUnknown } from './queue.js'
import type { QueueState } from './queue-state.js'
import type { NewJob } from './store.js'

/** A job as it is read back. Nothing keeps the object itself, so that one can serve for all. */
export interface ReplayedJob extends NewJob {
  readonly enqueuedAt: number
  /** The argument's place in `payload`. */
  readonly payloadStart: number
  readonly payloadEnd: number
}

export class Replay {
  readonly #state: QueueState

  constructor(state: QueueState) {
    this.#state = state
  }

  /**
   * False when another unfinished job has the key: no history of ours holds that. One that is active was: no record
   * says that a job died with the process that ran it, but that its key was given away does.
   */
  enqueued(job: ReplayedJob, id: number): boolean {
    const queue = this.#state.ensure(job.worker, job.workerKey)
    const holder = this.#state.keys.find(queue, job.jobKey)
    if (holder !== undefined) {
      if (holder.state !== 'active') return false
      giveUp(holder)
      this.#state.keys.remove(holder)
    }
    const stored = createJob(job, id, queue, job.enqueuedAt, job.payloadStart, job.payloadEnd)
    stored.state = 'ready'
    this.#state.jobs.set(stored)
    this.#state.keys.add(stored)
    return true
  }

  claimed(id: number, attempt: number): void {
    const job = this.#state.jobs.get(id)
    if (job === undefined) return
    job.state = 'active'
    job.attempts = attempt
  }

  settled(id: number, settlement: Settlement): void {
    const job = this.#state.jobs.get(id)
    if (job === undefined) return
    job.attempts = settlement.attempts
    job.runAt = settlement.runAt
    job.suspect = settlement.suspect
    job.failure = settlement.failure ?? job.failure
    job.state = settlement.state === 'dead' ? 'dead' : 'ready'
    if (job.state === 'dead') this.#state.keys.remove(job)
  }

  /** Finished or dequeued. */
  gone(id: number): void {
    const job = this.#state.jobs.get(id)
    if (job === undefined) return
    this.#state.keys.remove(job)
    this.#state.jobs.delete(id)
  }

  /** Whoever ran a job that is still active is gone: the job is a suspect, or dead. */
  end(now: number): void {
    const state = this.#state
    state.jobs.each((job) => {
      const target = job.state === 'active' ? afterCrash(job) : job.state
      if (target === 'dead') state.keys.remove(job)
      job.state = 'storing'
      state.move(job, target === 'dead' ? 'dead' : job.runAt <= now ? 'ready' : 'scheduled')
    })
    state.dropEmptyQueues()
    state.takeGained()
  }
}

function afterCrash(job: Job): 'ready' | 'dead' {
  if (attemptsLeft(job)) {
    job.suspect = true
    return 'ready'
  }
  giveUp(job)
  return 'dead'
}

function giveUp(job: Job): void {
  const failure = { name: 'SupervisorStopped', message: `the supervisor stopped while attempt ${job.attempts} ran` }
  job.failure = job.atMostOnce ? outcomeUnknown(failure) : failure
  job.state = 'dead'
}
