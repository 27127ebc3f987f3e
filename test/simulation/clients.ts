/** The clients and claimers of a simulation: their calls, what they hear, and what they do with it. */
import { OffstageError } from '#offstage/errors.js'
import type { JobStore, QueueName } from '#offstage/persistence/store.js'
import type { Answer, Call } from '../history/events.js'
import type { Claimers, Held } from './claimers.js'
import { issuedJob, type JobSource } from './jobs.js'
import type { Prng } from './prng.js'
import type { Recorder } from './recorder.js'
import { type Results, resultOf } from './results.js'
import type { SimulatedDisk } from './simulated-disk.js'
import type { VirtualTime } from './virtual-time.js'

const FAILURE = { name: 'Error', message: 'it broke', stack: 'Error: it broke\n    at here' }

export interface ClientsParts {
  readonly time: VirtualTime
  readonly random: Prng
  readonly recorder: Recorder
  readonly disk: SimulatedDisk
  readonly source: JobSource
  readonly claimers: Claimers
  readonly results: Results
  /** The store threw something that is no error of offstage's. */
  readonly broken: (error: unknown) => void
}

export class Clients {
  readonly #time: VirtualTime
  readonly #random: Prng
  readonly #recorder: Recorder
  readonly #disk: SimulatedDisk
  readonly #source: JobSource
  readonly #claimers: Claimers
  readonly #results: Results
  readonly #broken: (error: unknown) => void
  /** Undefined while there is none: then nobody calls. */
  store: JobStore | undefined

  constructor({ time, random, recorder, disk, source, claimers, results, broken }: ClientsParts) {
    this.#time = time
    this.#random = random
    this.#recorder = recorder
    this.#disk = disk
    this.#source = source
    this.#claimers = claimers
    this.#results = results
    this.#broken = broken
  }

  enqueue(count: number): void {
    const jobs = Array.from({ length: count }, () => this.#source.job(this.#time.now))
    const what: Call = { op: 'enqueue', jobs: jobs.map(({ wanted }) => wanted) }
    this.#call(what, async (store) => ({ op: 'enqueue', jobs: await store.enqueue(jobs.map(({ job }) => job)) }))
  }

  dequeue(): void {
    const queue = this.#source.queue()
    const jobKey = this.#source.key()
    const remove = async (store: JobStore): Promise<Answer> => {
      return { op: 'dequeue', removed: await store.remove(queue, jobKey) }
    }
    this.#call({ op: 'dequeue', queue, jobKey }, remove)
  }

  claim(queue: QueueName, limit: number, lastAttempts: number): void {
    const claim = async (store: JobStore): Promise<Answer> => {
      const jobs = await store.claim(queue, limit, lastAttempts)
      return { op: 'claim', jobs: jobs.map(issuedJob) }
    }
    this.#call({ op: 'claim', queue, limit, lastAttempts }, claim, (answer) => {
      if (answer?.op === 'claim') this.#claimers.take(answer.jobs)
    })
  }

  finish(most: number): void {
    const held = this.#claimers.free(most)
    if (held.length === 0) return
    const attempts = held.map(({ job: { id, attempt } }) => ({ id, attempt }))
    for (const one of held) this.#settle(one)
    // The same one twice, and one that is nobody's.
    if (this.#random.chance(0.1)) attempts.push(attempts[0]!)
    const old = this.#claimers.old()
    if (old !== undefined && this.#random.chance(0.1)) attempts.push(old)
    this.#finishAttempts(attempts, held)
  }

  #finishAttempts(attempts: readonly { id: number; attempt: number }[], held: readonly Held[] = []): void {
    const withValues = attempts.map((attempt) => ({ ...attempt, value: resultOf(attempt.id) }))
    const finish = async (store: JobStore): Promise<Answer> => {
      return { op: 'finish', current: await store.finish(withValues) }
    }
    this.#call({ op: 'finish', attempts }, finish, (answer) => {
      if (answer?.op === 'finish') {
        this.#results.finished(attempts.filter((_, i) => answer.current[i]).map(({ id }) => id))
      }
      this.#settled(held, answer)
    })
  }

  fail(): void {
    const [held] = this.#claimers.free(1)
    if (held === undefined) return
    this.#settle(held)
    this.#failAttempt(held.job, this.#random.chance(0.3), [held])
  }

  #failAttempt(
    { id, attempt: number }: { id: number; attempt: number },
    crashed: boolean,
    held: readonly Held[] = [],
  ): void {
    const attempt = { id, attempt: number }
    const fail = async (store: JobStore): Promise<Answer> => {
      return { op: 'fail', outcome: await store.fail(attempt, FAILURE, { crashed }) }
    }
    this.#call({ op: 'fail', attempt, crashed }, fail, (answer) => this.#settled(held, answer))
  }

  release(): void {
    const [held] = this.#claimers.free(1)
    if (held === undefined) return
    // What has started counts.
    const counted = held.run !== undefined || held.over || this.#random.chance(0.5)
    const runAt = this.#random.chance(0.5) ? this.#time.now + this.#random.int(5000) : undefined
    if (counted) this.#settle(held)
    else this.#claimers.end(held)
    this.#releaseAttempt(held.job, counted, runAt, [held])
  }

  #releaseAttempt(
    { id, attempt: number }: { id: number; attempt: number },
    counted: boolean,
    runAt: number | undefined,
    held: readonly Held[] = [],
  ): void {
    const attempt = { id, attempt: number }
    const release = async (store: JobStore): Promise<Answer> => {
      return {
        op: 'release',
        current: await store.release(attempt, runAt === undefined ? { counted } : { counted, runAt }),
      }
    }
    this.#call({ op: 'release', attempt, counted, runAt }, release, (answer) => this.#settled(held, answer))
  }

  /** Somebody who does not hold the attempt, or no longer. */
  settleOther(attempt: { id: number; attempt: number } | undefined): void {
    // An invented one may be right; then it is no fault to accept it.
    if (attempt === undefined || this.#claimers.holds(attempt)) return
    const kind = this.#random.int(3)
    if (kind === 0) this.#finishAttempts([attempt])
    else if (kind === 1) this.#failAttempt(attempt, false)
    else this.#releaseAttempt(attempt, true, undefined)
  }

  #settle(held: Held): void {
    if (this.#random.chance(0.7)) this.#claimers.begin(held)
    this.#claimers.end(held)
  }

  #settled(held: readonly Held[], answer: Answer | undefined): void {
    for (const one of held) {
      if (answer === undefined) this.#claimers.refused(one)
      else this.#claimers.settled(one)
    }
  }

  #call(
    what: Call,
    make: (store: JobStore) => Promise<Answer>,
    then: (answer: Answer | undefined) => void = ignore,
  ): void {
    const store = this.store
    if (store === undefined) return
    const call = this.#recorder.invoke(what)
    make(store).then(
      (answer) => {
        if (this.#recorder.ok(call, answer)) then(answer)
      },
      (error: unknown) => {
        const certain = !this.#disk.down && error instanceof OffstageError && error.executed === 'no'
        if (!(error instanceof OffstageError)) this.#broken(error)
        if (this.#recorder.failed(call, message(error), certain)) then(undefined)
      },
    )
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function ignore(): void {}
