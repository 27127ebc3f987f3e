/** Who made a call, as the service sees it: where its answer goes. `corr` is the caller's number for the call. */
import type { Actor } from '../actors/actor.js'
import type { ReplySink } from '../actors/reply.js'
import type { OffstageError } from '../errors.js'
import type { Envelope } from '../wire/envelope.js'
import type { EnqueueSink } from './enqueuer.js'

export interface Caller extends ReplySink, EnqueueSink {
  /** Throws `AccessDenied` when it may not do this. */
  check(envelope: Envelope): void
  /** The call was passed on; `message` is the actor's number for it, which a cancel needs. */
  remember(corr: number, actor: Actor, message: number): void
  accepted(corr: number): void
  /** `bytes` is the result in CBOR. */
  answer(corr: number, bytes: Uint8Array): void
  refuse(corr: number, error: OffstageError): void
}
