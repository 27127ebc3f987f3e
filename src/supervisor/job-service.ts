/**
 * The verbs that are about one job of the queue: what it is at, what it comes to, that it is not wanted any more, and that
 * a dead one is wanted again. Who waits for a job looks at it again after each event of it, so that no order of events has to be thought of here.
 */
import { Cancelled, InvalidArgument, OffstageError, RemoteWorkerError } from '../errors.js'
import type { FoundJob, JobRef, JobStore } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import { type Envelope, envelope, Verb } from '../wire/envelope.js'
import type { Caller, Waiting } from './caller.js'
import type { Dispatcher } from './dispatcher.js'
import { asOffstageError } from './enqueuer.js'
import { deadError, encodeStatus, titleOf, versionOf } from './job-status.js'
import { checkTime } from './job-verbs.js'
import type { WatchedJobs } from './watched-jobs.js'

const NULL = Uint8Array.of(0xf6)
const UNDEFINED = Uint8Array.of(0xf7)

export interface JobServiceParts {
  readonly store: Pick<JobStore, 'find' | 'discard' | 'revive' | 'reschedule'>
  readonly watched: WatchedJobs
  readonly dispatcher: Pick<Dispatcher, 'cancel' | 'expect'>
}

export class JobService {
  readonly #parts: JobServiceParts

  constructor(parts: JobServiceParts) {
    this.#parts = parts
  }

  /** Answers now or later. Throws `InvalidArgument`. */
  serve(caller: Caller, corr: number, e: Envelope): void {
    void new JobCall(this.#parts, caller, corr, e).look()
  }
}

/** One call about one job, until it is answered. */
class JobCall implements Waiting {
  readonly #parts: JobServiceParts
  readonly #caller: Caller
  readonly #corr: number
  readonly #verb: number
  readonly #known: string
  readonly #runAt: number
  #ref: JobRef
  /** The job as it was last. */
  #seen: FoundJob | undefined
  #unwatch: (() => void) | undefined
  #told = false
  #looking = false
  #again = false
  #over = false

  constructor(parts: JobServiceParts, caller: Caller, corr: number, e: Envelope) {
    this.#parts = parts
    this.#caller = caller
    this.#corr = corr
    this.#verb = e.verb
    this.#known = e.known
    this.#runAt = Math.max(e.runAt, 0)
    checkTime(this.#runAt)
    if (e.job === 0 && (e.worker === '' || e.jobKey === '')) {
      throw new InvalidArgument('a job is named by its id, or by its worker and job key')
    }
    this.#ref = e.job === 0 ? { worker: e.worker, workerKey: e.workerKey, jobKey: e.jobKey } : { id: e.job }
  }

  end(): void {
    this.#over = true
    this.#unwatch?.()
  }

  readonly look = async (): Promise<void> => {
    this.#again = true
    if (this.#looking) return
    this.#looking = true
    try {
      while (this.#again && !this.#over) {
        this.#again = false
        await this.#lookOnce()
      }
    } catch (error) {
      // The server stops: its connections end, and whoever still wants to know asks again.
      if (!(error instanceof OffstageError && error.code === 'STORE_CLOSED' && this.#unwatch !== undefined)) {
        this.#refuse(asOffstageError(error))
      }
    } finally {
      this.#looking = false
    }
  }

  async #lookOnce(): Promise<void> {
    const job = await this.#parts.store.find(this.#ref)
    if (this.#over) return
    if (job !== undefined) {
      if (this.#seen === undefined) {
        const { worker, workerKey, method, jobKey } = job
        this.#caller.check(envelope(this.#verb, worker, workerKey, method, jobKey))
      }
      this.#seen = job
      this.#ref = { id: job.id }
    }
    switch (this.#verb) {
      case Verb.JOB:
        return this.#status(job)
      case Verb.JOB_RESULT:
        return this.#result(job)
      case Verb.RETRY_JOB:
        return this.#retry(job)
      case Verb.DELETE_JOB:
        return this.#delete(job)
      case Verb.RESCHEDULE:
        return this.#reschedule(job)
      default:
        return this.#cancel(job)
    }
  }

  #status(job: FoundJob | undefined): void {
    if (job === undefined) this.#answer(NULL)
    else {
      const progress = this.#parts.watched.progressOf(job.id)
      if (this.#known === versionOf(job, progress)) this.#wait(job)
      else this.#answer(encodeStatus(job, progress))
    }
  }

  #result(job: FoundJob | undefined): void {
    if (job === undefined) this.#resultOfGone()
    else if (job.state === 'finished') this.#answer(valueOrNothing(job.value))
    else if (job.state === 'dead') this.#refuse(deadError(job))
    else this.#wait(job)
  }

  #resultOfGone(): void {
    const seen = this.#seen
    if (seen === undefined) {
      const which = 'id' in this.#ref ? this.#ref.id : JSON.stringify(this.#ref.jobKey)
      this.#refuse(
        new RemoteWorkerError(
          'NO_JOB',
          `there is no job ${which}: it was never there, was removed, or is kept no longer`,
        ),
      )
      return
    }
    const ending = this.#parts.watched.endingOf(seen.id)
    if (ending === undefined) this.#refuse(new Cancelled(`${titleOf(seen)} was removed`))
    else if (ending === 'cancelled')
      this.#refuse(new Cancelled(`${titleOf(seen)} was cancelled`, { executed: 'maybe' }))
    else this.#answer(valueOrNothing(ending.value))
  }

