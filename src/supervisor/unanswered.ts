/** Sends messages whose outcome nobody waits for: success goes nowhere, failure to the log. */
import type { Actor } from '../actors/actor.js'
import type { ReplySink } from '../actors/reply.js'
import { decodeFailure } from '../wire/failure.js'
import type { Logger } from './log.js'

/** What the log line of a failure says about its message. */
interface Origin {
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  readonly jobKey: string
}

export class Unanswered implements ReplySink {
  readonly #log: Logger
  readonly #what: string
  readonly #origins = new Map<number, Origin>()
  #lastTag = 0

  /** `what` begins the log line of a failure. */
  constructor(log: Logger, what: string) {
    this.#log = log
    this.#what = what
  }

  /** Throws what `Actor.send` throws: then nothing was sent. */
  send(actor: Actor, body: Buffer, origin: Origin & { readonly timeout: number }): void {
    const tag = ++this.#lastTag
    actor.send(body, origin.method, origin.timeout, this, tag)
    const { worker, workerKey, method, jobKey } = origin
    this.#origins.set(tag, { worker, workerKey, method, jobKey })
  }

  result(tag: number): void {
    this.#origins.delete(tag)
  }

  failed(tag: number, bytes: Buffer, start: number, end: number): void {
    const error = decodeFailure(bytes.subarray(start, end))
    const origin = this.#origins.get(tag)
    this.#origins.delete(tag)
    // The worker stopped before its turn came: that is in the log as a dead letter.
    if (error.code === 'WORKER_STOPPED' && error.executed === 'no') return
    const remote = 'remote' in error ? error.remote : undefined
    this.#log.error({ ...origin, code: error.code, remote }, `${this.#what} failed: ${error.message}`)
  }

  settle(_tag: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // only queued jobs can be settled
  }
}
