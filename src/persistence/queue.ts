/**
 * The rules of the queue, as a state machine without effects: uniqueness, due times, order, attempts,
 * retries, suspects. Clock readings and randomness are arguments.
 *
 * Every event has two steps, because a store may answer only when the event is durable. The first step
 * (`enqueue`, `claim`, `finish`, `fail`, `release`, `remove`) decides the outcome and reserves the job;
 * then `commit` makes it so, or `abort` takes it back (the disk was full). In between, the job takes no
 * other event: its key stays held, nobody else can claim or settle it.
 */
import { type Backoff, backoffDelay } from './backoff.js'
import { createJob, type Job, type JobQueue, Pending, type Settlement, zeroCounts } from './job.js'
import { claimedJob, jobInfo, matches } from './job-views.js'
import type { QueueState } from './queue-state.js'
import type {
  Attempt,
  ClaimedJob,
  FailOutcome,
  JobCounts,
  JobFailure,
  JobFilter,
  JobInfo,
  NewJob,
  QueueName,
} from './store.js'

export interface QueueRules {
  readonly backoff: Backoff
  readonly random: () => number
}

const DEFAULT_PAGE = 100

export class Queue {
  readonly #state: QueueState
  readonly #rules: QueueRules

  constructor(state: QueueState, rules: QueueRules) {
    this.#state = state
    this.#rules = rules
  }

  /** Returns `id` for a new job, or the id of the unfinished job that has the key: then nothing changed. */
  enqueue(job: NewJob, id: number, now: number): number {
    const queue = this.#state.ensure(job.worker, job.workerKey)
    const holder = this.#state.keys.find(queue, job.jobKey)
    if (holder !== undefined) return holder.id
    const stored = createJob(job, id, queue, now)
    stored.pending = Pending.enqueue
    this.#state.jobs.set(stored)
    this.#state.keys.add(stored)
    return id
  }

  /** Is the enqueue of this job still waiting to be durable? */
  isStoring(id: number): boolean {
    return this.#state.jobs.get(id)?.state === 'storing'
  }

  /**
   * Up to `limit` due jobs, highest priority first, then lowest id.
   *
   * A suspect may be what brought its host down, so nothing may run beside it: it is claimed only when
   * nothing of its queue is active, and while it is active nothing else is claimed. At most `lastAttempts` of the
   * jobs are on their last attempt; one more keeps what comes after it waiting, too, for the sake of the order.
   */
  claim(name: QueueName, limit: number, now: number, lastAttempts = limit): ClaimedJob[] {
    this.sweep(now)
    let lastOnes = 0
    const claimed: ClaimedJob[] = []
    const queue = this.#state.find(name.worker, name.workerKey)
    if (queue === undefined || queue.alone !== undefined) return claimed
    while (claimed.length < limit) {
      const job = queue.ready.peek()
      if (job === undefined || (job.suspect && queue.counts.active > 0)) break
      if (isLastAttempt(job) && ++lastOnes > lastAttempts) break
      this.#state.move(job, 'active')
      job.pending = Pending.claim
      job.attempts++
      claimed.push(claimedJob(job))
      if (job.suspect) {
        queue.alone = job
        break
      }
    }
    return claimed
  }

  /** False for an attempt that is not the current one; so also for one that is already being settled. */
  finish(attempt: Attempt): boolean {
    const job = this.#current(attempt)
    if (job === undefined) return false
    job.pending = Pending.finish
    return true
  }

