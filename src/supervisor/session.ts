/**
 * One client's connection: takes its frames, hands each call to the service, and writes the answers.
 *
 * The session is the `ReplySink` of all of its calls, with the client's correlation number as the tag, so a
 * call costs no object of its own here.
 */
import type { Actor } from '../actors/actor.js'
import { Cancelled, type OffstageError, ProtocolError, RemoteWorkerError } from '../errors.js'
import type { Enqueued } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import { type Connection, type ConnectionEvents, EMPTY_MAP, type Meter } from '../wire/connection.js'
import type { Credit } from '../wire/credit.js'
import { type Envelope, readEnvelope, Verb } from '../wire/envelope.js'
import { encodeFailure } from '../wire/failure.js'
import { CREDIT_LATER, FrameType, frameName, ownBytes } from '../wire/frame.js'
import type { WireStats } from '../wire/stats.js'
import type { Guard } from './access.js'
import type { Caller, Waiting } from './caller.js'
import { ENQUEUED_BYTES, writeEnqueued } from './enqueued.js'
import type { Guest } from './greeting.js'
import type { Replays } from './replays.js'
import type { Service } from './service.js'

/** One answer is written at a time, and copied from here into its frame. */
const answerBytes = Buffer.alloc(ENQUEUED_BYTES)

/** Calls of one connection that only wait, and take no credit for that; further ones do. */
const MOST_WAITING = 16_384

/** A call that is not answered yet. */
interface Open {
  /** Of its body. */
  readonly bytes: number
  /** What CANCEL needs: where it was sent, and its number there. */
  actor: Actor | undefined
  message: number
  /** When it only waits. */
  waiting: Waiting | undefined
  /** Its credit is given back. */
  free: boolean
}

const NOTHING = new Uint8Array(0)

export interface SessionOptions {
  readonly guest: Guest
  readonly service: Service
  readonly replays: Replays
  readonly credit: Credit
  readonly stats: WireStats
  /** What its rate is measured with. */
  readonly meter: Meter | undefined
  /** What it may do; undefined: everything. */
  readonly guard: Guard | undefined
}

export class Session implements Caller {
  /** Address and port, and who it is. */
  readonly guest: Guest
  readonly #connection: Connection
  readonly #guard: Guard | undefined
  readonly #service: Service
  readonly #replays: Replays
  readonly #credit: Credit
  readonly #stats: WireStats
  readonly #open = new Map<number, Open>()
  #lastCorr = 0
  /** Calls without credit. */
  #free = 0
  #leaving = false

