/**
 * The job store on a local disk: the queue's rules in memory, every event in the journal before it is
 * answered. What waits for what is in docs/JOURNAL.md.
 */
import { InvalidArgument, StoreError } from '../../errors.js'
import { checkNewJob, checkRunAt } from '../new-job.js'
import { DISCARD_AT_A_TIME, type Queue } from '../queue/queue.js'
import type {
  Attempt,
  ClaimedJob,
  Enqueued,
  FailOptions,
  FailOutcome,
  Finished,
  FoundJob,
  JobCounts,
  JobFailure,
  JobFilter,
  JobInfo,
  JobRef,
  JobStore,
  JobStoreEvents,
  NewJob,
  QueueName,
  Revived,
} from '../store.js'
import { StoreEvents } from '../store-events.js'
import type { JournalBodies } from './bodies.js'
import type { Report, StoredReport } from './commit-loop.js'
import { Compactor } from './compactor.js'
import { MAX_CALL_BYTES } from './format.js'
import type { Indexer } from './indexer.js'
import type { JournalState } from './journal-state.js'
import type { Link } from './link.js'
import type { JournalLog } from './log.js'
import { RecordStream } from './record-stream.js'
import { ATTEMPT_RECORD_BYTES, FULL_FIXED_BYTES, RECORD_HEADER_BYTES, RecordType } from './record-types.js'
import { enqueueBytes, settlementBytes } from './record-write.js'
import { segmentFile } from './segment.js'
import { Successive } from './successive.js'
import { Waiters } from './waiters.js'

/** Of one claim. */
const MAX_ATTEMPTS_A_CALL = Math.floor(MAX_CALL_BYTES / ATTEMPT_RECORD_BYTES)

export interface JournalStoreParts {
  readonly folder: string
  readonly log: JournalLog
  readonly queue: Queue
  readonly state: JournalState
  readonly clock: () => number
  readonly nextSeq: number
  readonly unlock: () => void
  readonly indexer: Indexer
  /** Starts whoever writes the batches. */
  readonly link: (report: (report: Report) => void) => Link
}

export class JournalStore implements JobStore {
  readonly description: string
  readonly #log: JournalLog
  readonly #queue: Queue
  readonly #state: JournalState
  readonly #bodies: JournalBodies
  readonly #clock: () => number
  readonly #link: Link
  readonly #stream: RecordStream
  readonly #compactor: Compactor
  readonly #unlock: () => void
  readonly #indexer: Indexer
  readonly #events = new StoreEvents()
  /** Answered when their records are written. */
  readonly #written = new Waiters()
  /** Answered when their records are durable. */
  readonly #durable = new Waiters()
  #publishing = false
  /** How much of the stream is published. */
  #published = 0
  #full = false
  #failure: StoreError | undefined
  #closing: Promise<void> | undefined
  #settled: (() => void) | undefined
  #ended: (() => void) | undefined

  constructor(parts: JournalStoreParts) {
    const { folder, state } = parts
    this.description = `journal in ${folder}: a job is acknowledged after its fdatasync`
    this.#log = parts.log
    this.#queue = parts.queue
    this.#state = state
    this.#bodies = state.bodies
    this.#clock = parts.clock
    this.#unlock = parts.unlock
    this.#indexer = parts.indexer
    this.#link = parts.link((report) => this.#hear(report))
    this.#stream = new RecordStream(parts.nextSeq, (chunk) => this.#link.send(chunk))
    this.#bodies.writeTo(this.#stream)
    const onStuck = (segment: number) => {
      const file = state.reader.path(segment)
      this.#log.error({ file }, 'jobs in this segment cannot be read, so its space is not given back: run journal fsck')
    }
    this.#compactor = new Compactor({ ...state, stream: this.#stream, state: state.queue, onStuck })
  }

  enqueue(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    let bytes = 0
    try {
      this.#checkOpen()
      for (const job of jobs) {
        checkNewJob(job)
        bytes += enqueueBytes(job) + (job.whenTaken === undefined ? 0 : FULL_FIXED_BYTES)
      }
      if (bytes > MAX_CALL_BYTES && jobs.length <= 1) throw tooLarge(bytes)
    } catch (error) {
      return Promise.reject(error)
    }
    if (bytes > MAX_CALL_BYTES) return this.#enqueueInParts(jobs)
    return this.#enqueue(jobs, bytes)
  }

