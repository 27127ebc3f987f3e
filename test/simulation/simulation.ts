/**
 * One run of the journal store from one seed: clients and claimers with calls in flight together, over a disk that
 * forgets, runs full and fails; crashes at any moment, recovery included. At the end the faults stop, everything
 * left is worked off, and the history is checked.
 */
import { OffstageError } from '#offstage/errors.js'
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { JobStore, QueueName } from '#offstage/persistence/store.js'
import { check } from '../history/checker.js'
import type { Answer, Call, HistoryEvent } from '../history/events.js'
import type { Violation } from '../history/timeline.js'
import { type Rot, rot } from './bit-rot.js'
import { Claimers, type Held } from './claimers.js'
import { issuedJob, JobSource } from './jobs.js'
import { Prng } from './prng.js'
import { type Action, drawCrash, drawProfile, type Profile } from './profile.js'
import { Recorder } from './recorder.js'
import { seedUuids } from './seeded-uuids.js'
import { SimulatedDisk } from './simulated-disk.js'
import { VirtualTime } from './virtual-time.js'

const DIR = '/data/journal'
const START = 1_750_000_000_000
const BACKOFF = { first: 1000, factor: 2, max: 60_000, jitter: 0.2 }
const FAILURE = { name: 'Error', message: 'it broke', stack: 'Error: it broke\n    at here' }
/** Each round claims all that is due and lets time pass until the next is. */
const DRAIN_ROUNDS = 500
const MOST_CRASHES = 40

export interface RunResult {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly history: readonly HistoryEvent[]
  readonly crashes: number
  readonly powerCuts: number
  readonly opens: number
  readonly jobs: number
  readonly calls: number
  readonly diskCalls: number
  /** Of all events and calls to the disk: the same for the same seed. */
  readonly digest: string
}

/** `print` gets every event and every call to the disk as a line. One run at a time: it takes over the timers. */
export async function simulate(seed: number, print?: (line: string) => void): Promise<RunResult> {
  return new Simulation(seed, print).run()
}

class Simulation {
  readonly #seed: number
  readonly #random: Prng
  readonly #profile: Profile
  readonly #time = new VirtualTime(START)
  readonly #recorder: Recorder
  readonly #disk: SimulatedDisk
  readonly #source: JobSource
  readonly #claimers: Claimers
  #store: JobStore | undefined
  #rot: Rot | undefined
  #failed = false
  #refused = false
  #crashes = 0
  #powerCuts = 0
  #opens = 0
  /** No more crashes are planned. */
  #calm = false

  constructor(seed: number, print?: (line: string) => void) {
    this.#seed = seed
    this.#random = new Prng(seed, 'workload')
    this.#profile = drawProfile(new Prng(seed, 'profile'))
    this.#recorder = new Recorder(this.#time, print)
    this.#disk = new SimulatedDisk(new Prng(seed, 'disk'), (line) => this.#recorder.line(`  disk ${line}`))
    this.#source = new JobSource(new Prng(seed, 'jobs'), this.#profile)
    this.#claimers = new Claimers(this.#random, this.#recorder)
    this.#disk.makeFolder('/data')
    this.#disk.syncFolder('/')
    this.#disk.shortWrites = this.#profile.shortWrites
  }

