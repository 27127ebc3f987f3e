/**
 * One run of the journal store from one seed: clients and claimers with calls in flight together, over a disk that
 * forgets, runs full and fails; crashes at any moment, recovery included. At the end the faults stop, everything
 * left is worked off, and the history is checked.
 */
import { OffstageError } from '#offstage/errors.js'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { check } from '../history/checker.js'
import type { HistoryEvent } from '../history/events.js'
import type { Violation } from '../history/timeline.js'
import { type Rot, rot } from './bit-rot.js'
import { Claimers } from './claimers.js'
import { Clients } from './clients.js'
import { JobSource } from './jobs.js'
import { Prng } from './prng.js'
import { type Action, drawCrash, drawProfile, type Profile } from './profile.js'
import { Recorder } from './recorder.js'
import { KEEP, Results } from './results.js'
import { seedUuids } from './seeded-uuids.js'
import { SimulatedDisk } from './simulated-disk.js'
import { VirtualTime } from './virtual-time.js'

export const DIR = '/data/journal'
const START = 1_750_000_000_000
export const BACKOFF = { first: 1000, factor: 2, max: 60_000, jitter: 0.2 }
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

export interface RunOptions {
  /** Gets every event and every call to the disk as a line. */
  readonly print?: (line: string) => void
  /** Another one than the seed's. */
  readonly profile?: Profile
  /** Called before every call that changes the disk. */
  readonly beforeCall?: (disk: SimulatedDisk, history: readonly HistoryEvent[]) => void
}

/** One run at a time: it takes over the timers. */
export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  return new Simulation(seed, options).run()
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
  readonly #clients: Clients
  readonly #results = new Results()
  #rot: Rot | undefined
  #failed = false
  #refused = false
  #closing = false
  #crashes = 0
  #powerCuts = 0
  #opens = 0
  /** No more crashes are planned. */
  #calm = false

  constructor(seed: number, { print, profile, beforeCall }: RunOptions) {
    this.#seed = seed
    this.#random = new Prng(seed, 'workload')
    this.#profile = profile ?? drawProfile(new Prng(seed, 'profile'))
    this.#recorder = new Recorder(this.#time, print)
    this.#disk = new SimulatedDisk(new Prng(seed, 'disk'), (line) => this.#recorder.line(`  disk ${line}`))
    this.#source = new JobSource(new Prng(seed, 'jobs'), this.#profile)
    this.#claimers = new Claimers(this.#random, this.#recorder)
    this.#clients = new Clients({
      time: this.#time,
      random: this.#random,
      recorder: this.#recorder,
      disk: this.#disk,
      source: this.#source,
      claimers: this.#claimers,
      results: this.#results,
      broken: (error) => this.#refuse(error),
    })
    this.#disk.makeFolder('/data')
    this.#disk.syncFolder('/')
    this.#disk.before = (call) => {
      beforeCall?.(this.#disk, this.#recorder.history)
      if (call === 'sync' && this.#random.chance(this.#profile.meanwhile)) this.#meanwhile()
    }
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
      await this.#clients.store?.close().catch(ignore)
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
      if (this.#clients.store === undefined) {
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
        return this.#clients.enqueue(1)
      case 'bulk':
        return this.#clients.enqueue(random.between(2, 12))
      case 'dequeue':
        return this.#clients.dequeue()
      case 'claim':
        return this.#clients.claim(this.#source.queue(), random.between(1, 6), random.between(0, 6))
      case 'begin':
        for (const held of this.#claimers.free(3)) this.#claimers.begin(held)
        return
      case 'finish':
        return this.#clients.finish(random.between(1, 4))
      case 'fail':
        return this.#clients.fail()
      case 'release':
        return this.#clients.release()
      case 'settleStale':
        return this.#clients.settleOther(this.#claimers.old())
      case 'settleInvented':
        return this.#clients.settleOther({ id: random.between(1, 40), attempt: random.between(1, 3) })
      case 'sweep':
        this.#clients.store?.sweep()
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
        this.#results.excuse()
        // Until the next of these, or until it has kept the store from opening.
        this.#disk.capacity =
          this.#disk.capacity === Number.POSITIVE_INFINITY
            ? this.#disk.used() + random.int(4096)
            : Number.POSITIVE_INFINITY
        return
      case 'breakDisk':
        this.#results.excuse()
        this.#disk.failures.push({
          call: random.pick(['sync', 'sync', 'write', 'syncFolder', 'create', 'rename']),
          code: random.pick(['EIO', 'EIO', 'ENOSPC']),
          after: random.int(6),
        })
    }
  }

  /** Calls that come while the journal's thread waits for the disk: what it has written is not durable yet. */
  #meanwhile(): void {
    if (this.#calm || this.#closing) return
    const { enqueue, bulk, dequeue, claim, finish, fail, release } = this.#profile.weights
    const weights = { enqueue, bulk, dequeue, claim, finish, fail, release }
    for (let left = this.#random.between(1, 3); left > 0; left--) void this.#act(this.#random.weighted(weights))
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
    const store = this.#clients.store
    this.#clients.store = undefined
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
    if (this.#rot === undefined) return
    this.#results.excuse()
    this.#recorder.line(`a bit changed in ${this.#rot.path} at ${this.#rot.at}`)
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
        keep: KEEP,
        system: this.#disk,
      })
      this.#clients.store = store
      store.on('failed', () => {
        if (this.#clients.store === store) this.#failed = true
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
    const store = this.#clients.store!
    const jobs = await store.inspect({ limit: 1_000_000 })
    this.#recorder.add({ type: 'state', at: this.#time.now, jobs })
    const counts = { scheduled: 0, ready: 0, active: 0, dead: 0, finished: 0 }
    for (const { state } of jobs) counts[state]++
    const wrong = await this.#results.problem(store)
    if (wrong !== undefined) this.#refuse(new Error(wrong))
    const told = JSON.stringify({ ...store.counts(), finished: 0 })
    if (told !== JSON.stringify(counts))
      this.#refuse(new Error(`counts() is ${told}, inspect() has ${JSON.stringify(counts)}`))
  }

  #close(): Promise<void> {
    const call = this.#recorder.invoke({ op: 'close' })
    // A store that writes in a thread of its own refuses calls from here on; this one would take them until it waits.
    this.#closing = true
    const store = this.#clients.store!
    return store.close().then(
      async () => {
        this.#closing = false
        if (!this.#recorder.ok(call, { op: 'close' })) return
        // A clean end ends what runs, too; the next store finds everything.
        this.#clients.store = undefined
        for (const run of this.#claimers.runs) this.#recorder.end(run)
        this.#claimers.crash()
        this.#decay(true)
      },
      (error: unknown) => {
        this.#closing = false
        this.#recorder.failed(call, message(error), false)
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
    for (let time = 0; time < 2 && this.#clients.store === undefined && !this.#refused; time++) await this.#open()
    if (this.#refused || this.#clients.store === undefined) return
    this.#recorder.add({ type: 'healed', at: this.#time.now })
    for (let round = 0; round < DRAIN_ROUNDS && this.#unfinished() > 0; round++) {
      for (const queue of this.#clients.store!.dueQueues()) this.#clients.claim(queue, 50, 50)
      await turn()
      this.#clients.finish(1000)
      await turn()
      const due = this.#clients.store!.nextDue()
      if (due !== undefined && due > this.#time.now) this.#time.advance(due - this.#time.now)
      this.#clients.store!.sweep()
    }
    await this.#look()
    await this.#close()
    if (this.#clients.store === undefined) await this.#open()
  }

  #unfinished(): number {
    const { scheduled, ready, active } = this.#clients.store!.counts()
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
