/** One message in a mailbox: a record that is reused, and a link of the ring that it stands in. */
import { type Envelope, readEnvelope } from '../wire/envelope.js'
import type { ReplySink } from './reply.js'

export const NOTHING = Buffer.alloc(0)

export const FREE = 0
export const WAITING = 1
export const SENT = 2
/** Sent, and the caller has its answer; the host has yet to say that the turn is over. */
export const ANSWERED = 3

/** One record; also the head of a list of them, which is a ring. */
export interface Message {
  readonly index: number
  id: number
  body: Buffer
  /** When it was accepted: a time of `monotonic()`, as all times here. */
  since: number
  /** The caller's; 0 for none. */
  deadline: number
  /** Milliseconds that its method may run; 0 for any. */
  limit: number
  sink: ReplySink | undefined
  tag: number
  state: number
  /** How many were sent to this host before it, modulo 2^32. */
  sequence: number
  /** The caller does not want it any more, and the host has been told. */
  cancelled: boolean
  /** When its method was told to end; 0: it was not. */
  graceFrom: number
  previous: Message
  next: Message
}

/** What a message is about, as its envelope says it. */
export function originOf({ body }: Message): Pick<Envelope, 'method' | 'jobKey'> {
  const { method, jobKey } = readEnvelope(body, 0, body.length)
  return { method, jobKey }
}

export function record(index: number): Message {
  const message = {
    index,
    id: index,
    body: NOTHING,
    since: 0,
    deadline: 0,
    limit: 0,
    sink: undefined,
    tag: 0,
    state: FREE,
    sequence: 0,
    cancelled: false,
    graceFrom: 0,
  } as unknown as Message
  message.previous = message
  message.next = message
  return message
}

export function listHead(): Message {
  return record(-1)
}

export function append(list: Message, message: Message): void {
  insertAfter(list.previous, message)
}

export function insertAfter(before: Message, message: Message): void {
  message.previous = before
  message.next = before.next
  before.next.previous = message
  before.next = message
}

export function unlink(message: Message): void {
  message.previous.next = message.next
  message.next.previous = message.previous
}
