/**
 * The messages of one actor, in the supervisor: accepted in order, kept until their outcome is known.
 *
 * A message waits, then is sent ahead to the host (within a window), then has an outcome. Records are reused;
 * a message's number on the host's channel is the index of its record, its id also counts the record's uses.
 */
import { Cancelled, DeadlineExceeded, type OffstageError, Overloaded, WorkerCrashed } from '../errors.js'
import { encodeFailure } from '../wire/failure.js'

/** Where answers go: one object per connection or dispatcher; `tag` says which message. */
export interface ReplySink {
  /** The value in CBOR; the bytes are valid only during the call. */
  result(tag: number, bytes: Buffer, start: number, end: number): void
  /** The body of an ERROR; the bytes are valid only during the call. */
  failed(tag: number, bytes: Buffer, start: number, end: number): void
  /** A queued job's method called `finish()` or `release()` of `this.persistentJob`. */
  settle(tag: number, how: 'finish' | 'release', done: (current: boolean) => void): void
}

/** What is sent ahead of its turn, so that the host need not wait for the supervisor between turns. */
const WINDOW_MESSAGES = 1024
const WINDOW_BYTES = 1024 * 1024

/** Ids are `use × ID_STEP + index`. */
const ID_STEP = 1_048_576

const NOTHING = Buffer.alloc(0)

const FREE = 0
const WAITING = 1
const SENT = 2
/** Sent, and the caller has its answer; the host has yet to say that the turn is over. */
const ANSWERED = 3

/** One record; also the head of a list of them, which is a ring. */
export interface Message {
  readonly index: number
  id: number
  body: Buffer
  /** A time of `monotonic()`; 0 for none. */
  deadline: number
  sink: ReplySink | undefined
  tag: number
  state: number
  /** How many were sent to this host before it, modulo 2^32. */
  sequence: number
  /** The caller does not want it any more, and the host has been told. */
  cancelled: boolean
  previous: Message
  next: Message
}

export class Mailbox {
  readonly #limit: number
  readonly #records: Message[] = []
  readonly #free: number[] = []
  readonly #waiting = listHead()
  readonly #sent = listHead()
  #size = 0
  #inFlight = 0
  #inFlightBytes = 0
  #sentSoFar = 0
  /** No message has a deadline before this: a lower bound, made exact by `expire`. */
  earliestDeadline = Number.POSITIVE_INFINITY

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Messages without an outcome. */
  get size(): number {
    return this.#size
  }