  /** Back to the queue with backoff, or dead when the attempts are used up. */
  fail(attempt: Attempt, failure: JobFailure, crashed: boolean, now: number): FailOutcome {
    const job = this.#current(attempt)
    if (job === undefined) return { state: 'stale' }
    if (attemptsLeft(job)) {
      const runAt = now + backoffDelay(this.#rules.backoff, job.attempts, this.#rules.random())
      this.#settle(job, { state: 'scheduled', attempts: job.attempts, runAt, suspect: crashed, failure })
      return { state: 'retry', runAt }
    }
    const reason = crashed && job.atMostOnce ? outcomeUnknown(failure) : failure
    this.#settle(job, { state: 'dead', attempts: job.attempts, runAt: job.runAt, suspect: false, failure: reason })
    return { state: 'dead' }
  }

  /**
   * Back to the queue without a failure. An attempt that counts and was the last one leaves the job dead;
   * one that does not count never started, so the job is as suspect as it was.
   */
  release(attempt: Attempt, runAt: number, counted: boolean): boolean {
    const job = this.#current(attempt)
    if (job === undefined) return false
    const failure = undefined
    if (!counted) {
      this.#settle(job, { state: 'scheduled', attempts: job.attempts - 1, runAt, suspect: job.suspect, failure })
    } else if (attemptsLeft(job)) {
      this.#settle(job, { state: 'scheduled', attempts: job.attempts, runAt, suspect: false, failure })
    } else {
      const used = { name: 'AttemptsUsedUp', message: `released in attempt ${job.attempts}, the last one it had` }
      this.#settle(job, { state: 'dead', attempts: job.attempts, runAt: job.runAt, suspect: false, failure: used })
    }
    return true
  }

  /** What `commit` will make of a job that `fail` or `release` is settling. */
  settlement(id: number): Settlement | undefined {
    return this.#state.jobs.get(id)?.settlement
  }

  /** The id of the waiting job with this key, which nobody can claim from now on; undefined: none is waiting. */
  remove(name: QueueName, jobKey: string): number | undefined {
    const queue = this.#state.find(name.worker, name.workerKey)
    const job = queue && this.#state.keys.find(queue, jobKey)
    if (job === undefined || job.pending !== Pending.none) return undefined
    if (job.state !== 'ready' && job.state !== 'scheduled') return undefined
    this.#state.leaveHeap(job)
    job.pending = Pending.remove
    return job.id
  }

  /** The event of this job is durable (a claim: written). */
  commit(id: number, now: number): void {
    const state = this.#state
    const job = state.jobs.get(id)
    if (job === undefined) return
    const { pending } = job
    job.pending = Pending.none
    switch (pending) {
      case Pending.enqueue:
        state.move(job, job.runAt <= now ? 'ready' : 'scheduled')
        break
      case Pending.finish:
        state.forget(job)
        this.#ended(job)
        break
      case Pending.settle:
        this.#applySettlement(job, now)
        break
      case Pending.remove:
        state.forget(job)
    }
  }

  /** The event of this job was refused and never happened. */
  abort(id: number): void {
    const state = this.#state
    const job = state.jobs.get(id)
    if (job === undefined) return
    const { pending } = job
    job.pending = Pending.none
    switch (pending) {
      case Pending.enqueue:
        state.forget(job)
        break
      case Pending.claim:
        job.attempts--
        state.move(job, 'ready')
        this.#ended(job)
        break
      case Pending.settle:
        job.settlement = undefined
        break
      case Pending.remove:
        state.enterHeap(job)
    }
  }

  /** Makes jobs whose time has come ready. */
  sweep(now: number): void {
    const { scheduled } = this.#state
    for (let job = scheduled.peek(); job !== undefined && job.runAt <= now; job = scheduled.peek()) {
      this.#state.move(job, 'ready')
    }
  }

  nextDue(): number | undefined {
    return this.#state.scheduled.peek()?.runAt
  }

  /** Queues that gained a job and can be claimed from, since the last call. */
  takeGained(): JobQueue[] {
    return this.#state.takeGained().filter(isClaimable)
  }

  claimable(): QueueName[] {
    return [...this.#state.all()].filter(isClaimable).map(({ worker, workerKey }) => ({ worker, workerKey }))
  }

  counts(name?: QueueName): JobCounts {
    if (name === undefined) return { ...this.#state.total }
    return { ...(this.#state.find(name.worker, name.workerKey)?.counts ?? zeroCounts()) }
  }

  inspect(filter: JobFilter): JobInfo[] {
    const limit = filter.limit ?? DEFAULT_PAGE
    const found: JobInfo[] = []
    if (limit <= 0) return found
    for (const job of this.#state.jobs.above(filter.after ?? 0)) {
      const info = jobInfo(job)
      if (info === undefined || !matches(info, filter)) continue
      found.push(info)
      if (found.length >= limit) break
    }
    return found
  }

  #current({ id, attempt }: Attempt): Job | undefined {
    const job = this.#state.jobs.get(id)
    if (job === undefined || job.state !== 'active' || job.pending !== Pending.none) return undefined
    return job.attempts === attempt ? job : undefined
  }

  #settle(job: Job, settlement: Settlement): void {
    job.settlement = settlement
    job.pending = Pending.settle
  }

  #applySettlement(job: Job, now: number): void {
    const settlement = job.settlement!
    job.settlement = undefined
    job.attempts = settlement.attempts
    job.runAt = settlement.runAt
    job.suspect = settlement.suspect
    job.failure = settlement.failure ?? job.failure
    if (settlement.state === 'dead') {
      this.#state.keys.remove(job)
      this.#state.move(job, 'dead')
    } else this.#state.move(job, job.runAt <= now ? 'ready' : 'scheduled')
    this.#ended(job)
  }

  /** A job stopped being active: that can let a suspect run, or the others after a suspect. */
  #ended({ queue, id }: Job): void {
    if (queue.alone?.id === id) queue.alone = undefined
    else if (queue.counts.active > 0 || queue.ready.peek()?.suspect !== true) return
    this.#state.gain(queue)
  }
}

/** Would a crash during its next attempt end the job? */
function isLastAttempt(job: Job): boolean {
  return job.atMostOnce || job.attempts + 1 >= job.maxAttempts
}

export function attemptsLeft(job: Job): boolean {
  return !job.atMostOnce && job.attempts < job.maxAttempts
}

/** A job that may be started once was started, and nobody knows how far it came. */
export function outcomeUnknown(failure: JobFailure): JobFailure {
  return { ...failure, message: `outcome unknown: ${failure.message}` }
}

function isClaimable(queue: JobQueue): boolean {
  const first = queue.ready.peek()
  return first !== undefined && queue.alone === undefined && !(first.suspect && queue.counts.active > 0)
}
