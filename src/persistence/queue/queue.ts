/**
 * The rules of the queue, as a state machine without effects: uniqueness, due times, order, attempts,
 * retries, suspects. Clock readings and randomness are arguments.
 *
 * Every event has two steps, because a store may answer only when the event is durable. The first step
 * (`enqueue`, `claim`, `finish`, `fail`, `release`, `remove`) decides the outcome and reserves the job;
 * then `commit` makes it so, or `abort` takes it back (the disk was full). In between, the job takes no
 * other event: its key stays held, nobody else can claim or settle it.
 */
import { type Backoff, backoffDelay } from '../backoff.js'
import type {
  Attempt,
  ClaimedJob,
  CondemnedJob,
  FailOptions,
  FailOutcome,
  Finished,
  FoundJob,
  JobCounts,
  JobFailure,
  JobFilter,
  JobInfo,
  JobRef,
  NewJob,
  QueueName,
  Revived,
} from '../store.js'
import { find } from './find.js'
import { inspect } from './inspection.js'
import type { JobBody } from './job-bodies.js'
import { Flag, NONE, Pending, State } from './job-columns.js'
import { type JobQueue, type Settlement, toJobCounts, zeroCounts } from './job-queue.js'
import { KEEP_NOTHING, type KeepLimits, KeptJobs } from './kept-jobs.js'
import type { QueueState } from './queue-state.js'
import { type Taken, UntakenJobs } from './untaken-jobs.js'

/** Dead jobs that one call of `discardDead` removes, at most. */
export const DISCARD_AT_A_TIME = 1000

/** Jobs that one claim condemns, at most: thousands may expire while their queue is paused. */
const CONDEMNED_AT_A_TIME = 1000

const DAMAGED: JobFailure = {
  name: 'JobDamaged',
  message: 'what the journal holds of the job is damaged, so it cannot run',
}

const NO_VALUE = new Uint8Array()

export interface QueueRules {
  readonly backoff: Backoff
  readonly random: () => number
  /** Which results of finished jobs are kept. Default: none. */
  readonly keep?: KeepLimits | undefined
}

export class Queue {
  readonly #state: QueueState
  readonly #rules: QueueRules
  readonly #kept: KeptJobs
  readonly #untaken: UntakenJobs
  /** What `commit` will make of the jobs that `fail` or `release` is settling, by row. */
  readonly #settlements = new Map<number, Settlement>()
  /** By job. */
  readonly #watchers = new Map<number, Set<() => void>>()
  #condemned: (CondemnedJob & Attempt)[] = []

  constructor(state: QueueState, rules: QueueRules) {
    this.#state = state
    this.#rules = rules
    this.#kept = new KeptJobs(state, rules.keep ?? KEEP_NOTHING)
    this.#untaken = new UntakenJobs(state, (row, settlement) => this.#settle(row, settlement))
  }

  /** What became of the last job that was enqueued and found its key taken. */
  taken: Taken = 'kept'

  /** Returns `id` for a new job, or the id of the unfinished job that has the key: then `taken` says what became of that. */
  enqueue(job: NewJob, id: number, now: number): number {
    const state = this.#state
    const queue = state.ensure(job.worker, job.workerKey)
    const holder = state.keys.find(queue.number, state.hash.ofText(job.jobKey), job.jobKey)
    if (holder !== NONE) {
      this.taken = job.whenTaken === undefined ? 'kept' : this.#untaken.replace(holder, job, now)
      return state.jobs.id.get(holder)
    }
    const row = state.add(id, queue, job.runAt, job.priority, job.maxAttempts, job.atMostOnce)
    state.jobs.pending.set(row, Pending.enqueue)
    state.bodies.add(row, job, now)
    state.keys.add(row)
    return id
  }

  /** Is the enqueue of this job still waiting to be durable? */
  isStoring(id: number): boolean {
    const row = this.#state.ids.find(id)
    return row !== NONE && this.#state.jobs.state.get(row) === State.storing
  }

