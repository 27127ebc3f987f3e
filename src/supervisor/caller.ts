/** Who made a call, as the service sees it: where its answer goes. `corr` is the caller's number for the call. */
import type { Actor } from '../actors/actor.js'
import type { ReplySink } from '../actors/reply.js'
import type { OffstageError } from '../errors.js'
import type { Envelope } from '../wire/envelope.js'
import type { EnqueueSink } from './enqueuer.js'

/** A call that only waits for something to happen. */
export interface Waiting {
  /** Nobody wants its answer any more. */
  end(): void
}

export interface Caller extends ReplySink, EnqueueSink {
  /** Throws `AccessDenied` when it may not do this. */
  check(envelope: Envelope): void
  /** The call was passed on; `message` is the actor's number for it, which a cancel needs. */
  remember(corr: number, actor: Actor, message: number): void
  /** From now on the call only waits: it takes no credit, and hears when its caller gives it up. */
  waits(corr: number, call: Waiting): void
  accepted(corr: number): void
  /** `bytes` is the result in CBOR. */
  answer(corr: number, bytes: Uint8Array): void
  refuse(corr: number, error: OffstageError): void
}
