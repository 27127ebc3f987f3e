/** Watches what the host of one actor does with its time: deadlines, methods that ignore them, a blocked event loop. */
import { ignoredError } from './actor-errors.js'
import { Alarm } from './alarm.js'
import type { Clock } from './clock.js'
import { NO_PROGRESS } from './gauge.js'
import type { HostLink } from './host-link.js'
import { type Blocked, blockedFor, blockedIn, LoopWatch } from './loop-watch.js'
import type { Mailbox } from './mailbox.js'
import { type Message, originOf } from './message.js'
import { monotonic } from './messages.js'
import type { Reporter } from './reporter.js'

/** The actor, as far as it is watched. */
export interface Watched {
  readonly link: HostLink | undefined
  readonly mailbox: Mailbox
  /** Milliseconds. */
  readonly grace: number
  /** `create` was called and has not ended. */
  readonly creating: boolean
}

export class Overseer {
  readonly #look: () => Watched
  readonly #report: Reporter
  readonly #deadlines: Alarm
  readonly #loop: LoopWatch

  constructor(look: () => Watched, report: Reporter, clock: Clock) {
    this.#look = look
    this.#report = report
    this.#deadlines = new Alarm(clock, () => this.#expire())
    this.#loop = new LoopWatch(
      () => this.blocked(),
      (what) => report.blocked(what),
      (ms) => report.unblocked(ms),
    )
  }

  /** Something ends at this time of `monotonic()`. */
  by(time: number): void {
    this.#deadlines.by(time)
  }

  /** A host begins. */
  start(): void {
    this.#loop.start()
  }

  /** A host is gone: deadlines of what waits hold all the same. */
  pause(): void {
    this.#loop.stop()
  }

  /** For good. */
  stop(): void {
    this.#loop.stop()
    this.#deadlines.cancel()
  }

  blocked(): Blocked | undefined {
    const { link, mailbox, creating } = this.#look()
    // A host in this thread is not blocked while this thread looks.
    if (link === undefined || link.kind === 'inline') return undefined
    const { progress } = link
    const ms = blockedFor(progress, monotonic())
    if (ms === 0) return undefined
    const { method, jobKey } = blockedIn(progress, mailbox)
    return { method: method === '' && creating ? 'create' : method, jobKey, ms }
  }

  #expire(): number {
    const { link, mailbox } = this.#look()
    const tell = (index: number) => link?.cancel(index, true)
    const ignoring = mailbox.expire(monotonic(), link?.progress ?? NO_PROGRESS, tell)
    if (ignoring !== undefined) this.#ignored(ignoring)
    return mailbox.earliestDeadline
  }

  /** A method runs on beyond its grace: that costs the host, but for one that nobody can end. */
  #ignored(message: Message): void {
    const { link, mailbox, grace } = this.#look()
    const error = ignoredError(message, grace)
    if (link?.kind !== 'inline') {
      link?.kill(error)
      return
    }
    mailbox.excuse(message)
    this.#report.unstoppable(error.message, originOf(message))
  }
}