  /**
   * Up to `limit` due jobs, highest priority first, then lowest id.
   *
   * A suspect may be what brought its host down, so nothing may run beside it: it is claimed only when
   * nothing of its queue is active, and while it is active nothing else is claimed. At most `lastAttempts` of the
   * jobs are on their last attempt; one more keeps what comes after it waiting, too, for the sake of the order.
   * A job that has expired, or whose body is damaged, is not claimed but condemned: see `takeCondemned`.
   */
  claim(name: QueueName, limit: number, now: number, lastAttempts = limit): ClaimedJob[] {
    this.sweep(now)
    let lastOnes = 0
    const claimed: ClaimedJob[] = []
    const state = this.#state
    const { jobs } = state
    const queue = state.find(name.worker, name.workerKey)
    if (queue === undefined || queue.alone !== NONE) return claimed
    while (claimed.length < limit) {
      const row = queue.ready.peek()
      if (row === NONE || (jobs.has(row, Flag.suspect) && queue.counts[State.active]! > 0)) break
      const body = state.bodies.read(row)
      const failure = body === undefined ? DAMAGED : expired(body, now)
      if (body === undefined || failure !== undefined) {
        this.#condemn(row, queue, now, failure!)
        if (this.#condemned.length < CONDEMNED_AT_A_TIME) continue
        state.gain(queue)
        break
      }
      if (this.#isLastAttempt(row) && ++lastOnes > lastAttempts) break
      state.move(row, State.active)
      jobs.pending.set(row, Pending.claim)
      jobs.attempts.set(row, jobs.attempts.get(row) + 1)
      claimed.push(this.#claimedJob(row, queue, body))
      if (jobs.has(row, Flag.suspect)) {
        queue.alone = row
        break
      }
    }
    return claimed
  }

  /**
   * False for an attempt that is not the current one; so also for one that is already being settled. With `keeps` its
   * result is kept, if the limits allow it.
   */
  finish({ id, attempt, value = NO_VALUE, kept: wanted = true }: Finished, now: number, keeps = true): boolean {
    const row = this.#current({ id, attempt })
    if (row === NONE) return false
    const { bodies, jobs } = this.#state
    const kept = bodies.finishing(
      row,
      attempt,
      now,
      keeps && wanted && this.#kept.takes(value.length) ? value : undefined,
    )
    jobs.pending.set(row, kept ? Pending.keep : Pending.finish)
    return true
  }

  /** Back to the queue with backoff, or dead when the attempts are used up. */
  fail(
    attempt: Attempt,
    failure: JobFailure,
    now: number,
    { crashed = false, retryIn }: FailOptions = {},
  ): FailOutcome {
    const row = this.#current(attempt)
    if (row === NONE) return { state: 'stale' }
    const attempts = attempt.attempt
    if (retryIn !== false && this.#attemptsLeft(row)) {
      const runAt = now + (retryIn ?? backoffDelay(this.#rules.backoff, attempts, this.#rules.random()))
      this.#settle(row, { state: 'scheduled', attempts, runAt, suspect: crashed, failure })
      return { state: 'retry', runAt }
    }
    const { jobs } = this.#state
    const reason = crashed && jobs.has(row, Flag.atMostOnce) ? outcomeUnknown(failure) : failure
    this.#settle(row, { state: 'dead', attempts, runAt: now, suspect: false, failure: reason })
    return { state: 'dead' }
  }

  /**
   * Back to the queue without a failure. An attempt that counts and was the last one leaves the job dead;
   * one that does not count never started, so the job is as suspect as it was.
   */
  release(attempt: Attempt, runAt: number, counted: boolean, now: number): boolean {
    const row = this.#current(attempt)
    if (row === NONE) return false
    const { jobs } = this.#state
    const attempts = attempt.attempt
    const failure = undefined
    if (!counted) {
      const suspect = jobs.has(row, Flag.suspect)
      this.#settle(row, { state: 'scheduled', attempts: attempts - 1, runAt, suspect, failure })
    } else if (this.#attemptsLeft(row)) {
      this.#settle(row, { state: 'scheduled', attempts, runAt, suspect: false, failure })
    } else {
      const used = { name: 'AttemptsUsedUp', message: `released in attempt ${attempts}, the last one it had` }
      this.#settle(row, { state: 'dead', attempts, runAt: now, suspect: false, failure: used })
    }
    return true
  }

  /** What `commit` will make of a job that is being settled. */
  settlement(id: number): Settlement | undefined {
    return this.#settlements.get(this.#state.ids.find(id))
  }

  /** The jobs that `claim` condemned since the last call: their settlements wait for `commit`. */
  takeCondemned(): (CondemnedJob & Attempt)[] {
    const condemned = this.#condemned
    if (condemned.length > 0) this.#condemned = []
    return condemned
  }

  /** Of jobs that no worker has: see `UntakenJobs`. */
  remove(name: QueueName, jobKey: string): number | undefined {
    return this.#untaken.remove(name, jobKey)
  }

  discard(id: number): boolean {
    return this.#untaken.discard(id)
  }

  discardDead(before: number, entries: number, most: number): number[] {
    return this.#untaken.discardDead(before, entries, most)
  }

  reschedule(id: number, runAt: number): boolean {
    return this.#untaken.reschedule(id, runAt)
  }

  revive(id: number, now: number): Revived {
    return this.#untaken.revive(id, now)
  }

  /** The event of this job is durable (a claim: written). */
  commit(id: number, now: number): void {
    const state = this.#state
    const { jobs } = state
    const row = state.ids.find(id)
    switch (this.#takePending(row)) {
      case Pending.enqueue:
        state.bodies.stored(row)
        state.move(row, jobs.runAt.get(row) <= now ? State.ready : State.scheduled)
        break
      case Pending.finish: {
        const queue = state.queueOf(row)
        state.forget(row)
        this.#ended(row, queue)
        break
      }
      case Pending.keep:
        this.#keep(row)
        break
      case Pending.settle:
        this.#applySettlement(row, now)
        break
      case Pending.replace:
        this.#untaken.replaced(row, now)
        break
      case Pending.remove:
        state.forget(row)
    }
    this.#tell(id)
  }

  #tell(id: number): void {
    if (this.#watchers.size === 0) return
    for (const changed of this.#watchers.get(id) ?? []) changed()
  }

  /** The event of this job was refused and never happened. */
  abort(id: number): void {
    const state = this.#state
    const { jobs } = state
    const row = state.ids.find(id)
    switch (this.#takePending(row)) {
      case Pending.enqueue:
        state.forget(row)
        break
      case Pending.claim:
        jobs.attempts.set(row, jobs.attempts.get(row) - 1)
        state.move(row, State.ready)
        this.#ended(row, state.queueOf(row))
        break
      case Pending.settle:
        this.#settlements.delete(row)
        if (jobs.state.get(row) === State.dead) state.keys.remove(row)
        // A condemned job waits in no heap; the next claim finds it again.
        else if (jobs.state.get(row) !== State.active) state.enterHeap(row)
        break
      case Pending.replace:
        this.#untaken.notReplaced(row)
        break
      case Pending.remove:
        state.enterHeap(row)
    }
    this.#tell(id)
  }

  /** Makes jobs whose time has come ready, and forgets results whose time is over. */
  sweep(now: number): void {
    this.#kept.sweep(now)
    const { scheduled, jobs } = this.#state
    for (let row = scheduled.peek(); row !== NONE && jobs.runAt.get(row) <= now; row = scheduled.peek()) {
      this.#state.move(row, State.ready)
    }
  }

  nextDue(): number | undefined {
    const row = this.#state.scheduled.peek()
    return row === NONE ? undefined : this.#state.jobs.runAt.get(row)
  }

  /** Queues that gained a job and can be claimed from, since the last call. */
  takeGained(): JobQueue[] {
    return this.#state.takeGained().filter(this.#isClaimable)
  }

  claimable(): QueueName[] {
    return [...this.#state.all()].filter(this.#isClaimable).map(({ worker, workerKey }) => ({ worker, workerKey }))
  }

  counts(name?: QueueName): JobCounts {
    if (name === undefined) return toJobCounts(this.#state.total)
    return toJobCounts(this.#state.find(name.worker, name.workerKey)?.counts ?? zeroCounts())
  }

  inspect(filter: JobFilter): Promise<JobInfo[]> {
    return inspect(this.#state, filter)
  }

  /** `changed` is called after each `commit` and `abort` of the job, until the returned function is. */
  watch(id: number, changed: () => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set()
    this.#watchers.set(id, watchers)
    watchers.add(changed)
    return () => {
      watchers.delete(changed)
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id)
    }
  }

  find(ref: JobRef): Promise<FoundJob | undefined> {
    return find(this.#state, ref)
  }

  /** The row of the job whose current attempt this is, when nothing else is under way with it; or NONE. */
  #current({ id, attempt }: Attempt): number {
    const { ids, jobs } = this.#state
    const row = ids.find(id)
    if (row === NONE || jobs.state.get(row) !== State.active || jobs.pending.get(row) !== Pending.none) return NONE
    return jobs.attempts.get(row) === attempt ? row : NONE
  }

  /** What was under way with the job, which is over now. */
  #takePending(row: number): number {
    if (row === NONE) return Pending.none
    const { pending } = this.#state.jobs
    const found = pending.get(row)
    pending.set(row, Pending.none)
    return found
  }

  #settle(row: number, settlement: Settlement): void {
    this.#settlements.set(row, settlement)
    this.#state.jobs.pending.set(row, Pending.settle)
  }

  /** A finished job holds no key, and has its value as its body. */
  #keep(row: number): void {
    const state = this.#state
    const { jobs } = state
    const queue = state.queueOf(row)
    state.keys.remove(row)
    jobs.runAt.set(row, state.bodies.finished(row))
    jobs.setFlag(row, Flag.suspect | Flag.failed, false)
    state.move(row, State.finished)
    this.#kept.add(row)
    this.#ended(row, queue)
  }

  #condemn(row: number, { worker, workerKey }: JobQueue, now: number, failure: JobFailure): void {
    const { jobs } = this.#state
    this.#state.leaveHeap(row)
    const [id, attempts] = [jobs.id.get(row), jobs.attempts.get(row)]
    this.#settle(row, { state: 'dead', attempts, runAt: now, suspect: false, failure })
    this.#condemned.push({ id, worker, workerKey, attempt: attempts, failure })
  }

  #applySettlement(row: number, now: number): void {
    const state = this.#state
    const { jobs } = state
    const settlement = this.#settlements.get(row)!
    this.#settlements.delete(row)
    const { attempts, runAt, suspect, failure } = settlement
    jobs.attempts.set(row, attempts)
    jobs.runAt.set(row, runAt)
    jobs.setFlag(row, Flag.suspect, suspect)
    if (failure !== undefined) {
      jobs.setFlag(row, Flag.failed, true)
      state.bodies.failed(row, failure)
    }
    if (settlement.state === 'dead') {
      state.keys.remove(row)
      state.move(row, State.dead)
    } else state.move(row, runAt <= now ? State.ready : State.scheduled)
    this.#ended(row, state.queueOf(row))
  }

  /** A job stopped being active: that can let a suspect run, or the others after a suspect. */
  #ended(row: number, queue: JobQueue): void {
    if (queue.alone === row) queue.alone = NONE
    else {
      const first = queue.ready.peek()
      if (queue.counts[State.active]! > 0 || first === NONE || !this.#state.jobs.has(first, Flag.suspect)) return
    }
    this.#state.gain(queue)
  }

  /** May the job be started once more after the attempt that runs? */
  #attemptsLeft(row: number): boolean {
    const { jobs } = this.#state
    return !jobs.has(row, Flag.atMostOnce) && jobs.attempts.get(row) < jobs.maxAttempts.get(row)
  }

  #isLastAttempt(row: number): boolean {
    const { jobs } = this.#state
    return jobs.has(row, Flag.atMostOnce) || jobs.attempts.get(row) + 1 >= jobs.maxAttempts.get(row)
  }

  readonly #isClaimable = (queue: JobQueue): boolean => {
    const first = queue.ready.peek()
    if (first === NONE || queue.alone !== NONE) return false
    return !(this.#state.jobs.has(first, Flag.suspect) && queue.counts[State.active]! > 0)
  }

  #claimedJob(
    row: number,
    { worker, workerKey }: JobQueue,
    { method, jobKey, payload, enqueuedAt, expiresAt, timeout }: JobBody,
  ): ClaimedJob {
    const { jobs } = this.#state
    return {
      id: jobs.id.get(row),
      attempt: jobs.attempts.get(row),
      worker,
      workerKey,
      method,
      jobKey,
      payload,
      runAt: jobs.runAt.get(row),
      priority: jobs.priority.get(row),
      maxAttempts: jobs.maxAttempts.get(row),
      expiresAt,
      timeout,
      atMostOnce: jobs.has(row, Flag.atMostOnce),
      enqueuedAt,
      suspect: jobs.has(row, Flag.suspect),
    }
  }
}

function expired({ expiresAt }: JobBody, now: number): JobFailure | undefined {
  if (expiresAt === 0 || now < expiresAt) return undefined
  return {
    name: 'JobExpired',
    message: `its turn had not come by ${new Date(expiresAt).toISOString()}, when it expired`,
  }
}

/** A job that may be started once was started, and nobody knows how far it came. */
export function outcomeUnknown(failure: JobFailure): JobFailure {
  return { ...failure, message: `outcome unknown: ${failure.message}` }
}