  #enqueue(jobs: readonly NewJob[], bytes: number): Promise<Enqueued[]> {
    const stream = this.#stream
    const now = this.#clock()
    const results: Enqueued[] = []
    const ids: number[] = []
    const relies: number[] = []
    /** Those for which it has to be tried again, since what is under way with the job that has their key decides. */
    const again: number[] = []
    const firstOwn = stream.nextSeq
    stream.reserve(bytes)
    for (const job of jobs) {
      const next = stream.nextSeq
      const id = this.#queue.enqueue(job, next, now)
      const created = id === next
      const taken = created ? undefined : this.#queue.taken
      results.push(taken === 'replaced' ? { id, created, replaced: true } : { id, created })
      if (created || taken === 'replaced') ids.push(id)
      else if (taken === 'busy') again.push(results.length - 1)
      else if (id < firstOwn && this.#queue.isStoring(id)) relies.push(id)
    }
    if (again.length > 0) return this.#enqueueAgain(jobs, results, ids, relies, again)
    if (ids.length > 0) {
      this.#schedulePublish()
      return this.#durable.add({
        seq: stream.nextSeq - 1,
        owner: this.#queue,
        ids,
        answer: results,
        adds: true,
        relies,
      })
    }
    if (relies.length === 0) return Promise.resolve(results)
    const seq = relies.reduce((latest, id) => Math.max(latest, id))
    return this.#durable.add({ seq, owner: this.#queue, ids, answer: results, adds: true, relies })
  }

  /** Once all that is on its way is durable. The last ones are not of the same batch as the others. */
  async #enqueueAgain(
    jobs: readonly NewJob[],
    answer: Enqueued[],
    ids: readonly number[],
    relies: readonly number[],
    again: readonly number[],
  ): Promise<Enqueued[]> {
    this.#schedulePublish()
    const seq = this.#stream.nextSeq - 1
    await this.#durable.add({ seq, owner: this.#queue, ids, answer, adds: true, relies })
    const successive = new Successive(
      again.map((i) => jobs[i]!),
      again.map((i) => answer[i]!.id),
    )
    const others = successive.answers(await this.enqueue(successive.jobs))
    for (const [i, other] of others.entries()) answer[again[i]!] = other
    return answer
  }

  async #enqueueInParts(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    const half = jobs.length >> 1
    const parts = await Promise.all([this.enqueue(jobs.slice(0, half)), this.enqueue(jobs.slice(half))])
    return parts.flat()
  }

  async remove(queue: QueueName, jobKey: string): Promise<boolean> {
    this.#checkOpen()
    const id = this.#queue.remove(queue, jobKey)
    return id === undefined ? false : this.#remove(id)
  }

  async discardDead({ before, entries }: { before: number; entries: number }): Promise<number> {
    this.#checkOpen()
    const ids = this.#queue.discardDead(before, entries, DISCARD_AT_A_TIME)
    if (ids.length === 0) return 0
    this.#stream.reserve(ids.length * RECORD_HEADER_BYTES)
    for (const id of ids) this.#stream.bare(RecordType.DEQ, id)
    return this.#whenDurable(ids, ids.length)
  }

  async discard(id: number): Promise<boolean> {
    this.#checkOpen()
    return this.#queue.discard(id) ? this.#remove(id) : false
  }

  #remove(id: number): Promise<true> {
    this.#stream.reserve(RECORD_HEADER_BYTES)
    this.#stream.bare(RecordType.DEQ, id)
    return this.#whenDurable([id], true)
  }

  async reschedule(id: number, runAt: number): Promise<boolean> {
    this.#checkOpen()
    checkRunAt(runAt)
    return this.#queue.reschedule(id, runAt) ? this.#settle({ id, attempt: 0 }, true) : false
  }

  async revive(id: number): Promise<Revived> {
    this.#checkOpen()
    const revived = this.#queue.revive(id, this.#clock())
    return revived === 'revived' ? this.#settle({ id, attempt: 0 }, revived) : revived
  }

  claim(name: QueueName, limit: number, lastAttempts = limit): Promise<ClaimedJob[]> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(refusal)
    const jobs = this.#queue.claim(name, Math.min(limit, MAX_ATTEMPTS_A_CALL), this.#clock(), lastAttempts)
    this.#announceSoon()
    for (const condemned of this.#queue.takeCondemned()) {
      this.#settle(condemned, condemned).then((job) => this.#events.condemned(job), ignoreRefusal)
    }
    if (jobs.length === 0) return Promise.resolve(jobs)
    this.#stream.reserve(jobs.length * ATTEMPT_RECORD_BYTES)
    const ids: number[] = []
    let once = false
    for (const { id, attempt, atMostOnce } of jobs) {
      this.#stream.attempt(RecordType.CLAIM, id, attempt)
      ids.push(id)
      if (atMostOnce) once = true
    }
    if (once) return this.#whenDurable(ids, jobs)
    this.#link.control.wantWritten()
    this.#schedulePublish()
    return this.#written.add({ seq: this.#stream.nextSeq - 1, owner: this.#queue, ids, answer: jobs })
  }

  finish(attempts: readonly Finished[]): Promise<boolean[]> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(refusal)
    const stream = this.#stream
    const now = this.#clock()
    const results: boolean[] = []
    const stored: Promise<unknown>[] = []
    let ids: number[] = []
    for (const attempt of attempts) {
      const { piece } = stream
      const last = stream.nextSeq - 1
      // On a full disk the room that is left is for the ends of jobs, and not for what they came to.
      const current = this.#queue.finish(attempt, now, !this.#full)
      results.push(current)
      if (!current) continue
      if (stream.piece !== piece && ids.length > 0) {
        // Results can be long; these will be in another batch than what comes now.
        stored.push(this.#durable.add({ seq: last, owner: this.#queue, ids, answer: undefined }))
        ids = []
      }
      ids.push(attempt.id)
    }
    if (ids.length === 0) return Promise.resolve(results)
    const rest = this.#whenDurable(ids, results)
    return stored.length === 0 ? rest : Promise.all([rest, ...stored]).then(() => results)
  }

  async fail(attempt: Attempt, failure: JobFailure, options?: FailOptions): Promise<FailOutcome> {
    this.#checkOpen()
    const outcome = this.#queue.fail(attempt, failure, this.#clock(), options)
    return outcome.state === 'stale' ? outcome : this.#settle(attempt, outcome)
  }

  async release(attempt: Attempt, options: { runAt?: number; counted?: boolean } = {}): Promise<boolean> {
    this.#checkOpen()
    const now = this.#clock()
    const current = this.#queue.release(attempt, options.runAt ?? now, options.counted ?? true, now)
    return current ? this.#settle(attempt, true) : false
  }

  #settle<T>({ id, attempt }: Attempt, answer: T): Promise<T> {
    const settlement = this.#queue.settlement(id)!
    this.#stream.reserve(settlementBytes(settlement))
    if (settlement.failure !== undefined) this.#bodies.failing(id, this.#stream.position)
    this.#stream.settlement(id, attempt, settlement)
    return this.#whenDurable([id], answer)
  }

  sweep(): number | undefined {
    this.#queue.sweep(this.#clock())
    // It may have forgotten the last result of a segment.
    if (this.#failure === undefined && this.#closing === undefined) this.#dropSegments()
    this.#announceSoon()
    return this.#queue.nextDue()
  }

  nextDue(): number | undefined {
    return this.#queue.nextDue()
  }

  async inspect(filter: JobFilter): Promise<JobInfo[]> {
    this.#checkOpen()
    return this.#queue.inspect(filter)
  }

  async find(ref: JobRef): Promise<FoundJob | undefined> {
    this.#checkOpen()
    return this.#queue.find(ref)
  }

  watch(id: number, changed: () => void): () => void {
    return this.#queue.watch(id, changed)
  }

  counts(queue?: QueueName): JobCounts {
    return this.#queue.counts(queue)
  }

  dueQueues(): QueueName[] {
    return this.#queue.claimable()
  }

  on<E extends keyof JobStoreEvents>(event: E, listener: JobStoreEvents[E]): void {
    this.#events.on(event, listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const failedBefore = this.#failure
    this.#publish()
    if (!this.#written.empty || !this.#durable.empty) {
      await new Promise<void>((resolve) => {
        this.#settled = resolve
      })
    }
    if (this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve
        this.#link.stop()
      })
    }
    await this.#link.kill()
    await this.#indexer.stop()
    this.#state.reader.closeAll()
    this.#unlock()
    // A failure from before was told to those who were concerned.
    if (this.#failure !== failedBefore) throw this.#failure
  }

  #whenDurable<T>(ids: readonly number[], answer: T): Promise<T> {
    this.#schedulePublish()
    return this.#durable.add({ seq: this.#stream.nextSeq - 1, owner: this.#queue, ids, answer })
  }

  /** At the end of the event-loop turn, so that all calls of the turn share a batch. */
  #schedulePublish(): void {
    if (this.#publishing) return
    this.#publishing = true
    setImmediate(this.#publish)
  }

  readonly #publish = (): void => {
    if (!this.#publishing) return
    this.#publishing = false
    // Nobody would answer what compaction waits for, and `close` would wait for it, too.
    if (this.#failure !== undefined) return
    this.#compact()
    this.#stream.publish()
    this.#published = this.#stream.position
    this.#link.wake()
  }

  /** Moves a few jobs together with what is published. A full disk has no room for copies. */
  #compact(): void {
    if (this.#full) return
    const ids = this.#compactor.step(this.#stream.position - this.#published)
    if (ids.length === 0) return
    const wait = { seq: this.#stream.nextSeq - 1, owner: this.#compactor, ids, answer: undefined, adds: true }
    this.#durable.add(wait).catch(ignoreRefusal)
  }

  #hear(report: Report): void {
    if (typeof report === 'number') this.#written.stored(-report, this.#clock())
    else if (report === 'closed') this.#ended?.()
    else if ('stored' in report) this.#stored(report)
    else if ('upTo' in report) this.#refused(report.refused, report.upTo, report.bytes)
    else if ('full' in report) this.#diskIs(report.full)
    else this.#fail(report.failed)
    this.#announce()
    if (this.#written.empty && this.#durable.empty) this.#settled?.()
  }

  #stored(report: StoredReport): void {
    const { stored: seq, segment, segmentFirstSeq, end, bytes } = report
    const now = this.#clock()
    const before = this.#state.segments.newest
    this.#state.segments.grown(segment, segmentFirstSeq, end)
    if (before !== undefined && before.segment !== segment)
      this.#indexer.sealed(segmentFile(before.segment, before.firstSeq))
    this.#stream.stored(report, (...written) => this.#bodies.written(...written))
    if (report.refused !== undefined) this.#durable.refused(seq, full(report.refused), now, true)
    this.#written.stored(seq, now)
    this.#durable.stored(seq, now)
    this.#stream.passed(bytes, seq)
    this.#dropSegments()
  }

  /** Gives back the oldest segments when nothing in them counts. */
  #dropSegments(): void {
    const { segments, reader } = this.#state
    for (let oldest = segments.oldestSealed(); oldest?.jobs === 0; oldest = segments.oldestSealed()) {
      reader.close(oldest.segment)
      segments.drop(oldest.segment)
      this.#link.control.needFrom(oldest.segment + 1)
      this.#link.wake()
    }
  }

  #refused(why: string, upTo: number, bytes: number): void {
    const now = this.#clock()
    this.#written.refused(upTo, full(why), now)
    this.#durable.refused(upTo, full(why), now)
    this.#stream.passed(bytes, upTo)
  }

  #diskIs(full: boolean): void {
    this.#full = full
    if (full)
      this.#log.error(
        {},
        'the disk is full: new jobs are refused until there is room, jobs run and end from the reserve',
      )
    else this.#log.info({}, 'the disk has room again: new jobs are taken')
  }

  #fail(why: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new StoreError('STORE_FAILED', `the journal cannot go on: ${why}`)
    const unknown = new StoreError('STORE_FAILED', `the journal failed, so the outcome is unknown: ${why}`, {
      executed: 'maybe',
    })
    this.#written.failed(unknown)
    this.#durable.failed(unknown)
    this.#ended?.()
    this.#events.failed(this.#failure)
  }

  #announce(): void {
    this.#events.due(this.#queue.takeGained())
  }

  /** Not inside the call that made the queue due. */
  #announceSoon(): void {
    const due = this.#queue.takeGained()
    if (due.length > 0) queueMicrotask(() => this.#events.due(due))
  }

  #checkOpen(): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) throw refusal
  }

  #refusal(): StoreError | undefined {
    if (this.#closing !== undefined) {
      return new StoreError('STORE_CLOSED', 'the job store is closed: open a new one')
    }
    return this.#failure
  }
}

function full(why: string): StoreError {
  return new StoreError('STORE_FULL', `nothing was stored: ${why}`, { retryable: true })
}

/** Nobody waits for it: the owner has been told, and it will be tried again. */
function ignoreRefusal(): void {}

function tooLarge(bytes: number): InvalidArgument {
  return new InvalidArgument(`the call has ${bytes} bytes; at most ${MAX_CALL_BYTES} can be stored at once`)
}
