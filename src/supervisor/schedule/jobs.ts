/**
 * Schedules whose firings are queued jobs. The next firing is in the queue before its time: so whatever happens at that
 * second, there is one job for it, with a key of method and time. Times only grow, even when the clock is set back.
 */
import type { JobStore } from '../../persistence/store.js'
import { Enqueuer } from '../enqueuer.js'
import type { Logger } from '../log.js'
import { changeFiring, type Firings } from './firings.js'
import { keyOf } from './job-key.js'
import type { Schedule, Target } from './plan.js'

/** Milliseconds until the store is asked again that did not take a job. */
const AGAIN = 1_000

export interface ScheduledJobsOptions {
  readonly store: JobStore
  readonly firings: Firings
  readonly log: Logger
  /** How often a job of the method may be started. */
  readonly attemptsOf: (worker: string, method: string) => number
  readonly onScheduled: (runAt: number) => void
  readonly random: () => number
}

export class ScheduledJobs {
  readonly #options: ScheduledJobsOptions
  readonly #enqueuer: Enqueuer
  readonly #again = new Set<NodeJS.Timeout>()
  /** Names of schedules that are paused, or are no more. */
  readonly #off = new Set<string>()
  #stopped = false

  constructor(options: ScheduledJobsOptions) {
    this.#options = options
    this.#enqueuer = new Enqueuer(options.store, options.onScheduled)
  }

  /** What was planned before this start: goes on with it, or takes it back when the schedule is another one now. */
  async resume(schedule: Schedule): Promise<void> {
    const { firings, store } = this.#options
    const planned = firings.get(schedule.name)?.at
    const now = Date.now()
    if (planned === undefined) return this.plan(schedule, now)
    if (planned > now) {
      if (schedule.times(planned - 1) === planned) return this.#enqueue(schedule, planned)
      await store.remove(schedule, keyOf(schedule, planned))
      return this.#enqueue(schedule, schedule.times(now))
    }
    const [waiting] = await store.inspect({ ...queueOf(schedule), jobKey: keyOf(schedule, planned), limit: 1 })
    const missed = schedule.times(planned)
    // That is the firing that stands for all that were missed.
    const late = waiting === undefined || waiting.state === 'dead'
    if (late && missed !== undefined && missed <= now) await this.#enqueue(schedule, missed)
    return this.plan(schedule, now)
  }

  /** The time of the newest job. */
  planned({ name }: Schedule): number {
    return this.#options.firings.get(name)?.at ?? Number.NEGATIVE_INFINITY
  }

  /** Queues the first firing after `after`, unless it was before. */
  plan(schedule: Schedule, after: number): Promise<void> {
    const at = schedule.times(after)
    const planned = this.#options.firings.get(schedule.name)?.at
    return this.#enqueue(schedule, planned !== undefined && at !== undefined && at <= planned ? undefined : at)
  }

  /** Queues a firing besides those of its times. */
  async add(schedule: Schedule, at: number): Promise<void> {
    await this.#store(schedule, at, at)
  }

  /** Plans nothing more, and takes back the firing that waits for its time. */
  async takeBack(schedule: Schedule): Promise<void> {
    const { name } = schedule
    const { firings, store } = this.#options
    this.#off.add(name)
    const planned = firings.get(name)
    if (planned?.at === undefined || planned.at <= Date.now()) return
    await store.remove(schedule, keyOf(schedule, planned.at))
    // Times still only grow, but this one may be planned again.
    await changeFiring(firings, name, { at: planned.at - 1, queued: targetOf(schedule) })
  }

  /** After `takeBack`: may plan again. */
  allow({ name }: Schedule): void {
    this.#off.delete(name)
  }

  /** Takes back the firing that waits of a schedule that is no more, or has no jobs any more. */
  async forget(name: string): Promise<void> {
    const { firings, store } = this.#options
    const firing = firings.get(name)
    if (firing?.queued === undefined) return
    const { at, queued } = firing
    if (at !== undefined && at > Date.now()) await store.remove(queued, keyOf(queued, at))
    await changeFiring(firings, name, { at: undefined, queued: undefined })
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#again) clearTimeout(timer)
  }

  async #enqueue(schedule: Schedule, at: number | undefined): Promise<void> {
    const { firings, log, store } = this.#options
    const { name } = schedule
    if (at === undefined || this.#stopped || this.#off.has(name)) return
    try {
      await this.#store(schedule, at, at + Math.floor(this.#options.random() * schedule.jitter))
      // A store that took it late may have been beaten by a pause.
      if (this.#off.has(name)) await store.remove(schedule, keyOf(schedule, at))
      else await changeFiring(firings, name, { at, queued: targetOf(schedule) })
    } catch (error) {
      if (this.#stopped) return
      const fields = { ...targetOf(schedule), jobKey: keyOf(schedule, at) }
      log.error({ ...fields, err: error }, 'a scheduled job could not be queued; it is tried again')
      const timer = setTimeout(() => {
        this.#again.delete(timer)
        void this.#enqueue(schedule, at)
      }, AGAIN)
      this.#again.add(timer)
    }
  }

  async #store(schedule: Schedule, at: number, runAt: number): Promise<void> {
    const target = targetOf(schedule)
    const maxAttempts = this.#options.attemptsOf(target.worker, target.method)
    // The store owns what it is given.
    const payload = schedule.argument.slice()
    await this.#enqueuer.many([
      { ...target, jobKey: keyOf(schedule, at), payload, runAt, priority: 0, maxAttempts, atMostOnce: false },
    ])
  }
}

function targetOf({ worker, workerKey, method }: Target): Target {
  return { worker, workerKey, method }
}

function queueOf({ worker, workerKey }: Target): { worker: string; workerKey: string } {
  return { worker, workerKey }
}
