/**
 * The messages of one actor, in the supervisor: accepted in order, kept until their outcome is known.
 *
 * A message waits, then is sent ahead to the host (within a window), then has an outcome. Records are reused;
 * a message's number on the host's channel is the index of its record, its id also counts the record's uses.
 */
import { type OffstageError, Overloaded, WorkerCrashed } from '../errors.js'
import { type Progress, WINDOW_MESSAGES } from './gauge.js'
import {
  ANSWERED,
  append,
  FREE,
  insertAfter,
  listHead,
  type Message,
  NOTHING,
  originOf,
  record,
  SENT,
  unlink,
  WAITING,
} from './message.js'
import { monotonic } from './messages.js'
import { late, notStarted, overdue, type ReplySink, reply, replyOverdue } from './reply.js'

/** What is sent ahead of its turn, so that the host need not wait for the supervisor between turns. */
const WINDOW_BYTES = 1024 * 1024

/** Ids are `use × ID_STEP + index`. */
const ID_STEP = 1_048_576

/** Messages that ended with a host: those that were in work and failed, and those that wait again. */
export interface Counts {
  readonly lost: number
  readonly kept: number
}

export class Mailbox {
  readonly #limit: number
  readonly #grace: number
  readonly #records: Message[] = []
  readonly #free: number[] = []
  readonly #waiting = listHead()
  readonly #sent = listHead()
  #size = 0
  #inFlight = 0
  #inFlightBytes = 0
  #sentSoFar = 0
  /** How many found it full. */
  refused = 0
  /** Until then `expire` has nothing to do: a lower bound, made exact by it. */
  earliestDeadline = Number.POSITIVE_INFINITY

  /** `grace`: milliseconds that a method gets to end once it was told to; 0 for any. */
  constructor(limit: number, grace = 0) {
    this.#limit = limit
    this.#grace = grace
  }

  /** Messages without an outcome. */
  get size(): number {
    return this.#size
  }

  /** Of these, the ones that the host has. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Milliseconds since the oldest message was accepted; 0 when there is none. */
  oldest(now: number): number {
    const first = this.#sent.next === this.#sent ? this.#waiting.next : this.#sent.next
    return first === this.#waiting ? 0 : Math.max(0, Math.round(now - first.since))
  }

  /** The messages that the host has taken and that have not ended. */
  begun(taken: number): Message[] {
    const begun: Message[] = []
    for (let message = this.#sent.next; message !== this.#sent; message = message.next) {
      if (((taken - message.sequence) | 0) > 0) begun.push(message)
    }
    return begun
  }

