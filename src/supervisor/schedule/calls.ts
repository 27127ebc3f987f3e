/**
 * The calls of schedules: what a firing does while the one before still runs, and, for workers that are loaded anew for
 * each firing, an instance of its own that ends with the call.
 */
import type { Actor } from '../../actors/actor.js'
import type { ReplySink } from '../../actors/reply.js'
import { decodeFailure } from '../../wire/failure.js'
import { asOffstageError } from '../enqueuer.js'
import type { Logger } from '../log.js'
import type { Registry } from '../registry.js'
import type { Fired } from './active.js'
import { callOf } from './body.js'
import type { Schedule } from './plan.js'
import { beginRun, type Run, type Runs } from './run.js'

type Instances = Pick<Registry, 'reloads' | 'startFresh' | 'find' | 'remove'> & {
  instance(worker: string, workerKey: string): Pick<Actor, 'send'>
}

interface Line {
  running: number
  last: Run | undefined
  /** The times of firings that wait for it. */
  readonly waiting: number[]
}

interface ScheduledCall {
  readonly schedule: Schedule
  readonly workerKey: string
  readonly run: Run
  /** By the monotonic clock. */
  readonly since: number
}

export class ScheduledCalls implements ReplySink {
  readonly #registry: Instances
  readonly #log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly #lines = new Map<Schedule, Line>()
  readonly #calls = new Map<number, ScheduledCall>()
  #lastTag = 0
  #stopped = false

  constructor(registry: Instances, log: Pick<Logger, 'info' | 'warn' | 'error'>) {
    this.#registry = registry
    this.#log = log
  }

  /** `at` is the time that it is for. */
  fire(schedule: Schedule, at: number): Fired {
    const line = this.#lines.get(schedule) ?? { running: 0, last: undefined, waiting: [] }
    this.#lines.set(schedule, line)
    if (line.running === 0 || schedule.overlap === 'parallel') {
      void this.#start(schedule, line, at)
      return 'started'
    }
    if (schedule.overlap === 'queue') {
      line.waiting.push(at)
      return 'queued'
    }
    this.#log.warn(fieldsOf(schedule), 'a scheduled call is left out: the one before it still runs')
    return 'leftOut'
  }

  runs(schedule: Schedule): Runs {
    const { running, last } = this.#lines.get(schedule) ?? { running: 0, last: undefined }
    return { running, last }
  }

  /** What runs goes on. */
  dropWaiting(schedule: Schedule): void {
    this.#lines.get(schedule)?.waiting.splice(0)
  }

  /** What waits is left. */
  forget(schedule: Schedule): void {
    this.#lines.delete(schedule)
  }

  stop(): void {
    this.#stopped = true
  }

  result(tag: number): void {
    this.#ended(tag)
  }

  failed(tag: number, bytes: Buffer, start: number, end: number): void {
    this.overdue(tag, bytes, start, end)
    this.#ended(tag)
  }

  /** The method goes on for now, and so does what its overlap means. */
  overdue(tag: number, bytes: Buffer, start: number, end: number): void {
    const error = decodeFailure(bytes.subarray(start, end))
    const { schedule, run, since } = this.#calls.get(tag)!
    run.failure = error.message
    run.duration = Math.round(performance.now() - since)
    this.#log.error({ ...fieldsOf(schedule), code: error.code, ...run }, `a scheduled call failed: ${error.message}`)
  }

  stopped(tag: number): void {
    this.#ended(tag)
  }

  settle(_tag: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a scheduled call is not a queued job
  }

  async #start(schedule: Schedule, line: Line, at: number): Promise<void> {
    const { worker, method, timeout } = schedule
    const tag = ++this.#lastTag
    line.running++
    const since = performance.now()
    let { workerKey } = schedule
    try {
      if (this.#registry.reloads(worker)) {
        workerKey = `${method} by schedule ${tag}`
        await this.#registry.startFresh(worker, workerKey)
      }
      line.last = beginRun(at)
      this.#calls.set(tag, { schedule, workerKey, run: line.last, since: performance.now() })
      this.#registry.instance(worker, workerKey).send(callOf(schedule, workerKey), method, timeout, this, tag)
    } catch (cause) {
      const error = asOffstageError(cause)
      line.last = { ...beginRun(at), failure: error.message }
      this.#calls.set(tag, { schedule, workerKey, run: line.last, since })
      if (!this.#stopped) {
        const fields = { ...fieldsOf(schedule), code: error.code }
        this.#log.error(fields, `a scheduled call was not taken: ${error.message}`)
      }
      this.#ended(tag)
    }
  }

  #ended(tag: number): void {
    const { schedule, workerKey, run, since } = this.#calls.get(tag)!
    this.#calls.delete(tag)
    run.duration ??= Math.round(performance.now() - since)
    if (run.failure === undefined)
      this.#log.info({ ...fieldsOf(schedule), ...run }, `a run of ${schedule.name} has ended`)
    if (workerKey === schedule.workerKey) this.#next(schedule)
    else void this.#end(schedule, workerKey)
  }

  /** Of an instance that was started for one call. */
  async #end(schedule: Schedule, workerKey: string): Promise<void> {
    const { worker } = schedule
    try {
      if (this.#registry.find(worker, workerKey) !== undefined) await this.#registry.remove(worker, workerKey)
    } catch (error) {
      this.#log.error({ ...fieldsOf(schedule), err: error }, 'the instance of a scheduled call could not be ended')
    }
    this.#next(schedule)
  }

  #next(schedule: Schedule): void {
    const line = this.#lines.get(schedule)
    if (line === undefined) return
    line.running--
    const at = line.waiting.shift()
    if (at !== undefined && !this.#stopped) void this.#start(schedule, line, at)
  }
}

function fieldsOf({ worker, workerKey, method }: Schedule): Record<string, string> {
  return { worker, ...(workerKey === '' ? {} : { workerKey }), method }
}
