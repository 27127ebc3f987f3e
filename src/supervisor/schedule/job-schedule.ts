/** A schedule whose firings are queued jobs. What is done to it is done one after the other. */
import type { ActiveSchedule, Fired } from './active.js'
import type { JobRuns } from './job-runs.js'
import type { ScheduledJobs } from './jobs.js'
import type { Schedule } from './plan.js'
import type { Runs } from './run.js'

export class JobSchedule implements ActiveSchedule {
  readonly schedule: Schedule
  readonly #jobs: ScheduledJobs
  readonly #runs: JobRuns
  #last: Promise<unknown> = Promise.resolve()

  constructor(schedule: Schedule, jobs: ScheduledJobs, runs: JobRuns) {
    this.schedule = schedule
    this.#jobs = jobs
    this.#runs = runs
    runs.add(schedule)
  }

  get runs(): Runs {
    return this.#runs.of(this.schedule)
  }

  get after(): number {
    return this.#jobs.planned(this.schedule) - 1
  }

  begin(): Promise<void> {
    return this.#next(() => this.#jobs.resume(this.schedule))
  }

  ring(): void {
    void this.#next(() => this.#jobs.plan(this.schedule, Date.now()))
  }

  missed(): void {
    this.ring()
  }

  async run(): Promise<Fired> {
    await this.#jobs.add(this.schedule, Date.now())
    return 'queued'
  }

  pause(): Promise<void> {
    return this.#next(() => this.#jobs.takeBack(this.schedule))
  }

  resume(): Promise<void> {
    return this.#next(() => {
      this.#jobs.allow(this.schedule)
      return this.#jobs.plan(this.schedule, Date.now())
    })
  }

  stop(): void {
    this.#jobs.stop()
  }

  end(): Promise<void> {
    this.#runs.delete(this.schedule)
    return this.#next(async () => {
      await this.#jobs.takeBack(this.schedule)
      await this.#jobs.forget(this.schedule.name)
    })
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step)
    // Whoever asked for it hears that it failed; the next step is another matter.
    this.#last = done.catch(() => undefined)
    return done
  }
}