  async run(): Promise<RunResult> {
    this.#recorder.line(`seed ${this.#seed} ${JSON.stringify(this.#profile)}`)
    const restoreUuids = seedUuids(new Prng(this.#seed, 'uuid'))
    this.#time.install()
    try {
      await this.#live()
      if (!this.#refused) await this.#drain()
    } finally {
      await this.#store?.close().catch(ignore)
      this.#time.uninstall()
      restoreUuids()
    }
    const { history, calls, digest } = this.#recorder
    return {
      seed: this.#seed,
      violations: check(history, { backoff: BACKOFF }),
      history,
      crashes: this.#crashes,
      powerCuts: this.#powerCuts,
      opens: this.#opens,
      jobs: history.reduce((sum, event) => sum + created(event), 0),
      calls,
      diskCalls: this.#disk.calls,
      digest,
    }
  }

  async #live(): Promise<void> {
    for (let step = 0; step < this.#profile.steps && !this.#refused; ) {
      if (this.#store === undefined) {
        // Recoveries that end in the next crash are worth something, but not the whole run.
        if (this.#crashes > MOST_CRASHES) this.#calm = true
        await this.#open()
      } else {
        step++
        await this.#act(this.#random.weighted(this.#profile.weights))
      }
      await this.#afterwards()
    }
  }

  async #act(action: Action): Promise<void> {
    const random = this.#random
    switch (action) {
      case 'enqueue':
        return this.#enqueue(1)
      case 'bulk':
        return this.#enqueue(random.between(2, 12))
      case 'dequeue':
        return this.#dequeue()
      case 'claim':
        return this.#claim(this.#source.queue(), random.between(1, 6), random.between(0, 6))
      case 'begin':
        for (const held of this.#claimers.free(3)) this.#claimers.begin(held)
        return
      case 'finish':
        return this.#finish()
      case 'fail':
        return this.#fail()
      case 'release':
        return this.#release()
      case 'settleStale':
        return this.#settleOther(this.#claimers.old())
      case 'settleInvented':
        return this.#settleOther({ id: random.between(1, 40), attempt: random.between(1, 3) })
      case 'sweep':
        this.#store?.sweep()
        return
      case 'wait':
        this.#time.advance(random.pick([1, 10, 500, 1500, 30_000]))
        return
      case 'turn':
        return turn()
      case 'close':
        return this.#close()
      case 'crash':
        this.#disk.crash()
        return
      case 'fill':
        // Until the next of these, or until it has kept the store from opening.
        this.#disk.capacity =
          this.#disk.capacity === Number.POSITIVE_INFINITY
            ? this.#disk.used() + random.int(4096)
            : Number.POSITIVE_INFINITY
        return
      case 'breakDisk':
        this.#disk.failures.push({
          call: random.pick(['sync', 'sync', 'write', 'syncFolder', 'create', 'rename']),
          code: random.pick(['EIO', 'EIO', 'ENOSPC']),
          after: random.int(6),
        })
    }
  }

  /** What a supervisor does when its machine, its disk or its store is gone: the next one starts. */
  async #afterwards(): Promise<void> {
    if (this.#disk.down) await this.#restart()
    else if (this.#failed) {
      // An error of the disk ends the process; the machine may go on.
      this.#disk.crash()
      await this.#restart()
    }
  }

  async #restart(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    this.#failed = false
    await store?.close().catch(ignore)
    const power = this.#random.chance(this.#profile.power)
    this.#crashes++
    if (power) this.#powerCuts++
    this.#recorder.crash(power)
    this.#claimers.crash()
    this.#disk.restart(power ? 'power' : 'kill')
    this.#decay(false)
  }

  /** While the store is closed a bit may change. */
  #decay(closedCleanly: boolean): void {
    if (this.#calm || this.#rot !== undefined || !this.#random.chance(this.#profile.rot)) return
    this.#rot = rot(this.#disk, DIR, closedCleanly, this.#random)
    if (this.#rot !== undefined) this.#recorder.line(`a bit changed in ${this.#rot.path} at ${this.#rot.at}`)
  }

  async #open(): Promise<void> {
    this.#plan()
    const { changes } = this.#disk
    try {
      const store = await openJournal({
        dir: DIR,
        clock: () => this.#time.now,
        random: () => this.#random.next(),
        backoff: BACKOFF,
        segmentBytes: this.#profile.segmentBytes,
        reserveBytes: this.#profile.reserveBytes,
        cacheBytes: this.#profile.cacheBytes,
        indexAfterMs: this.#profile.indexed ? 0 : Number.POSITIVE_INFINITY,
        system: this.#disk,
      })
      this.#store = store
      store.on('failed', () => {
        if (this.#store === store) this.#failed = true
      })
      this.#opens++
      this.#rot = undefined
      this.#recorder.add({ type: 'open', at: this.#time.now })
      await this.#look()
    } catch (error) {
      if (this.#disk.down) return
      if (this.#rot !== undefined && error instanceof OffstageError && error.code === 'JOURNAL_CORRUPT') {
        this.#recorder.line(`the store refuses to open: ${error.message}`)
        if (this.#disk.changes > changes)
          this.#refuse(new Error(`it changed the disk and then refused: ${error.message}`))
        this.#rot.repair()
        this.#rot = undefined
      } else if (error instanceof OffstageError || !isFault(error)) this.#refuse(error)
      else {
        this.#recorder.line(`the store did not open: ${error.message}`)
        this.#disk.crash()
        // Somebody makes room on the disk.
        this.#disk.capacity = Number.POSITIVE_INFINITY
      }
    }
  }

  #refuse(error: unknown): void {
    this.#refused = true
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#recorder.add({ type: 'refused', at: this.#time.now, why })
  }

  /** Chooses the call to the disk at which this life ends, if it is to end so. */
  #plan(): void {
    if (this.#calm || !this.#random.chance(this.#profile.planned)) return
    this.#disk.crashAt = drawCrash(this.#random, this.#profile)
  }

  /** All jobs, and whether the counts agree with them. */
  async #look(): Promise<void> {
    const store = this.#store!
    const jobs = await store.inspect({ limit: 1_000_000 })
    this.#recorder.add({ type: 'state', at: this.#time.now, jobs })
    const counts = { scheduled: 0, ready: 0, active: 0, dead: 0 }
    for (const { state } of jobs) counts[state]++
    const told = JSON.stringify(store.counts())
    if (told !== JSON.stringify(counts))
      this.#refuse(new Error(`counts() is ${told}, inspect() has ${JSON.stringify(counts)}`))
  }

  #enqueue(count: number): void {
    const jobs = Array.from({ length: count }, () => this.#source.job(this.#time.now))
    const what: Call = { op: 'enqueue', jobs: jobs.map(({ wanted }) => wanted) }
    this.#call(what, async (store) => ({ op: 'enqueue', jobs: await store.enqueue(jobs.map(({ job }) => job)) }))
  }

  #dequeue(): void {
    const queue = this.#source.queue()
    const jobKey = this.#source.key()
    const remove = async (store: JobStore): Promise<Answer> => {
      return { op: 'dequeue', removed: await store.remove(queue, jobKey) }
    }
    this.#call({ op: 'dequeue', queue, jobKey }, remove)
  }

