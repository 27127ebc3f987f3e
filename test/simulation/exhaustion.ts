/**
 * Crashes everywhere: one short history, and after every call that it makes to the disk the power is cut, many times,
 * each time with other remains; and in each of some recoveries from that, the power is cut again after every call.
 */
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { HistoryEvent } from '../history/events.js'
import { modelEquality } from '../history/queues.js'
import { readTimeline } from '../history/timeline.js'
import { Prng } from './prng.js'
import type { Profile } from './profile.js'
import { KEEP } from './results.js'
import { seedUuids } from './seeded-uuids.js'
import type { SimulatedDisk } from './simulated-disk.js'
import { BACKOFF, DIR, simulate } from './simulation.js'
import { VirtualTime } from './virtual-time.js'

/** A bit of everything but crashes: segments that end and are given back, a full disk, clean ends. */
const PROFILE: Profile = {
  weights: {
    enqueue: 10,
    bulk: 3,
    dequeue: 2,
    claim: 8,
    begin: 3,
    finish: 7,
    fail: 2,
    release: 2,
    settleStale: 1,
    settleInvented: 1,
    sweep: 1,
    wait: 2,
    turn: 14,
    close: 0.7,
    fill: 0.5,
    crash: 0,
    breakDisk: 0,
  },
  steps: 120,
  keys: 6,
  queues: 1,
  segmentBytes: 1024,
  reserveBytes: 1024,
  cacheBytes: 2048,
  indexed: true,
  largestArgument: 100,
  planned: 0,
  horizon: 1,
  power: 1,
  shortWrites: 0,
  meanwhile: 0.2,
  rot: 0,
}
/** Of all recoveries, every so many is cut off itself, after each of its calls. */
const EVERY = 20
/** Remains of each of those. */
const NESTED = 3

interface Moment {
  readonly disk: SimulatedDisk
  /** What had been recorded until then. */
  readonly events: number
}

export interface Exhaustion {
  readonly places: number
  readonly powerCuts: number
  /** Of the power cuts, those within a recovery. */
  readonly nested: number
  /** The first problem, with its place. */
  readonly problem: string | undefined
}

/** `subsets`: how many different remains at each place; `steps`: how long the history is. */
export async function exhaust(seed: number, subsets: number, steps = PROFILE.steps): Promise<Exhaustion> {
  const moments: Moment[] = []
  const beforeCall = (disk: SimulatedDisk, history: readonly HistoryEvent[]) =>
    moments.push({ disk: disk.copy(new Prng(0)), events: history.length })
  const { history, violations } = await simulate(seed, { profile: { ...PROFILE, steps }, beforeCall })
  if (violations[0] !== undefined) return { places: 0, powerCuts: 0, nested: 0, problem: violations[0].what }
  return new Recoveries(history, moments, subsets).run()
}

class Recoveries {
  readonly #history: readonly HistoryEvent[]
  readonly #moments: readonly Moment[]
  readonly #subsets: number
  #powerCuts = 0
  #nested = 0

  constructor(history: readonly HistoryEvent[], moments: readonly Moment[], subsets: number) {
    this.#history = history
    this.#moments = moments
    this.#subsets = subsets
  }

  async run(): Promise<Exhaustion> {
    const time = new VirtualTime(this.#history.at(-1)?.at ?? 0)
    const restoreUuids = seedUuids(new Prng(1, 'uuid'))
    time.install()
    try {
      const problem = await this.#all(time)
      return { places: this.#moments.length, powerCuts: this.#powerCuts, nested: this.#nested, problem }
    } finally {
      time.uninstall()
      restoreUuids()
    }
  }

  async #all(time: VirtualTime): Promise<string | undefined> {
    for (const [place, moment] of this.#moments.entries()) {
      const before = this.#history.slice(0, moment.events)
      for (let subset = 0; subset < this.#subsets; subset++) {
        const within: SimulatedDisk[] = []
        const disk = this.#cut(moment.disk, subset)
        if ((place + subset) % EVERY === 0) disk.before = () => within.push(disk.copy(new Prng(0)))
        const problem = await judge(time, disk, before, 1)
        if (problem !== undefined) return `before call ${place + 1} of the history, remains ${subset}: ${problem}`
        for (const [step, halfway] of within.entries()) {
          for (let again = 0; again < NESTED; again++) {
            this.#nested++
            const nested = await judge(time, this.#cut(halfway, again), before, 2)
            if (nested === undefined) continue
            return `before call ${place + 1} of the history, remains ${subset}, and before call ${step + 1} of the recovery, remains ${again}: ${nested}`
          }
        }
      }
    }
    return undefined
  }

  #cut(disk: SimulatedDisk, seed: number): SimulatedDisk {
    const copy = disk.copy(new Prng(seed, `remains ${this.#powerCuts}`))
    copy.capacity = Number.POSITIVE_INFINITY
    copy.crash()
    copy.restart('power')
    this.#powerCuts++
    return copy
  }
}

/** Opens what is left, closes it, and opens it again; undefined when all is as the model allows. */
async function judge(
  time: VirtualTime,
  system: SimulatedDisk,
  before: readonly HistoryEvent[],
  crashes: number,
): Promise<string | undefined> {
  const at = time.now
  const crash: HistoryEvent = { type: 'crash', at, power: true }
  const history: HistoryEvent[] = [...before, ...Array.from({ length: crashes }, () => crash)]
  const { segmentBytes, reserveBytes, cacheBytes } = PROFILE
  const sizes = { segmentBytes, reserveBytes, cacheBytes, indexAfterMs: 0 }
  try {
    for (let opening = 0; opening < 2; opening++) {
      const store = await openJournal({
        dir: DIR,
        clock: () => at,
        random: () => 0.5,
        backoff: BACKOFF,
        keep: KEEP,
        ...sizes,
        system,
      })
      history.push({ type: 'open', at }, { type: 'state', at, jobs: await store.inspect({ limit: 1_000_000 }) })
      await store.close()
    }
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  return modelEquality(readTimeline(history), BACKOFF)[0]?.what
}
