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
import { callOf } from './body.js'
import type { Schedule } from './plan.js'

type Instances = Pick<Registry, 'reloads' | 'startFresh' | 'find' | 'remove'> & {
  instance(worker: string, workerKey: string): Pick<Actor, 'send'>
}

interface Line {
  running: number
  /** Firings that wait for it. */
  waiting: number
}

interface ScheduledCall {
  readonly schedule: Schedule
  readonly workerKey: string
}

export class ScheduledCalls implements ReplySink {
  readonly #registry: Instances
  readonly #log: Pick<Logger, 'warn' | 'error'>
  readonly #lines = new Map<Schedule, Line>()
  readonly #calls = new Map<number, ScheduledCall>()
  #lastTag = 0
  #stopped = false

  constructor(registry: Instances, log: Pick<Logger, 'warn' | 'error'>) {
    this.#registry = registry
    this.#log = log
  }

  fire(schedule: Schedule): void {
    const line = this.#lines.get(schedule) ?? { running: 0, waiting: 0 }
    this.#lines.set(schedule, line)
    if (line.running === 0 || schedule.overlap === 'parallel') void this.#start(schedule, line)
    else if (schedule.overlap === 'queue') line.waiting++
    else this.#log.warn(fieldsOf(schedule), 'a scheduled call is left out: the one before it still runs')
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
    const { schedule } = this.#calls.get(tag)!
    this.#log.error({ ...fieldsOf(schedule), code: error.code }, `a scheduled call failed: ${error.message}`)
  }

  stopped(tag: number): void {
    this.#ended(tag)
  }

  settle(_tag: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a scheduled call is not a queued job
  }

  async #start(schedule: Schedule, line: Line): Promise<void> {
    const { worker, method, timeout } = schedule
    const tag = ++this.#lastTag
    line.running++
    let { workerKey } = schedule
    try {
      if (this.#registry.reloads(worker)) {
        workerKey = `${method} by schedule ${tag}`
        await this.#registry.startFresh(worker, workerKey)
      }
      this.#calls.set(tag, { schedule, workerKey })
      this.#registry.instance(worker, workerKey).send(callOf(schedule, workerKey), method, timeout, this, tag)
    } catch (cause) {
      this.#calls.set(tag, { schedule, workerKey })
      const error = asOffstageError(cause)
      if (!this.#stopped) {
        const fields = { ...fieldsOf(schedule), code: error.code }
        this.#log.error(fields, `a scheduled call was not taken: ${error.message}`)
      }
      this.#ended(tag)
    }
  }

  #ended(tag: number): void {
    const { schedule, workerKey } = this.#calls.get(tag)!
    this.#calls.delete(tag)
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
    if (line.waiting === 0 || this.#stopped) return
    line.waiting--
    void this.#start(schedule, line)
  }
}

function fieldsOf({ worker, workerKey, method }: Schedule): Record<string, string> {
  return { worker, ...(workerKey === '' ? {} : { workerKey }), method }
}
