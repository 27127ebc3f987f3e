/**
 * The schedules of a supervisor: rings at their times, and calls their methods or queues their jobs. What was missed
 * while it was down or asleep runs once, where a schedule asks for that.
 */
import { join } from 'node:path'
import { ConfigurationError } from '../errors.js'
import type { JobStore } from '../persistence/store.js'
import type { Logger } from './log.js'
import type { Registry } from './registry.js'
import { argumentOf } from './schedule/body.js'
import { ScheduledCalls } from './schedule/calls.js'
import { type Firings, openFirings } from './schedule/firings.js'
import { ScheduledJobs } from './schedule/jobs.js'
import type { Planned, Schedule } from './schedule/plan.js'
import { ScheduleTimer } from './schedule/timer.js'

const FILE = 'schedules.json'

export interface SchedulesOptions {
  readonly schedules: readonly Planned[]
  readonly registry: Registry
  readonly log: Logger
  /** Where it keeps when they have fired. */
  readonly folder: string
  /** Undefined when the durable queue is disabled. */
  readonly store: JobStore | undefined
  readonly attempts: number
  /** A job that is not due yet was stored. */
  readonly onScheduled: (runAt: number) => void
}

export class Schedules {
  readonly #registry: Registry
  readonly #log: Logger
  readonly #timer: ScheduleTimer
  readonly #firings: Firings
  readonly #calls: ScheduledCalls
  readonly #jobs: ScheduledJobs | undefined
  readonly #schedules: readonly Planned[]
  readonly #delayed = new Set<NodeJS.Timeout>()

  /** Throws a `ConfigurationError` for a schedule whose worker or method does not exist. */
  constructor({ schedules, registry, log, folder, store, attempts, onScheduled }: SchedulesOptions) {
    const attemptsOf = (worker: string, method: string) => registry.retryOf(worker, method)?.attempts ?? attempts
    this.#registry = registry
    this.#log = log
    this.#timer = new ScheduleTimer((ms) => {
      log.warn({ ms }, `the wall clock jumped by ${(ms / 1_000).toFixed(1)} s: schedules go on with their next time`)
    })
    this.#firings = openFirings(join(folder, FILE))
    this.#calls = new ScheduledCalls(registry, log)
    const random = Math.random
    const firings = this.#firings
    this.#jobs =
      store === undefined ? undefined : new ScheduledJobs({ store, firings, log, attemptsOf, onScheduled, random })
    for (const schedule of schedules) this.#check(schedule)
    this.#schedules = schedules
  }

  /** Resolves when the next firing of each persistent schedule is queued. */
  async start(): Promise<void> {
    const names = new Set(this.#schedules.filter(({ persistent }) => persistent).map(({ name }) => name))
    const gone = this.#firings.keys.filter((name) => !names.has(name))
    await Promise.all(gone.map((name) => this.#jobs?.forget(name)))
    await Promise.all(this.#schedules.map((schedule) => this.#add(schedule)))
    this.#timer.start()
  }

  stop(): void {
    this.#timer.stop()
    this.#calls.stop()
    this.#jobs?.stop()
    for (const timer of this.#delayed) clearTimeout(timer)
  }

  #check(schedule: Planned): void {
    const { worker, method, name, persistent } = schedule
    try {
      this.#registry.checkMethod(worker, method)
      argumentOf(schedule)
    } catch (cause) {
      throw new ConfigurationError(`schedules: ${name}: ${(cause as Error).message}`, { cause })
    }
    if (!persistent) return
    if (this.#jobs === undefined) {
      throw new ConfigurationError(
        `schedules: ${name}: persistent: true needs the durable queue, which persistent_disabled: true turns off`,
      )
    }
    if (this.#registry.reloads(worker)) {
      throw new ConfigurationError(
        `schedules: ${name}: persistent: true needs an instance that takes jobs, and ${worker} has reloadOnSchedule; leave one of them out`,
      )
    }
  }

  async #add(planned: Planned): Promise<void> {
    const times = planned.timesFrom(Date.now())
    const schedule: Schedule = { ...planned, times }
    const { persistent, missed } = schedule
    const jobs = this.#jobs!
    if (persistent) {
      await jobs.resume(schedule)
      const plan = () => void jobs.plan(schedule, Date.now())
      this.#timer.add({ times, ring: plan, missed: plan })
      return
    }
    const ring = (at: number) => this.#ring(schedule, at)
    if (missed === 'skip') {
      this.#timer.add({ times, ring })
      return
    }
    const now = Date.now()
    const last = this.#firings.get(schedule.name)?.at
    const due = last === undefined ? undefined : times(last)
    const late = (at: number) => {
      const { worker, method, name } = schedule
      this.#log.warn({ worker, method }, `${name} has missed its time, ${new Date(at).toISOString()}: it runs once now`)
      this.#ring(schedule, Date.now())
    }
    this.#timer.add({ times, ring, missed: late })
    if (due !== undefined && due <= now) late(due)
    else if (last === undefined) this.#fired(schedule, now)
  }

  #ring(schedule: Schedule, at: number): void {
    if (schedule.missed === 'once') this.#fired(schedule, at)
    if (schedule.jitter === 0) {
      this.#calls.fire(schedule)
      return
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(timer)
      this.#calls.fire(schedule)
    }, Math.random() * schedule.jitter)
    this.#delayed.add(timer)
  }

  #fired({ name }: Schedule, at: number): void {
    this.#firings.set(name, { at }).catch((error: unknown) => {
      this.#log.error({ err: error }, `it could not be kept that ${name} has fired: a restart may run it again`)
    })
  }
}
