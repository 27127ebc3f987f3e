/** The runs of schedules whose firings are queued jobs, as the dispatcher tells of them. */
import type { OffstageError } from '../../errors.js'
import type { ClaimedJob } from '../../persistence/store.js'
import type { JobWatch } from '../dispatcher.js'
import type { Logger } from '../log.js'
import { timeOf } from './job-key.js'
import type { Schedule } from './plan.js'
import { beginRun, type Run, type Runs } from './run.js'

interface Line {
  readonly schedule: Schedule
  running: number
  last: Run | undefined
}

interface Active {
  readonly line: Line
  readonly run: Run
  readonly before: Run | undefined
  /** By the monotonic clock. */
  readonly since: number
}

export class JobRuns implements JobWatch {
  readonly #log: Pick<Logger, 'info'>
  /** By worker: most jobs belong to none. */
  readonly #lines = new Map<string, Line[]>()
  readonly #active = new Map<number, Active>()

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log
  }

  add(schedule: Schedule): void {
    const lines = this.#lines.get(schedule.worker) ?? []
    this.#lines.set(schedule.worker, [...lines, { schedule, running: 0, last: undefined }])
  }

  delete(schedule: Schedule): void {
    const lines = this.#lines.get(schedule.worker) ?? []
    const others = lines.filter((line) => line.schedule !== schedule)
    if (others.length > 0) this.#lines.set(schedule.worker, others)
    else this.#lines.delete(schedule.worker)
  }

  of(schedule: Schedule): Runs {
    const line = this.#lines.get(schedule.worker)?.find((line) => line.schedule === schedule)
    return { running: line?.running ?? 0, last: line?.last }
  }

  began(job: ClaimedJob): void {
    const lines = this.#lines.get(job.worker)
    if (lines === undefined) return
    const { method, workerKey } = job
    const line = lines.find(({ schedule }) => schedule.method === method && schedule.workerKey === workerKey)
    const at = timeOf(job)
    if (line === undefined || at === undefined) return
    const run = beginRun(at)
    this.#active.set(job.id, { line, run, before: line.last, since: performance.now() })
    line.running++
    line.last = run
  }

  ended(job: ClaimedJob, failure: OffstageError | undefined): void {
    const active = this.#active.get(job.id)
    if (active === undefined) return
    this.#active.delete(job.id)
    const { line, run, before, since } = active
    line.running--
    if (failure?.executed === 'no') {
      // It goes back as it came.
      if (line.last === run) line.last = before
      return
    }
    run.duration = Math.round(performance.now() - since)
    if (failure !== undefined) run.failure = failure.message
    const { worker, method, jobKey } = job
    this.#log.info({ worker, method, jobKey, ...run }, `a run of ${line.schedule.name} has ended`)
  }
}
