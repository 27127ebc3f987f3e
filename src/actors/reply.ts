/** Where the outcomes of messages go, and those that the supervisor itself gives. */
import { Cancelled, DeadlineExceeded, type OffstageError } from '../errors.js'
import { encodeFailure } from '../wire/failure.js'

/** Where answers go: one object per connection or dispatcher; `tag` says which message. */
export interface ReplySink {
  /** Its messages are attempts of queued jobs: it must not hear of an end before there is one. */
  readonly queued?: boolean
  /** The value in CBOR; the bytes are valid only during the call. */
  result(tag: number, bytes: Buffer, start: number, end: number): void
  /** The body of an ERROR; the bytes are valid only during the call. */
  failed(tag: number, bytes: Buffer, start: number, end: number): void
  /** As `failed`, when the caller's time is up and the method goes on; `stopped` follows. Without it, `failed` is used. */
  overdue?(tag: number, bytes: Buffer, start: number, end: number): void
  /** What was overdue has ended now. */
  stopped?(tag: number): void
  /** A queued job's method told its progress, in CBOR; the bytes are valid only during the call. */
  progress?(tag: number, bytes: Buffer, start: number, end: number): void
  /** A queued job's method called `finish()` or `release()` of `this.persistentJob`. */
  settle(tag: number, how: 'finish' | 'release', done: (current: boolean) => void): void
}

export function notStarted(): OffstageError {
  return new Cancelled('the call was cancelled before its turn came')
}

export function late(): OffstageError {
  return new DeadlineExceeded('the deadline of the call passed before its turn came')
}

/** `limit` in milliseconds, 0 when it was the caller's deadline. */
export function overdue(method: string, limit: number): OffstageError {
  const what =
    limit > 0
      ? `${method} has run longer than the ${limit} ms that its worker allows`
      : `the deadline of the call passed while ${method} was running`
  return new DeadlineExceeded(what, { executed: 'maybe' })
}

export function reply(sink: ReplySink, tag: number, error: OffstageError): void {
  const bytes = bytesOf(error)
  sink.failed(tag, bytes, 0, bytes.length)
}

/** The host still has the message. */
export function replyOverdue(sink: ReplySink, tag: number, error: OffstageError): void {
  const bytes = bytesOf(error)
  if (sink.overdue === undefined) sink.failed(tag, bytes, 0, bytes.length)
  else sink.overdue(tag, bytes, 0, bytes.length)
}

function bytesOf(error: OffstageError): Buffer {
  const failure = encodeFailure(error)
  return Buffer.from(failure.buffer as ArrayBuffer, failure.byteOffset, failure.byteLength)
}