  /** Returns the id. Throws `Overloaded`. */
  add(body: Buffer, deadline: number, sink: ReplySink, tag: number, limit = 0): number {
    if (this.#size >= this.#limit) {
      this.refused++
      throw new Overloaded(`the mailbox is full: ${this.#size} messages wait or run`, {
        details: { mailboxLimit: this.#limit },
      })
    }
    const index = this.#free.pop()
    const message = index === undefined ? this.#newRecord() : this.#records[index]!
    message.id += ID_STEP
    message.body = body
    message.since = monotonic()
    message.deadline = deadline
    message.limit = limit
    message.sink = sink
    message.tag = tag
    message.state = WAITING
    message.cancelled = false
    message.graceFrom = 0
    append(this.#waiting, message)
    this.#size++
    if (deadline > 0) this.#lookAt(deadline)
    return message.id
  }

  /** The next message for the host, now counted as sent; undefined when none waits or the window is full. */
  send(): Message | undefined {
    const message = this.#waiting.next
    if (message === this.#waiting || this.#inFlight >= WINDOW_MESSAGES) return undefined
    // A message bigger than the window goes alone.
    if (this.#inFlight > 0 && this.#inFlightBytes + message.body.length > WINDOW_BYTES) return undefined
    unlink(message)
    append(this.#sent, message)
    message.state = SENT
    message.sequence = this.#sentSoFar
    this.#sentSoFar = (this.#sentSoFar + 1) | 0
    this.#inFlight++
    this.#inFlightBytes += message.body.length
    if (message.limit > 0) this.#lookAt(monotonic() + message.limit)
    return message
  }

  result(index: number, bytes: Buffer, start: number, end: number): void {
    const message = this.#records[index]
    if (message === undefined || message.state < SENT) return
    const { sink, tag, state } = message
    this.#release(message)
    if (state === SENT) sink!.result(tag, bytes, start, end)
  }

  failed(index: number, bytes: Buffer, start: number, end: number): void {
    const message = this.#records[index]
    if (message === undefined || message.state < SENT) return
    const { sink, tag, state } = message
    this.#release(message)
    if (state === SENT) sink!.failed(tag, bytes, start, end)
  }

  ended(index: number): void {
    const message = this.#records[index]
    if (message !== undefined && message.state >= SENT) this.#release(message)
  }

  progress(index: number, bytes: Buffer, start: number, end: number): void {
    const message = this.#records[index]
    if (message?.state === SENT) message.sink!.progress?.(message.tag, bytes, start, end)
  }

  settle(index: number, how: 'finish' | 'release', done: (current: boolean) => void): void {
    const message = this.#records[index]
    if (message?.state === SENT) message.sink!.settle(message.tag, how, done)
    else done(false)
  }

  /** The host has told the method, if that runs, to end: only now can it be expected to. */
  told(index: number): void {
    const message = this.#records[index]
    if (message !== undefined && message.state >= SENT && message.graceFrom > 0) message.graceFrom = monotonic()
  }

  /** A message that waits is answered at once. Returns the index of one that the host must be told of. */
  cancel(id: number): number | undefined {
    const message = this.#records[id % ID_STEP]
    if (message === undefined || message.id !== id) return undefined
    if (message.state === WAITING) this.#answer(message, notStarted())
    if (message.state !== SENT) return undefined
    message.cancelled = true
    this.#tell(message, monotonic())
    return message.index
  }

  /**
   * Deals with messages whose deadline has passed. The host looks at the clock after it has counted a message as
   * taken, so one that is not counted by now will never start, and its caller may know. Calls `tell` for those
   * that the host has. Returns one that was told to end and has not, within its grace.
   */
  expire(now: number, progress: Progress, tell: (index: number) => void): Message | undefined {
    this.earliestDeadline = Number.POSITIVE_INFINITY
    for (let message = this.#waiting.next; message !== this.#waiting; ) {
      const { next, deadline } = message
      if (deadline > now) this.#lookAt(deadline)
      else if (deadline > 0) this.#answer(message, late())
      message = next
    }
    let ignoring: Message | undefined
    for (let message = this.#sent.next; message !== this.#sent; ) {
      const { next } = message
      if (message.state === SENT) this.#expireSent(message, now, progress, tell)
      if (message.graceFrom > 0 && this.#ignores(message, now, progress)) ignoring ??= message
      message = next
    }
    return ignoring
  }

  /** Nothing can be done about a message that `expire` returned. */
  excuse(message: Message): void {
    message.graceFrom = Number.POSITIVE_INFINITY
  }

  #expireSent(message: Message, now: number, progress: Progress, tell: (index: number) => void): void {
    const { deadline, limit } = message
    const started = ((progress.taken - message.sequence) | 0) > 0
    const over = limit === 0 ? Number.POSITIVE_INFINITY : (started ? progress.takenAt(message.sequence) : now) + limit
    const due = deadline === 0 ? over : Math.min(deadline, over)
    if (due > now) {
      this.#lookAt(due)
      return
    }
    message.deadline = 0
    message.limit = 0
    this.#tell(message, now)
    tell(message.index)
    if (started && message.sink!.queued === true) return
    message.state = ANSWERED
    const error = started ? overdue(originOf(message).method, over <= now ? limit : 0) : late()
    replyOverdue(message.sink!, message.tag, error)
  }

  #tell(message: Message, now: number): void {
    if (message.graceFrom === 0) message.graceFrom = now
    if (this.#grace > 0) this.#lookAt(now + this.#grace)
  }

  /** Its method, having been told to end, runs beyond its grace, and not for want of its turn on the thread. */
  #ignores(message: Message, now: number, progress: Progress): boolean {
    const grace = this.#grace
    if (grace === 0) return false
    const due = message.graceFrom + grace
    const started = ((progress.taken - message.sequence) | 0) > 0
    const { running, runningSince } = progress
    if (due > now) this.#lookAt(due)
    else if (started && (running === 0 || running === message.index + 1 || runningSince > now - grace / 2)) return true
    else {
      // It has not started, or another blocks the thread, for which it must not be blamed.
      message.graceFrom = now
      this.#lookAt(now + grace)
    }
    return false
  }

  #lookAt(time: number): void {
    if (time < this.earliestDeadline) this.earliestDeadline = time
  }

  /**
   * The host is gone, having taken `taken` messages. Those that it had taken fail, executed maybe; the others
   * wait again, in front and in order. Returns how many of each.
   */
  crashed(taken: number, why: string): Counts {
    let lost = 0
    let kept = 0
    for (let message = this.#sent.previous; message !== this.#sent; ) {
      const previous = message.previous
      const started = ((taken - message.sequence) | 0) > 0
      if (started || message.state === ANSWERED) {
        if (message.state === SENT) lost++
      } else if (!message.cancelled) {
        unlink(message)
        message.state = WAITING
        insertAfter(this.#waiting, message)
        kept++
      }
      message = previous
    }
    this.#inFlight = 0
    this.#inFlightBytes = 0
    this.#sentSoFar = 0
    this.#failList(this.#sent, (message) => {
      if (message.state !== SENT) return undefined
      return ((taken - message.sequence) | 0) > 0 ? new WorkerCrashed(why) : notStarted()
    })
    return { lost, kept }
  }

  /** Fails everything: the worker has stopped for good. `undelivered` hears of calls that had not started. */
  failAll(
    error: (started: boolean) => OffstageError,
    taken: number,
    undelivered: (message: Message) => void = () => undefined,
  ): void {
    this.#inFlight = 0
    this.#inFlightBytes = 0
    const unstarted = (message: Message) => {
      if (message.sink!.queued !== true) undelivered(message)
      return error(false)
    }
    this.#failList(this.#sent, (message) => {
      if (message.state !== SENT) return undefined
      return ((taken - message.sequence) | 0) > 0 ? error(true) : unstarted(message)
    })
    this.#failList(this.#waiting, unstarted)
  }

  #failList(list: Message, errorOf: (message: Message) => OffstageError | undefined): void {
    for (let message = list.next; message !== list; message = list.next) {
      const error = errorOf(message)
      if (error === undefined) this.#remove(message)
      else this.#answer(message, error)
    }
  }

  /** Removes first, so that the sink may send the next message at once. */
  #answer(message: Message, error: OffstageError): void {
    const { sink, tag } = message
    this.#remove(message)
    reply(sink!, tag, error)
  }

  /** A message that the host had is over. */
  #release(message: Message): void {
    this.#inFlight--
    this.#inFlightBytes -= message.body.length
    this.#remove(message)
  }

  #remove(message: Message): void {
    unlink(message)
    const answered = message.state === ANSWERED ? message.sink : undefined
    message.state = FREE
    message.body = NOTHING
    message.sink = undefined
    this.#size--
    this.#free.push(message.index)
    answered?.stopped?.(message.tag)
  }

  #newRecord(): Message {
    const message = record(this.#records.length)
    this.#records.push(message)
    return message
  }
}
