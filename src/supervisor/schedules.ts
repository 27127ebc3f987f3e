/**
 * The schedules of a supervisor: rings at their times, and calls their methods or queues their jobs. Those of the
 * configuration are there as long as it runs; those of an instance, as long as that.
 */
import { join } from 'node:path'
import { ConfigurationError, InvalidArgument, RemoteWorkerError } from '../errors.js'
import type { JobStore } from '../persistence/store.js'
import type { JobWatch } from './dispatcher.js'
import type { Logger } from './log.js'
import type { Registry } from './registry.js'
import type { ActiveSchedule, Fired } from './schedule/active.js'
import { CallSchedule } from './schedule/call-schedule.js'
import { ScheduledCalls } from './schedule/calls.js'
import { changeFiring, type Firings, openFirings } from './schedule/firings.js'
import { JobRuns } from './schedule/job-runs.js'
import { JobSchedule } from './schedule/job-schedule.js'
import { ScheduledJobs } from './schedule/jobs.js'
import { nameOf, type Planned, type Target } from './schedule/plan.js'
import type { Run } from './schedule/run.js'
import { ScheduleTimer } from './schedule/timer.js'

const FILE = 'schedules.json'
/** How many of its next times are told of a schedule. */
const NEXT_TIMES = 5

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

export interface ScheduleInfo extends Target {
  readonly name: string
  /** As it is written. */
  readonly when: string
  readonly timezone: string
  readonly persistent: boolean
  readonly paused: boolean
  /** Runs that are under way. */
  readonly running: number
  /** Milliseconds since 1970; of one that is paused, as if it were not. */
  readonly next: readonly number[]
  readonly last?: Run
}

interface Entry {
  readonly active: ActiveSchedule
  /** It came with its instance, and ends with it. */
  readonly ofInstance: boolean
  paused: boolean
  /** Ends its ringing. */
  silence: () => void
}