  constructor(
    connect: (events: ConnectionEvents) => Connection,
    { guest, service, replays, credit, stats, meter, guard }: SessionOptions,
    onClose: (session: Session, error: Error | undefined) => void,
  ) {
    this.guest = guest
    this.#guard = guard
    this.#service = service
    this.#replays = replays
    this.#credit = credit
    this.#stats = stats
    this.#connection = connect({
      frame: (type, _flags, corr, bytes, start, end) => this.#frame(type, corr, bytes, start, end),
      close: (error) => {
        // Nobody waits for the credit of what still runs.
        stats.calls -= this.#open.size
        for (const { waiting } of this.#open.values()) waiting?.end()
        this.#open.clear()
        onClose(this, error)
      },
    })
    this.#connection.meter = meter
  }

  result(corr: number, bytes: Buffer, start: number, end: number): void {
    this.#done(corr)
    this.#result(corr, bytes, start, end)
  }

  failed(corr: number, bytes: Buffer, start: number, end: number): void {
    this.#done(corr)
    this.#connection.out.frame(FrameType.ERROR, 0, corr, bytes, start, end)
  }

  overdue(corr: number, bytes: Buffer, start: number, end: number): void {
    this.#connection.out.frame(FrameType.ERROR, CREDIT_LATER, corr, bytes, start, end)
  }

  stopped(corr: number): void {
    this.#done(corr)
    this.#connection.out.frame(FrameType.CREDIT, 0, corr, NOTHING)
  }

  settle(_corr: number, _how: 'finish' | 'release', done: (current: boolean) => void): void {
    done(false) // a call is not a queued job
  }

  accepted(corr: number): void {
    this.#done(corr)
    this.#connection.out.frame(FrameType.ACCEPTED, 0, corr, EMPTY_MAP)
  }

  /** A RESULT from the supervisor itself; `bytes` is CBOR. */
  answer(corr: number, bytes: Uint8Array): void {
    this.#done(corr)
    this.#result(corr, bytes, 0, bytes.length)
  }

  stored(corr: number, job: Enqueued): void {
    this.#done(corr)
    this.#connection.out.frame(FrameType.RESULT, 0, corr, answerBytes, 0, writeEnqueued(answerBytes, 0, job))
  }

  refuse(corr: number, error: OffstageError): void {
    this.#done(corr)
    this.#connection.out.frame(FrameType.ERROR, 0, corr, encodeFailure(error))
  }

  check(envelope: Envelope): void {
    this.#guard?.(envelope)
  }

  remember(corr: number, actor: Actor, message: number): void {
    const open = this.#open.get(corr)
    if (open === undefined) return
    open.actor = actor
    open.message = message
  }

  waits(corr: number, call: Waiting): void {
    const open = this.#open.get(corr)
    if (open === undefined) {
      call.end()
      return
    }
    open.waiting = call
    if (this.#free >= MOST_WAITING) return
    this.#free++
    open.free = true
    this.#credit.giveBack(open.bytes)
    this.#connection.out.frame(FrameType.CREDIT, 0, corr, NOTHING)
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
    this.#takeCredit(corr, end - start)
    const envelope = readEnvelope(bytes, start, end)
    if (envelope.jobId !== 0 || envelope.attempt !== 0) {
      throw new ProtocolError('the envelope has keys from 64 on, which say that a job of the queue is running')
    }
    // The receive buffer is reused: the call, and a job's argument, live longer than it does.
    const body = ownBytes(bytes, start, end)
    envelope.payloadAt -= start
    const caller = this.#callerOf(envelope, corr)
    if (caller === undefined) return
    if (envelope.verb === Verb.CALL) this.#service.call(caller, corr, envelope, body)
    else this.#service.serve(caller, corr, envelope, body)
  }

  /** Who hears of the outcome; undefined when it is known already, or others wait for it. */
  #callerOf(envelope: Envelope, corr: number): Caller | undefined {
    const { requestId, verb } = envelope
    if (requestId === '' || (verb !== Verb.CALL && verb !== Verb.ASYNC)) return this
    return this.#replays.join(this.guest.identity, envelope, this, corr)
  }

  #cancel(corr: number): void {
    const open = this.#open.get(corr)
    // An answer that is on its way has won; an enqueue cannot be taken back by CANCEL.
    open?.actor?.cancel(open.message)
    if (open === undefined) return
    open.actor = undefined // once is enough
    if (open.waiting === undefined) return
    open.waiting.end()
    this.refuse(corr, new Cancelled('the caller gave up waiting'))
  }

  #takeCredit(corr: number, bytes: number): void {
    const credit = this.#credit
    if (!credit.fits(bytes)) {
      throw new ProtocolError(
        `call ${corr} of ${bytes} bytes is beyond the credit: ${credit.calls} calls wait for their answers`,
        {},
        'FLOW',
      )
    }
    credit.take(bytes)
    this.#open.set(corr, { bytes, actor: undefined, message: 0, waiting: undefined, free: false })
    this.#stats.calls++
  }

  /** Its work is over: the client may send another one. */
  #done(corr: number): void {
    const open = this.#open.get(corr)
    if (open === undefined) return
    this.#open.delete(corr)
    if (open.free) this.#free--
    else this.#credit.giveBack(open.bytes)
    this.#stats.calls--
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