  /** Of these, the ones that the host has. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Returns the id. Throws `Overloaded`. */
  add(body: Buffer, deadline: number, sink: ReplySink, tag: number): number {
    if (this.#size >= this.#limit) {
      throw new Overloaded(`the mailbox is full: ${this.#size} messages wait or run`, {
        details: { mailboxLimit: this.#limit },
      })
    }
    const index = this.#free.pop()
    const message = index === undefined ? this.#newRecord() : this.#records[index]!
    message.id += ID_STEP
    message.body = body
    message.deadline = deadline
    message.sink = sink
    message.tag = tag
    message.state = WAITING
    message.cancelled = false
    append(this.#waiting, message)
    this.#size++
    if (deadline > 0 && deadline < this.earliestDeadline) this.earliestDeadline = deadline
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
    return message
  }

  result(index: number, bytes: Buffer, start: number, end: number): void {
    const message = this.#records[index]
    if (message === undefined || message.state < SENT) return
    const { sink, tag, state } = message
    this.#release(message)
    if (state === SENT) sink!.result(tag, bytes, start, end)
  }

  /** `early`: the turn still runs. */
  failed(index: number, early: boolean, bytes: Buffer, start: number, end: number): void {
    const message = this.#records[index]
    if (message === undefined || message.state < SENT) return
    const { sink, tag, state } = message
    if (early) message.state = ANSWERED
    else this.#release(message)
    if (state === SENT) sink!.failed(tag, bytes, start, end)
  }

  ended(index: number): void {
    const message = this.#records[index]
    if (message !== undefined && message.state >= SENT) this.#release(message)
  }

  settle(index: number, how: 'finish' | 'release', done: (current: boolean) => void): void {
    const message = this.#records[index]
    if (message?.state === SENT) message.sink!.settle(message.tag, how, done)
    else done(false)
  }

  /** A message that waits is answered at once. Returns the index of one that the host must be told of. */
  cancel(id: number): number | undefined {
    const message = this.#records[id % ID_STEP]
    if (message === undefined || message.id !== id) return undefined
    if (message.state === WAITING) this.#answer(message, notStarted())
    if (message.state !== SENT) return undefined
    message.cancelled = true
    return message.index
  }

  /**
   * Deals with messages whose deadline has passed. `taken` is the gauge's count: the host looks at the clock
   * after it has counted a message, so one that is not counted by now will never start, and its caller may
   * know. Calls `cancel` for those that the host has.
   */
  expire(now: number, taken: number, cancel: (index: number) => void): void {
    const late = (): OffstageError => new DeadlineExceeded('the deadline of the call passed before its turn came')
    let earliest = Number.POSITIVE_INFINITY
    for (const list of [this.#waiting, this.#sent]) {
      for (let message = list.next; message !== list; ) {
        const next = message.next
        if (message.deadline === 0) {
          // It has all the time it wants.
        } else if (message.deadline > now) earliest = Math.min(earliest, message.deadline)
        else if (message.state === WAITING) this.#answer(message, late())
        else if (message.state === SENT) {
          message.deadline = 0
          cancel(message.index)
          if (((taken - message.sequence) | 0) <= 0) {
            message.state = ANSWERED
            reply(message.sink!, message.tag, encodeFailure(late()))
          }
        }
        message = next
      }
    }
    this.earliestDeadline = earliest
  }

  /**
   * The host is gone, having taken `taken` messages. Those that it had taken fail, executed maybe; the others
   * wait again, in front and in order. Returns how many of each.
   */
  crashed(taken: number, why: string): { lost: number; kept: number } {
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

  /** Fails everything: the worker has stopped for good. */
  failAll(error: (started: boolean) => OffstageError, taken: number): void {
    this.#inFlight = 0
    this.#inFlightBytes = 0
    this.#failList(this.#sent, (message) =>
      message.state === SENT ? error(((taken - message.sequence) | 0) > 0) : undefined,
    )
    this.#failList(this.#waiting, () => error(false))
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
    reply(sink!, tag, encodeFailure(error))
  }

  /** A message that the host had is over. */
  #release(message: Message): void {
    this.#inFlight--
    this.#inFlightBytes -= message.body.length
    this.#remove(message)
  }

  #remove(message: Message): void {
    unlink(message)
    message.state = FREE
    message.body = NOTHING
    message.sink = undefined
    this.#size--
    this.#free.push(message.index)
  }

  #newRecord(): Message {
    const message = record(this.#records.length)
    this.#records.push(message)
    return message
  }
}

function notStarted(): OffstageError {
  return new Cancelled('the call was cancelled before its turn came')
}

function reply(sink: ReplySink, tag: number, error: Uint8Array): void {
  const bytes = Buffer.from(error.buffer as ArrayBuffer, error.byteOffset, error.byteLength)
  sink.failed(tag, bytes, 0, bytes.length)
}

function record(index: number): Message {
  const message = {
    index,
    id: index,
    body: NOTHING,
    deadline: 0,
    sink: undefined,
    tag: 0,
    state: FREE,
    sequence: 0,
    cancelled: false,
  } as unknown as Message
  message.previous = message
  message.next = message
  return message
}

function listHead(): Message {
  return record(-1)
}

function append(list: Message, message: Message): void {
  insertAfter(list.previous, message)
}

function insertAfter(before: Message, message: Message): void {
  message.previous = before
  message.next = before.next
  before.next.previous = message
  before.next = message
}

function unlink(message: Message): void {
  message.previous.next = message.next
  message.next.previous = message.previous
}
