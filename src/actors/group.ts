/**
 * Workers that stand and fall together: started one after another in the order in which they are declared, stopped in
 * reverse. When one fails, the strategy says which of them are ended and started again:
 *
 * - `one-for-all`: all of them;
 * - `rest-for-one`: the one that failed and those declared after it, which may rely on it.
 *
 * Each failure counts for the group, whoever it was: more than `maxRestarts` within `restartPeriod`, and all of them
 * have failed for good. The intensity of a member itself has no meaning then.
 */
import { type Cancelable, type Clock, systemClock } from './clock.js'
import { countFailure, exhausted, type Failures, type Intensity, NO_FAILURES } from './restarts.js'

export const STRATEGIES = ['one-for-all', 'rest-for-one'] as const
export type Strategy = (typeof STRATEGIES)[number]

export interface GroupPlan {
  readonly name: string
  readonly strategy: Strategy
  /** Names of workers, in the order of their start. */
  readonly workers: readonly string[]
  readonly maxRestarts: number
  /** Seconds. */
  readonly restartPeriod: number
}

/** A worker instance, as far as its group has to do with it. */
export interface Member {
  /** Neither stopped, for whatever reason, nor about to. */
  readonly alive: boolean
  /** It is to be started: for the first time, or again. */
  readonly waits: boolean
  /** Ends its host; it waits then. Resolves when the host is gone. */
  hold(why: string): Promise<void>
  /** Says that it is started again in so many milliseconds. */
  backOff(pause: number): void
  /** It has failed for good. */
  giveUp(why: string): void
  start(mode: 'supervised'): Promise<void>
  stop(deadline: number): Promise<void>
}

export interface GroupOptions {
  readonly plan: GroupPlan
  /** The instance of that name, as long as there is one: it may be deleted, and started again. */
  readonly find: (worker: string) => Member | undefined
  readonly clock?: Clock
  readonly random?: () => number
}

export class Group {
  readonly plan: GroupPlan
  readonly #options: GroupOptions
  readonly #clock: Clock
  readonly #intensity: Intensity
  #failures: Failures = NO_FAILURES
  /** When all of them last ran; 0 before. */
  #runningSince = 0
  /** The first member that is to be started; beyond the last when all run. */
  #from = 0
  /** Counts what is being done with the members, so that what has been overtaken stops. */
  #round = 0
  #timer: Cancelable | undefined
  #stopping = false

  constructor(options: GroupOptions) {
    this.#options = options
    this.plan = options.plan
    this.#clock = options.clock ?? systemClock
    const { maxRestarts, restartPeriod } = options.plan
    this.#intensity = { maxRestarts, restartPeriod: restartPeriod * 1_000 }
  }

  /** Resolves when all run, or when one has failed and the group goes on as after any failure. */
  start(): Promise<void> {
    return this.#startRest(++this.#round)
  }

  /** Stops one after another, in reverse; they share the `deadline`, in milliseconds. */
  async stop(deadline: number): Promise<void> {
    this.#stopping = true
    this.#round++
    this.#timer?.cancel()
    const end = this.#clock.now() + deadline
    for (const member of this.#members(0).reverse()) await member.stop(Math.max(0, end - this.#clock.now()))
  }

  /** A member has failed, and waits to be started again. */
  failed(worker: string, reason: string): void {
    if (this.#stopping) return
    const { plan } = this
    const at = this.#clock.now()
    const round = ++this.#round
    const why = `${worker} of its group ${plan.name} failed: ${reason}`
    this.#timer?.cancel()
    if (exhausted(this.#failures, at, this.#intensity)) {
      for (const member of this.#members(0).reverse()) member.giveUp(why)
      return
    }
    const random = (this.#options.random ?? Math.random)()
    this.#failures = countFailure(this.#failures, at, this.#runningSince, this.#intensity, random)
    this.#runningSince = 0
    this.#from = Math.min(this.#from, restartFrom(plan, worker))
    void this.#restart(round, why)
  }

  async #restart(round: number, why: string): Promise<void> {
    for (const member of this.#members(this.#from).reverse()) {
      await member.hold(why)
      if (round !== this.#round) return
    }
    const { pause } = this.#failures
    for (const member of this.#members(this.#from)) member.backOff(pause)
    this.#timer = this.#clock.after(pause, () => void this.#startRest(round))
  }

  async #startRest(round: number): Promise<void> {
    for (const worker of this.plan.workers.slice(this.#from)) {
      const member = this.#options.find(worker)
      // One that fails has begun another round; one that is stopped meanwhile is left out.
      if (member?.waits) await member.start('supervised').catch(() => undefined)
      if (round !== this.#round) return
      this.#from++
    }
    this.#runningSince = this.#clock.now()
  }

  /** In the order of their start. */
  #members(from: number): Member[] {
    const members = this.plan.workers.slice(from).map((worker) => this.#options.find(worker))
    return members.filter((member) => member?.alive === true) as Member[]
  }
}

/** Where in the order of start it begins to end and start members again. */
function restartFrom({ strategy, workers }: GroupPlan, failed: string): number {
  return strategy === 'one-for-all' ? 0 : workers.indexOf(failed)
}
