/**
 * Schedules whose firings are queued jobs. The next firing is in the queue before its time: so whatever happens at that
 * second, there is one job for it, with a key of method and time. Times only grow, even when the clock is set back.
 */
import type { JobStore } from '../../persistence/store.js'
import { Enqueuer } from '../enqueuer.js'
import type { Logger } from '../log.js'
import { argumentOf } from './body.js'
import type { Firings } from './firings.js'
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

  /** Queues the first firing after `after`, unless it was before. */
  plan(schedule: Schedule, after: number): Promise<void> {
    const at = schedule.times(after)
    const planned = this.#options.firings.get(schedule.name)?.at
    return this.#enqueue(schedule, planned !== undefined && at !== undefined && at <= planned ? undefined : at)
  }

  /** Takes back the firing that waits of a schedule that is no more. */
  async forget(name: string): Promise<void> {
    const { firings, store } = this.#options
    const firing = firings.get(name)
    if (firing?.queued === undefined) return
    if (firing.at > Date.now()) await store.remove(firing.queued, keyOf(firing.queued, firing.at))
    await firings.set(name, undefined)
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#again) clearTimeout(timer)
  }

  async #enqueue(schedule: Schedule, at: number | undefined): Promise<void> {
    if (at === undefined || this.#stopped) return
    const { firings, log, attemptsOf, random } = this.#options
    const { worker, workerKey, method, name } = schedule
    const runAt = at + Math.floor(random() * schedule.jitter)
    const jobKey = keyOf(schedule, at)
    const payload = argumentOf(schedule)
    const target = { worker, workerKey, method }
    try {
      await this.#enqueuer.many([
        { ...target, jobKey, payload, runAt, priority: 0, maxAttempts: attemptsOf(worker, method), atMostOnce: false },
      ])
      await firings.set(name, { at, queued: target })
    } catch (error) {
      if (this.#stopped) return
      log.error({ ...target, jobKey, err: error }, 'a scheduled job could not be queued; it is tried again')
      const timer = setTimeout(() => {
        this.#again.delete(timer)
        void this.#enqueue(schedule, at)
      }, AGAIN)
      this.#again.add(timer)
    }
  }
}

function keyOf({ method }: Target, at: number): string {
  return `${method}@${new Date(at).toISOString()}`
}

function queueOf({ worker, workerKey }: Target): { worker: string; workerKey: string } {
  return { worker, workerKey }
}
