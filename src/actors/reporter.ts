/**
 * Says what happens to one worker: a log line, whose field `event` has a name that does not change, and an event
 * of the same name.
 */

import type { Log } from './log.js'
import type { Blocked } from './loop-watch.js'
import type { Counts } from './mailbox.js'
import type { LogLine } from './messages.js'
import type { WorkerEvents, WorkerHappening } from './worker-events.js'

export interface ReporterOptions {
  log: Log
  /** For what the worker's own code writes. */
  workerLog: Log
  events: WorkerEvents | undefined
  workerKey: string
  /** The class is loaded later than this is made. */
  worker: () => string
}

export class Reporter {
  readonly #options: ReporterOptions

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  running(restarts: number): void {
    const { log } = this.#options
    if (restarts === 0) log.info(this.#emit({ type: 'started' }), `worker ${this.#worker} runs`)
    else log.info(this.#emit({ type: 'restarted', restarts }), `worker ${this.#worker} runs again`)
  }

  crashed(error: Error, state: string, counts: Counts): void {
    const reason = error.message
    const fields = { ...this.#emit({ type: 'crashed', reason, ...counts }), err: error, state }
    this.#options.log.error(fields, `worker ${this.#worker} failed: ${reason}`)
  }

  /** Its host was ended because another member of its group failed. */
  halted(reason: string, counts: Counts): void {
    const fields = this.#emit({ type: 'halted', reason, ...counts })
    this.#options.log.warn(fields, `worker ${this.#worker} was ended: ${reason}`)
  }

  /** `pause` in milliseconds. */
  backingOff(pause: number): void {
    const ms = Math.round(pause)
    const fields = this.#emit({ type: 'backingOff', pause: ms })
    this.#options.log.info(fields, `worker ${this.#worker} is started again in ${ms} ms`)
  }

  failed(reason: string): void {
    const fields = this.#emit({ type: 'failed', reason })
    this.#options.log.error(fields, `worker ${this.#worker} is not started again: ${reason}`)
  }

  /** It has ended by itself, in good order, and is not started again. */
  ended(why: string, counts: Counts): void {
    this.#options.log.info({ ...this.#emit({ type: 'stopped' }), ...counts }, `worker ${this.#worker} is done: ${why}`)
  }

  stopped(): void {
    this.#options.log.info(this.#emit({ type: 'stopped' }), `worker ${this.#worker} has stopped`)
  }

  blocked({ method, jobKey, ms }: Blocked): void {
    const where = method === '' ? 'outside of its turns' : `in method ${method}`
    const key = jobKey === '' ? '' : ` (job key ${JSON.stringify(jobKey)})`
    const fields = this.#emit({ type: 'blocked', method, jobKey, ms })
    this.#options.log.warn(
      fields,
      `worker ${this.#worker} has blocked its event loop for ${seconds(ms)} s ${where}${key}`,
    )
  }

  unblocked(ms: number): void {
    this.#options.log.info(
      this.#emit({ type: 'unblocked', ms }),
      `the event loop of worker ${this.#worker} turns again, after ${seconds(ms)} s or more`,
    )
  }

  /** A method runs on beyond its grace, and nothing can end it. */
  unstoppable(what: string, origin: { method: string; jobKey: string }): void {
    const fields = { ...this.#fields, ...origin, event: 'unstoppable' }
    this.#options.log.warn(fields, `${what}; worker ${this.#worker} is inline, so nothing can end it`)
  }

  /** A line of the worker's own logger. */
  line(line: LogLine): void {
    const fields: Record<string, unknown> = { ...line.fields, ...this.#fields }
    if (line.method !== '') fields.method = line.method
    if (line.jobKey !== '') fields.jobKey = line.jobKey
    this.#options.workerLog[line.level](fields, line.message)
  }

  /** A line that the worker wrote to its stdout or stderr. */
  output(stream: 'stdout' | 'stderr', text: string): void {
    this.#options.workerLog.info({ ...this.#fields, stream }, text)
  }

  /** Returns the fields of the log line. */
  #emit(what: WorkerHappening): object {
    const fields = this.#fields
    this.#options.events?.emit({ ...what, ...fields, at: Date.now() })
    const { type, ...rest } = what
    return { ...fields, event: type, ...rest }
  }

  get #worker(): string {
    return this.#options.worker()
  }

  get #fields(): { worker: string; workerKey: string } {
    return { worker: this.#worker, workerKey: this.#options.workerKey }
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
