/**
 * Calls that carry a request id, which clients may send again: the answer is kept for a while, and whoever asks again
 * with that id has it, or waits for it, instead of running the method once more. Kept are outcomes of methods that ran; what
 * did not run, or may not have, is run when it is asked for again.
 */
import type { Actor } from '../actors/actor.js'
import type { OffstageError } from '../errors.js'
import type { Envelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
import { ownBytes } from '../wire/frame.js'
import type { Caller } from './caller.js'

/** Milliseconds, answers, and bytes of them. */
const KEPT_FOR = 60_000
const MOST_KEPT = 10_000
const MOST_BYTES = 64 * 1024 * 1024

interface Waiter {
  readonly caller: Caller
  readonly corr: number
}

interface Kept {
  readonly at: number
  readonly bytes: number
  tell(waiter: Waiter): void
}

export class Replays {
  readonly #running = new Map<string, Running>()
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>()
  readonly #now: () => number
  #bytes = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The caller to run the call for; undefined when it needs not be run, and is answered now or later. */
  join(identity: string, e: Envelope, caller: Caller, corr: number): Caller | undefined {
    const key = `${e.requestId}${e.verb} ${identity}`
    const waiter = { caller, corr }
    this.#forgetOld()
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      kept.tell(waiter)
      return undefined
    }
    const running = this.#running.get(key)
    if (running !== undefined) {
      running.waiters.push(waiter)
      return undefined
    }
    const first = new Running(waiter, (bytes, tell) => {
      this.#running.delete(key)
      if (tell !== undefined) this.#keep(key, { at: this.#now(), bytes, tell })
    })
    this.#running.set(key, first)
    return first
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept)
    this.#bytes += kept.bytes
    this.#forgetOld()
  }

  #forgetOld(): void {
    const before = this.#now() - KEPT_FOR
    for (const [key, { at, bytes }] of this.#kept) {
      if (at > before && this.#kept.size <= MOST_KEPT && this.#bytes <= MOST_BYTES) return
      this.#kept.delete(key)
      this.#bytes -= bytes
    }
  }
}

/** A call that has begun, for all who wait for it. The first of them is the one who may cancel it. */
class Running implements Caller {
  readonly waiters: Waiter[]
  readonly #first: Waiter
  readonly #over: (bytes: number, tell?: (waiter: Waiter) => void) => void

  /** `over` hears how it ended, with a way to tell that again when it is worth keeping. */
  constructor(first: Waiter, over: (bytes: number, tell?: (waiter: Waiter) => void) => void) {
    this.#first = first
    this.waiters = [first]
    this.#over = over
  }

  check(envelope: Envelope): void {
    this.#first.caller.check(envelope)
  }

  remember(_corr: number, actor: Actor, message: number): void {
    this.#first.caller.remember(this.#first.corr, actor, message)
  }

  result(_corr: number, bytes: Buffer, start: number, end: number): void {
    const own = ownBytes(bytes, start, end)
    this.#end(own.length, true, ({ caller, corr }) => caller.result(corr, own, 0, own.length))
  }

  accepted(): void {
    this.#end(0, true, ({ caller, corr }) => caller.accepted(corr))
  }

  failed(_corr: number, bytes: Buffer, start: number, end: number): void {
    const own = ownBytes(bytes, start, end)
    const ran = decodeFailure(own).executed === 'yes'
    this.#end(own.length, ran, ({ caller, corr }) => caller.failed(corr, own, 0, own.length))
  }

  overdue(_corr: number, bytes: Buffer, start: number, end: number): void {
    // The credit of the first one is what the work still has.
    this.#end(0, false, (waiter) => {
      const { caller, corr } = waiter
      if (waiter === this.#first && caller.overdue !== undefined) caller.overdue(corr, bytes, start, end)
      else caller.failed(corr, bytes, start, end)
    })
  }

  stopped(): void {
    this.#first.caller.stopped?.(this.#first.corr)
  }

  refuse(_corr: number, error: OffstageError): void {
    this.#end(0, false, ({ caller, corr }) => caller.refuse(corr, error))
  }

  settle(_corr: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a call is not a queued job
  }

  answer(): void {
    throw new Error('only methods of workers are called with a request id')
  }

  stored(): void {
    this.answer()
  }

  waits(): void {
    this.answer()
  }

  #end(bytes: number, keep: boolean, tell: (waiter: Waiter) => void): void {
    this.#over(bytes, keep ? tell : undefined)
    for (const waiter of this.waiters) tell(waiter)
  }
}
