/**
 * One client's connection: takes its frames, hands each call to the service, and writes the answers.
 *
 * The session is the `ReplySink` of all of its calls, with the client's correlation number as the tag, so a
 * call costs no object of its own here.
 */
import type { Actor } from '../actors/actor.js'
import { type OffstageError, ProtocolError, RemoteWorkerError } from '../errors.js'
import type { Enqueued } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import { type Connection, type ConnectionEvents, EMPTY_MAP } from '../wire/connection.js'
import { readEnvelope, Verb } from '../wire/envelope.js'
import { encodeFailure } from '../wire/failure.js'
import { FrameType, frameName, ownBytes } from '../wire/frame.js'
import type { Caller } from './caller.js'
import { ENQUEUED_BYTES, writeEnqueued } from './enqueued.js'
import type { Service } from './service.js'

/** One answer is written at a time, and copied from here into its frame. */
const answerBytes = Buffer.alloc(ENQUEUED_BYTES)

interface Running {
  readonly actor: Actor
  readonly message: number
}

export class Session implements Caller {
  readonly peer: string
  readonly #connection: Connection
  readonly #service: Service
  /** What CANCEL needs to find a call again. */
  readonly #running = new Map<number, Running>()
  #lastCorr = 0
  #leaving = false

  constructor(
    connect: (events: ConnectionEvents) => Connection,
    peer: string,
    service: Service,
    onClose: (session: Session, error: Error | undefined) => void,
  ) {
    this.peer = peer
    this.#service = service
    this.#connection = connect({
      frame: (type, _flags, corr, bytes, start, end) => this.#frame(type, corr, bytes, start, end),
      close: (error) => onClose(this, error),
    })
  }

  result(corr: number, bytes: Buffer, start: number, end: number): void {
    this.#running.delete(corr)
    this.#result(corr, bytes, start, end)
  }

  failed(corr: number, bytes: Buffer, start: number, end: number): void {
    this.#running.delete(corr)
    this.#connection.out.frame(FrameType.ERROR, 0, corr, bytes, start, end)
  }

  settle(_corr: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a call is not a queued job
  }

  accepted(corr: number): void {
    this.#connection.out.frame(FrameType.ACCEPTED, 0, corr, EMPTY_MAP)
  }

  /** A RESULT from the supervisor itself; `bytes` is CBOR. */
  answer(corr: number, bytes: Uint8Array): void {
    this.#result(corr, bytes, 0, bytes.length)
  }

  stored(corr: number, job: Enqueued): void {
    this.#connection.out.frame(FrameType.RESULT, 0, corr, answerBytes, 0, writeEnqueued(answerBytes, 0, job))
  }

  refuse(corr: number, error: OffstageError): void {
    this.#connection.out.frame(FrameType.ERROR, 0, corr, encodeFailure(error))
  }

  remember(corr: number, actor: Actor, message: number): void {
    this.#running.set(corr, { actor, message })
  }

  /** Tells the client that no call after the last one will be taken. */
  goAway(message: string): void {
    if (this.#leaving) return
    this.#leaving = true
    this.#connection.out.frame(FrameType.GOAWAY, 0, 0, encodeValue({ last: this.#lastCorr, message }))
  }

  /** To be called every few seconds: finds out whether a silent client is still there. */
  heartbeat(): void {
    this.#connection.heartbeat()
  }

  /** Sends what waits, then ends the connection. */
  end(): void {
    this.#connection.end()
  }

  /** A frame beyond the limit would cost the client its connection, and every other call on it. */
  #result(corr: number, bytes: Uint8Array, start: number, end: number): void {
    const { maxBody, out } = this.#connection
    if (end - start <= maxBody) out.frame(FrameType.RESULT, 0, corr, bytes, start, end)
    else this.refuse(corr, tooLarge(end - start, maxBody))
  }

  #frame(type: number, corr: number, bytes: Buffer, start: number, end: number): void {
    if (type === FrameType.CALL) this.#call(corr, bytes, start, end)
    else if (type === FrameType.CANCEL) this.#cancel(corr)
    else throw new ProtocolError(`a client does not send ${frameName(type)} frames after the handshake`)
  }

  #call(corr: number, bytes: Buffer, start: number, end: number): void {
    if (corr <= this.#lastCorr) {
      throw new ProtocolError(`call ${corr} came after call ${this.#lastCorr}: correlation numbers only grow, from 1`)
    }
    this.#lastCorr = corr
    if (this.#leaving) return // GOAWAY told the client that this call is safe to send elsewhere
    const envelope = readEnvelope(bytes, start, end)
    if (envelope.jobId !== 0 || envelope.attempt !== 0) {
      throw new ProtocolError('the envelope has keys from 64 on, which say that a job of the queue is running')
    }
    // The receive buffer is reused: the call, and a job's argument, live longer than it does.
    const body = ownBytes(bytes, start, end)
    envelope.payloadAt -= start
    if (envelope.verb === Verb.CALL) this.#service.call(this, corr, envelope, body)
    else this.#service.serve(this, corr, envelope, body)
  }

  #cancel(corr: number): void {
    const running = this.#running.get(corr)
    // An answer that is on its way has won; an enqueue cannot be taken back by CANCEL.
    if (running !== undefined) running.actor.cancel(running.message)
  }
}

function tooLarge(bytes: number, maxBody: number): RemoteWorkerError {
  return new RemoteWorkerError(
    'RESULT_TOO_LARGE',
    `the result takes ${bytes} bytes, and at most ${maxBody} can be sent: return a reference to the data (a path, ` +
      'a key) instead, or raise max_body',
    { executed: 'yes', details: { bytes, maxBody } },
  )
}