  #claim(queue: QueueName, limit: number, lastAttempts: number): void {
    const claim = async (store: JobStore): Promise<Answer> => {
      const jobs = await store.claim(queue, limit, lastAttempts)
      return { op: 'claim', jobs: jobs.map(issuedJob) }
    }
    this.#call({ op: 'claim', queue, limit, lastAttempts }, claim, (answer) => {
      if (answer?.op === 'claim') this.#claimers.take(answer.jobs)
    })
  }

  #finish(held = this.#claimers.free(this.#random.between(1, 4))): void {
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
    const finish = async (store: JobStore): Promise<Answer> => ({ op: 'finish', current: await store.finish(attempts) })
    this.#call({ op: 'finish', attempts }, finish, (answer) => this.#settled(held, answer))
  }

  #fail(): void {
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
      return { op: 'fail', outcome: await store.fail(attempt, FAILURE, crashed) }
    }
    this.#call({ op: 'fail', attempt, crashed }, fail, (answer) => this.#settled(held, answer))
  }

  #release(): void {
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
  #settleOther(attempt: { id: number; attempt: number } | undefined): void {
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

  #close(): Promise<void> {
    const call = this.#recorder.invoke({ op: 'close' })
    const store = this.#store!
    return store.close().then(
      async () => {
        if (!this.#recorder.ok(call, { op: 'close' })) return
        // A clean end ends what runs, too; the next store finds everything.
        this.#store = undefined
        for (const run of this.#claimers.runs) this.#recorder.end(run)
        this.#claimers.crash()
        this.#decay(true)
      },
      (error: unknown) => {
        this.#recorder.failed(call, message(error), false)
      },
    )
  }

  #call(
    what: Call,
    make: (store: JobStore) => Promise<Answer>,
    then: (answer: Answer | undefined) => void = ignore,
  ): void {
    const store = this.#store
    if (store === undefined) return
    const call = this.#recorder.invoke(what)
    make(store).then(
      (answer) => {
        if (this.#recorder.ok(call, answer)) then(answer)
      },
      (error: unknown) => {
        const certain = !this.#disk.down && error instanceof OffstageError && error.executed === 'no'
        if (!(error instanceof OffstageError)) this.#refuse(error)
        if (this.#recorder.failed(call, message(error), certain)) then(undefined)
      },
    )
  }

  /** No more faults; works off everything, and looks at what is left, also after a clean restart. */
  async #drain(): Promise<void> {
    this.#calm = true
    this.#disk.crashAt = undefined
    this.#disk.failures = []
    this.#disk.capacity = Number.POSITIVE_INFINITY
    await turn()
    await this.#afterwards()
    // A second time, when a bit had changed.
    for (let time = 0; time < 2 && this.#store === undefined && !this.#refused; time++) await this.#open()
    if (this.#refused || this.#store === undefined) return
    this.#recorder.add({ type: 'healed', at: this.#time.now })
    for (let round = 0; round < DRAIN_ROUNDS && this.#unfinished() > 0; round++) {
      for (const queue of this.#store!.dueQueues()) this.#claim(queue, 50, 50)
      await turn()
      this.#finish(this.#claimers.free(1000))
      await turn()
      const due = this.#store!.nextDue()
      if (due !== undefined && due > this.#time.now) this.#time.advance(due - this.#time.now)
      this.#store!.sweep()
    }
    await this.#look()
    await this.#close()
    if (this.#store === undefined) await this.#open()
  }

  #unfinished(): number {
    const { scheduled, ready, active } = this.#store!.counts()
    return scheduled + ready + active
  }
}

/** One turn of the event loop: what was published is written, and answered. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isFault(error: unknown): error is Error {
  return (
    (error instanceof Error && 'code' in error && ['EIO', 'ENOSPC'].includes(String(error.code))) ||
    (error instanceof Error && isFault(error.cause))
  )
}

function created(event: HistoryEvent): number {
  if (event.type !== 'ok' || event.answer.op !== 'enqueue') return 0
  return event.answer.jobs.filter((job) => job.created).length
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function ignore(): void {}