  async #cancel(job: FoundJob | undefined): Promise<void> {
    if (job === undefined) {
      const ending = this.#seen && this.#parts.watched.endingOf(this.#seen.id)
      const outcome = ending === undefined ? 'removed' : ending === 'cancelled' ? 'stopped' : 'finished'
      this.#answer(encodeValue(this.#seen === undefined ? 'unknown' : outcome))
    } else if (job.state === 'finished' || job.state === 'dead') this.#answer(encodeValue(job.state))
    else if (job.state === 'active') {
      // It may be on its way to or from its worker, where nobody can be told: then what happens next tells more.
      if (!this.#told) this.#told = this.#parts.dispatcher.cancel(job.id)
      this.#wait(job)
    } else if (await this.#parts.store.discard(job.id)) this.#answer(encodeValue('removed'))
    // It was being claimed, or is gone.
    else this.#wait(job)
  }

  async #retry(job: FoundJob | undefined): Promise<void> {
    if (job?.state !== 'dead') return this.#answer(encodeValue(job?.state ?? 'unknown'))
    const revived = await this.#parts.store.revive(job.id)
    // Else somebody else was quicker: what has become of it?
    if (revived === 'unknown') this.#wait(job)
    else this.#answer(encodeValue(revived === 'revived' ? 'retried' : revived))
  }

  async #delete(job: FoundJob | undefined): Promise<void> {
    const state = job?.state ?? 'unknown'
    if (job === undefined || state === 'active' || state === 'finished') this.#answer(encodeValue(state))
    else if (await this.#parts.store.discard(job.id)) this.#answer(encodeValue('removed'))
    else this.#wait(job)
  }

  async #reschedule(job: FoundJob | undefined): Promise<void> {
    if (job?.state !== 'ready' && job?.state !== 'scheduled') this.#answer(encodeValue(job?.state ?? 'unknown'))
    else if (await this.#parts.store.reschedule(job.id, this.#runAt)) {
      this.#parts.dispatcher.expect(this.#runAt)
      this.#answer(encodeValue('rescheduled'))
    } else this.#wait(job)
  }

  #wait({ id }: FoundJob): void {
    if (this.#unwatch !== undefined) return
    this.#unwatch = this.#parts.watched.add(id, this.look)
    this.#caller.waits(this.#corr, this)
    // Something may have happened before it was watched.
    setImmediate(this.look)
  }

  #answer(bytes: Uint8Array): void {
    this.end()
    this.#caller.answer(this.#corr, bytes)
  }

  #refuse(error: OffstageError): void {
    if (this.#over) return
    this.end()
    this.#caller.refuse(this.#corr, error)
  }
}

function valueOrNothing(value: Uint8Array | undefined): Uint8Array {
  return value === undefined || value.length === 0 ? UNDEFINED : value
}