export class Schedules {
  readonly #registry: Registry
  readonly #log: Logger
  readonly #timer: ScheduleTimer
  readonly #firings: Firings
  readonly #calls: ScheduledCalls
  readonly #jobs: ScheduledJobs | undefined
  readonly #jobRuns: JobRuns
  readonly #configured: readonly Planned[]
  readonly #entries = new Map<string, Entry>()
  #unsubscribe = () => {}

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
    this.#jobRuns = new JobRuns(log)
    const random = Math.random
    const firings = this.#firings
    this.#jobs =
      store === undefined ? undefined : new ScheduledJobs({ store, firings, log, attemptsOf, onScheduled, random })
    for (const schedule of schedules) {
      const problem = this.#problem(schedule)
      if (problem !== undefined) throw new ConfigurationError(`schedules: ${schedule.name}: ${problem}`)
    }
    this.#configured = schedules
  }

  /** What has to hear of jobs, so that it knows what became of those that it has queued. */
  get watch(): JobWatch {
    return this.#jobRuns
  }

  /** Rejects with a `ConfigurationError` for data that does not fit the schema of its method. */
  async checkData(): Promise<void> {
    for (const { worker, method, name, argument } of this.#configured) {
      try {
        await this.#registry.checkerOf(worker)?.check(method, argument)
      } catch (cause) {
        throw new ConfigurationError(`schedules: ${name}: data: ${(cause as Error).message}`, { cause })
      }
    }
  }

  /** Resolves when the next firing of each persistent schedule is queued. */
  async start(): Promise<void> {
    await Promise.all(this.#firings.keys.map((name) => this.#tidy(name)))
    await Promise.all(this.#configured.map((schedule) => this.#add(schedule, false)))
    this.#timer.start()
    this.#unsubscribe = this.#registry.events.subscribe((event) => {
      if (event.type === 'stopped' || event.type === 'failed') void this.end(event)
    })
  }

  stop(): void {
    this.#unsubscribe()
    this.#timer.stop()
    this.#calls.stop()
    for (const { active } of this.#entries.values()) active.stop()
  }

  /** All, or those of an instance. */
  list(of?: Omit<Target, 'method'>): ScheduleInfo[] {
    const entries = [...this.#entries.values()]
    const wanted = ({ active: { schedule } }: Entry) =>
      of === undefined || (schedule.worker === of.worker && schedule.workerKey === of.workerKey)
    return entries.filter(wanted).map((entry) => this.#info(entry))
  }

  /** Of an instance that is to be started. Rejects with `InvalidArgument` for what cannot be. */
  async check(schedules: readonly Planned[]): Promise<void> {
    for (const schedule of schedules) {
      const { name, worker, method, argument } = schedule
      const reloads = this.#registry.reloads(worker)
        ? `each firing of a schedule of ${worker} has an instance of its own (reloadOnSchedule): put it into the configuration`
        : undefined
      const configured = this.#entries.get(name)?.ofInstance === false
      const taken = configured ? `the configuration has a schedule ${name} already` : undefined
      const problem = reloads ?? taken ?? this.#problem(schedule)
      if (problem !== undefined) throw new InvalidArgument(`schedule.${method}: ${problem}`)
      await this.#registry.checkerOf(worker)?.check(method, argument)
    }
  }

  /** Of an instance that has been started. Resolves when the next firing of each persistent one is queued. */
  async begin(schedules: readonly Planned[]): Promise<void> {
    await Promise.all(schedules.map((schedule) => this.#add(schedule, true)))
  }

  /** Ends those that came with the instance. */
  async end({ worker, workerKey }: Omit<Target, 'method'>): Promise<void> {
    for (const [name, { active, ofInstance, silence }] of this.#entries) {
      const { schedule } = active
      if (!ofInstance || schedule.worker !== worker || schedule.workerKey !== workerKey) continue
      this.#entries.delete(name)
      silence()
      await active.end().catch((error: unknown) => {
        this.#log.error({ err: error }, `${name} has ended with its instance, and left something behind`)
      })
    }
  }

  /** Calls its method now, or queues a job for it. */
  async run(target: Target): Promise<Fired> {
    return this.#entry(target).active.run()
  }

  /** Resolves when a restart will not forget it. */
  async pause(target: Target): Promise<void> {
    const entry = this.#entry(target)
    const { active } = entry
    entry.paused = true
    entry.silence()
    await changeFiring(this.#firings, active.schedule.name, { paused: true })
    await active.pause()
  }

  async resume(target: Target): Promise<void> {
    const entry = this.#entry(target)
    const { active } = entry
    if (!entry.paused) return
    entry.paused = false
    const { name, persistent, missed } = active.schedule
    // With one write: a kill must not make a time that was left out one that was missed.
    const anew = persistent || missed === 'once' ? { at: Date.now() } : {}
    await changeFiring(this.#firings, name, { paused: undefined, ...anew })
    // Another one may have paused it meanwhile.
    if (entry.paused) return
    await active.resume()
    if (!entry.paused) entry.silence = this.#ring(active)
  }

  /** What the file has of a schedule that is not configured any more, or has no jobs any more. */
  async #tidy(name: string): Promise<void> {
    const schedule = this.#configured.find((one) => one.name === name)
    const paused = this.#firings.get(name)?.paused === true
    if (schedule === undefined && paused) await changeFiring(this.#firings, name, { paused: undefined })
    if (schedule?.persistent !== true) await this.#jobs?.forget(name)
  }

  /** What is wrong with it, besides what its plan says by itself. */
  #problem({ worker, method, persistent }: Planned): string | undefined {
    try {
      this.#registry.checkMethod(worker, method)
    } catch (error) {
      return (error as Error).message
    }
    if (!persistent) return undefined
    if (this.#jobs === undefined) {
      return 'persistent: true needs the durable queue, which persistent_disabled: true turns off'
    }
    if (!this.#registry.reloads(worker)) return undefined
    return `persistent: true needs an instance that takes jobs, and ${worker} has reloadOnSchedule; leave one of them out`
  }

  async #add(planned: Planned, ofInstance: boolean): Promise<void> {
    const { name } = planned
    const active = this.#activate(planned)
    const paused = this.#firings.get(name)?.paused === true
    const entry: Entry = { active, ofInstance, paused, silence: () => undefined }
    this.#entries.set(name, entry)
    if (paused) {
      this.#log.warn(`${name} is paused: offstage schedule resume lets it go on`)
      // A kill may have come between the two steps of pausing it.
      await active.pause()
    } else {
      const begun = active.begin()
      entry.silence = this.#ring(active)
      await begun
    }
  }

  #activate(planned: Planned): ActiveSchedule {
    const schedule = { ...planned, times: planned.timesFrom(Date.now()) }
    if (schedule.persistent) return new JobSchedule(schedule, this.#jobs!, this.#jobRuns)
    const [calls, firings, log] = [this.#calls, this.#firings, this.#log]
    return new CallSchedule(schedule, { calls, firings, log, random: Math.random, now: Date.now })
  }

  /** Returns what ends it. */
  #ring(active: ActiveSchedule): () => void {
    const { times } = active.schedule
    return this.#timer.add({
      times,
      ring: (at) => active.ring(at),
      missed: (at) => active.missed(at),
      after: () => active.after,
    })
  }

  #entry(target: Target): Entry {
    const name = nameOf(target)
    const entry = this.#entries.get(name)
    if (entry !== undefined) return entry
    throw new RemoteWorkerError('NO_SCHEDULE', `this server has no schedule ${name}; offstage schedule list has all`)
  }

  #info({ active, paused }: Entry): ScheduleInfo {
    const { name, worker, workerKey, method, when, timezone, persistent, times } = active.schedule
    const { running, last } = active.runs
    const next: number[] = []
    let at: number | undefined = paused ? Date.now() : Math.max(Date.now(), active.after)
    while (next.length < NEXT_TIMES) {
      at = times(at)
      if (at === undefined) break
      next.push(at)
    }
    const facts = { name, worker, workerKey, method, when, timezone, persistent, paused, running, next }
    return last === undefined ? facts : { ...facts, last }
  }
}
