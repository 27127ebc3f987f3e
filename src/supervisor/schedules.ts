/**
 * Calls methods at the times that the configuration says. A firing that comes while the last one still runs is
 * left out, and says so in the log.
 */
import type { ReplySink } from '../actors/reply.js'
import { ConfigurationError } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
import type { Schedule } from './config.js'
import { asOffstageError } from './enqueuer.js'
import type { Logger } from './log.js'
import type { Registry } from './registry.js'
import { ScheduleTimer } from './schedule/timer.js'

interface Entry {
  readonly schedule: Schedule
  readonly body: Buffer
  running: boolean
}

export class Schedules implements ReplySink {
  readonly #entries: readonly Entry[]
  readonly #registry: Registry
  readonly #log: Logger
  readonly #timer: ScheduleTimer

  /** Throws a `ConfigurationError` for a schedule whose worker or method does not exist. */
  constructor(schedules: readonly Schedule[], registry: Registry, log: Logger, file: string | undefined) {
    this.#registry = registry
    this.#log = log
    this.#timer = new ScheduleTimer((ms) => {
      log.warn({ ms }, `the wall clock jumped by ${(ms / 1_000).toFixed(1)} s: schedules go on with their next time`)
    })
    this.#entries = schedules.map((schedule) => {
      const where = `${file}: schedules.${schedule.worker}.${schedule.method}`
      try {
        registry.checkMethod(schedule.worker, schedule.method)
        return { schedule, body: bodyOf(schedule, where), running: false }
      } catch (cause) {
        throw new ConfigurationError(`${where}: ${(cause as Error).message}`, { cause })
      }
    })
  }

  start(): void {
    for (const [tag, { schedule }] of this.#entries.entries()) {
      this.#timer.add({ times: schedule.times, ring: () => this.#fire(tag) })
    }
    this.#timer.start()
  }

  stop(): void {
    this.#timer.stop()
  }

  result(tag: number): void {
    this.#entries[tag]!.running = false
  }

  failed(tag: number, bytes: Buffer, start: number, end: number): void {
    const { schedule } = this.#ended(tag)
    const error = decodeFailure(bytes.subarray(start, end))
    const { worker, method } = schedule
    this.#log.error({ worker, method, code: error.code }, `a scheduled call failed: ${error.message}`)
  }

  settle(_tag: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a scheduled call is not a queued job
  }

  #fire(tag: number): void {
    const entry = this.#entries[tag]!
    const { worker, method } = entry.schedule
    if (entry.running) {
      this.#log.warn({ worker, method }, 'a scheduled call is left out: the one before it still runs')
      return
    }
    try {
      entry.running = true
      // The actor owns what it is sent.
      this.#registry.instance(worker, '').send(Buffer.from(entry.body), method, -1, this, tag)
    } catch (cause) {
      entry.running = false
      const error = asOffstageError(cause)
      this.#log.error({ worker, method, code: error.code }, `a scheduled call was not taken: ${error.message}`)
    }
  }

  #ended(tag: number): Entry {
    const entry = this.#entries[tag]!
    entry.running = false
    return entry
  }
}

function bodyOf({ worker, method, data }: Schedule, where: string): Buffer {
  const payload = data === undefined ? new Uint8Array(0) : encodeValue(data, `${where}.data`)
  const e = envelope(Verb.CALL, worker, '', method)
  const body = Buffer.alloc(envelopeBound(e) + payload.length)
  const at = writeEnvelope(body, 0, e)
  body.set(payload, at)
  return body.subarray(0, at + payload.length)
}
