/**
 * The log of messages that could not be delivered: nobody has run them and nobody will. So many lines a second are
 * written, and how many were left out. Queued jobs are not among them: they go back to their queue.
 */
import type { Log } from './log.js'

const LINES = 10
/** Milliseconds. */
const WITHIN = 1_000

export interface DeadLetter {
  worker: string
  workerKey: string
  method: string
  jobKey: string
}

export class DeadLetters {
  readonly #log: Log
  #written = 0
  readonly #leftOut = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(log: Log) {
    this.#log = log
  }

  add({ worker, workerKey, method, jobKey }: DeadLetter, why: { code: string; message: string }): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.flush(), WITHIN)
      this.#timer.unref()
    }
    if (this.#written >= LINES) {
      this.#leftOut.set(worker, (this.#leftOut.get(worker) ?? 0) + 1)
      return
    }
    this.#written++
    const fields = { event: 'deadLetter', worker, workerKey, method, jobKey, why: why.code }
    this.#log.warn(fields, `a message for ${worker}.${method} cannot be delivered: ${why.message}`)
  }

  /** Says what was left out until now. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#written = 0
    for (const [worker, leftOut] of this.#leftOut) {
      const fields = { event: 'deadLettersLeftOut', worker, leftOut }
      this.#log.warn(fields, `${leftOut} more messages for ${worker} could not be delivered`)
    }
    this.#leftOut.clear()
  }
}
