/** A schedule whose firings are calls. */
import type { Logger } from '../log.js'
import type { ActiveSchedule, Fired } from './active.js'
import type { ScheduledCalls } from './calls.js'
import { changeFiring, type Firings } from './firings.js'
import type { Schedule } from './plan.js'
import type { Runs } from './run.js'

export interface CallScheduleOptions {
  readonly calls: ScheduledCalls
  readonly firings: Firings
  readonly log: Pick<Logger, 'warn' | 'error'>
  readonly random: () => number
  readonly now: () => number
}

export class CallSchedule implements ActiveSchedule {
  readonly schedule: Schedule
  readonly #options: CallScheduleOptions
  /** Firings that are late on purpose. */
  readonly #delayed = new Set<NodeJS.Timeout>()

  #after = Number.NEGATIVE_INFINITY

  constructor(schedule: Schedule, options: CallScheduleOptions) {
    this.schedule = schedule
    this.#options = options
  }

  get runs(): Runs {
    return this.#options.calls.runs(this.schedule)
  }

  get after(): number {
    return this.schedule.repeats ? Number.NEGATIVE_INFINITY : this.#after
  }

  async begin(): Promise<void> {
    const { missed, name, times } = this.schedule
    if (missed === 'skip') return
    const now = this.#options.now()
    const last = this.#options.firings.get(name)?.at
    this.#after = last ?? now
    const due = last === undefined ? undefined : times(last)
    if (due !== undefined && due <= now) this.missed(due)
    else if (last === undefined) void this.#fired(now)
  }

  ring(at: number): void {
    this.#after = at
    if (this.schedule.missed === 'once') void this.#fired(at)
    this.#fire(at)
  }

  missed(at: number): void {
    const { worker, method, name, missed } = this.schedule
    if (missed === 'skip') return
    const { log } = this.#options
    log.warn({ worker, method }, `${name} has missed its time, ${new Date(at).toISOString()}: it runs once now`)
    this.#after = this.#options.now()
    void this.#fired(this.#after)
    this.#fire(at)
  }

  async run(): Promise<Fired> {
    return this.#options.calls.fire(this.schedule, this.#options.now())
  }

  async pause(): Promise<void> {
    this.stop()
    this.#options.calls.dropWaiting(this.schedule)
  }

  async resume(): Promise<void> {
    this.#after = Number.NEGATIVE_INFINITY
  }

  stop(): void {
    for (const timer of this.#delayed) clearTimeout(timer)
    this.#delayed.clear()
  }

  async end(): Promise<void> {
    this.stop()
    this.#options.calls.forget(this.schedule)
    await this.#options.firings.set(this.schedule.name, undefined)
  }

  #fire(at: number): void {
    const { calls, random } = this.#options
    const { schedule } = this
    if (schedule.jitter === 0) {
      calls.fire(schedule, at)
      return
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(timer)
      calls.fire(schedule, at)
    }, random() * schedule.jitter)
    this.#delayed.add(timer)
  }

  async #fired(at: number): Promise<void> {
    const { firings, log } = this.#options
    const { name } = this.schedule
    await changeFiring(firings, name, { at }).catch((error: unknown) => {
      log.error({ err: error }, `it could not be kept that ${name} has fired: a restart may run it again`)
    })
  }
}
