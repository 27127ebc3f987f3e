/**
 * Finds out that the event loop of a host does not turn any more, and what blocks it. That alone is no reason to
 * end it: a method that computes for long does so, and its deadline is what limits it.
 */
import { type Progress, Task } from './gauge.js'
import type { Mailbox } from './mailbox.js'
import { originOf } from './message.js'
import { monotonic } from './messages.js'

/** Milliseconds between two looks, and from when on a loop that does not turn is called blocked. */
const LOOK_EVERY = 1_000
const BLOCKED_AFTER = 2_000

/** More methods than this are not named when it may be any of them. */
const MOST_NAMES = 3

const TASKS = new Map<number, string>([
  [Task.CREATE, 'create'],
  [Task.TIMER, 'timer'],
  [Task.PERIODIC_TIMER, 'periodic timer'],
  [Task.SOCKET, 'a handler of a connection'],
])

export interface Blocked {
  /** `a or b` when several are in work and it may be either; '' outside of turns. */
  method: string
  /** '' for none, and when several are in work. */
  jobKey: string
  /** Since the last sign of the event loop. */
  ms: number
}

/** Milliseconds since the event loop last turned; 0 when that is not long ago. */
export function blockedFor({ lastBeat, runningSince }: Progress, now: number): number {
  const ms = lastBeat === 0 ? 0 : now - Math.max(lastBeat, runningSince)
  return ms < BLOCKED_AFTER ? 0 : Math.round(ms)
}

/** What the worker is at: the call that runs without a break, or those that have begun. */
export function blockedIn({ running, taken }: Progress, mailbox: Mailbox): Pick<Blocked, 'method' | 'jobKey'> {
  if (running < 0) return { method: TASKS.get(running) ?? '', jobKey: '' }
  const begun = mailbox.begun(taken)
  const known = begun.find(({ index }) => index === running - 1) ?? (begun.length === 1 ? begun[0] : undefined)
  if (known !== undefined) return originOf(known)
  const names = [...new Set(begun.map((message) => originOf(message).method))]
  const more = names.length > MOST_NAMES ? ['another'] : []
  return { method: [...names.slice(0, MOST_NAMES), ...more].join(' or '), jobKey: '' }
}

export class LoopWatch {
  readonly #look: () => Blocked | undefined
  readonly #blocked: (what: Blocked) => void
  readonly #unblocked: (ms: number) => void
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  /** Milliseconds, as last reported; 0: it is not blocked. */
  #reported = 0

  /** `look` says what blocks the loop, or that nothing does. */
  constructor(look: () => Blocked | undefined, blocked: (what: Blocked) => void, unblocked: (ms: number) => void) {
    this.#look = look
    this.#blocked = blocked
    this.#unblocked = unblocked
  }

  start(): void {
    this.stop()
    this.#lookedAt = monotonic()
    this.#timer = setInterval(() => this.#tick(), LOOK_EVERY)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#reported = 0
  }

  #tick(): void {
    const now = monotonic()
    const late = now - this.#lookedAt > 2 * LOOK_EVERY
    this.#lookedAt = now
    // All processes were stopped for a while, or this loop was blocked itself: the host gets time for a beat.
    if (late) return
    const what = this.#look()
    if (what === undefined) {
      if (this.#reported > 0) this.#unblocked(this.#reported)
      this.#reported = 0
    } else if (what.ms >= 2 * this.#reported) {
      this.#reported = what.ms
      this.#blocked(what)
    }
  }
}
