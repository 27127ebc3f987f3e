/**
 * One connection to one server: the handshake, then calls that wait for their answers by correlation number.
 * It never connects again; `link.ts` makes the next one.
 */
import type { Socket } from 'node:net'
import { ConnectionError, InvalidArgument, type OffstageError, ProtocolError } from '../errors.js'
import { decodeValue } from '../wire/codec.js'
import { Connection, EMPTY_MAP } from '../wire/connection.js'
import { Credit } from '../wire/credit.js'
import { envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
import { CREDIT_LATER, copyBytes, FrameType, frameName, HEADER_BYTES, MAX_CORR, writeHeader } from '../wire/frame.js'
import { foreignServer, type HelloLimits, writePreamble } from '../wire/handshake.js'
import { HANDSHAKE_MAX_BODY, PEER_LIMITS, type PeerLimits } from '../wire/limits.js'
import type { Credentials } from '../wire/scram.js'
import type { Address } from './addresses.js'
import type { Call, Carrier } from './call.js'
import { explain, openSocket, type TlsOptions } from './endpoint.js'
import { Greeting } from './greeting.js'

const NONE_TO_COME = -1

export interface ChannelOwner {
  /** The server takes calls. */
  ready(channel: Channel): void
  /** The server takes no new calls here. `unserved` were sent and will not be run. */
  leaving(channel: Channel, unserved: Call[]): void
  /** The server answered with an error. */
  refused(channel: Channel, call: Call, error: OffstageError): void
  /** Once. `unanswered` in the order of their numbers; before `ready`, why there is no connection. */
  lost(channel: Channel, error: Error | undefined, unanswered: Call[]): void
}

export interface ChannelOptions {
  /** Milliseconds for connecting and the handshake together. */
  readonly timeout: number
  /** Calls on one connection; then comes the next connection. */
  readonly maxCorr?: number
  readonly limits?: PeerLimits
  readonly credentials?: Credentials
  readonly tls?: TlsOptions
}

export class Channel implements Carrier {
  readonly address: Address
  readonly #owner: ChannelOwner
  readonly #pending = new Map<number, Call>()
  /** Calls that were given up and are not answered: their numbers, and the bytes of their credit, or `NONE_TO_COME`. */
  readonly #givenUp = new Map<number, number>()
  /** Calls that wait for credit, in order. */
  readonly #backlog = new Set<Call>()
  #credit = new Credit(0, 0)
  readonly #maxCorr: number
  readonly #timer: NodeJS.Timeout
  readonly #socket: Socket
  #connection: Connection | undefined
  readonly #credentials: Credentials | undefined
  #greeting: Greeting | undefined
  #ready = false
  #leaving = false
  #lost = false
  #lastCorr = 0
  readonly #limits: PeerLimits
  #maxBody = HANDSHAKE_MAX_BODY

  constructor(address: Address, owner: ChannelOwner, options: ChannelOptions) {
    this.address = address
    this.#owner = owner
    this.#limits = options.limits ?? PEER_LIMITS
    this.#maxCorr = options.maxCorr ?? MAX_CORR
    this.#timer = setTimeout(() => {
      this.#refuse(new ConnectionError(`${address.text} did not answer within ${Math.round(options.timeout)} ms`))
    }, options.timeout)
    this.#credentials = options.credentials
    this.#socket = openSocket(address, options.tls, () => this.#greet())
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#end(explain(error, address)))
  }

  /** It takes calls. */
  get open(): boolean {
    return this.#ready && !this.#leaving && !this.#lost
  }

  /** While it is being made: whether the process waits for it. Once it is open, its calls decide. */
  hold(yes: boolean): void {
    if (yes) {
      this.#socket.ref()
      this.#timer.ref()
    } else {
      this.#socket.unref()
      this.#timer.unref()
    }
  }

  /** Writes a call, now or when there is credit for it, or fails it when it cannot be written. */
  send(call: Call): void {
    if (this.#backlog.size > 0 || !this.#credit.fits(envelopeBound(call) + call.payload.length)) {
      if (this.#busy === 0) this.#connection!.hold(true)
      call.delayed = true
      this.#backlog.add(call)
    } else this.#sendNow(call)
  }

  #sendNow(call: Call): void {
    const connection = this.#connection!
    const corr = this.#lastCorr + 1
    // What is written may leave at once.
    const before = connection.flushes
    try {
      this.#write(connection, call, corr)
    } catch (error) {
      call.fail(error as Error)
      return
    }
    this.#lastCorr = corr
    this.#credit.take(call.bytes)
    call.corr = corr
    call.free = false
    call.channel = this
    call.server = this.address.text
    call.writtenAt = before
    if (this.#busy === 0) connection.hold(true)
    this.#pending.set(corr, call)
    if (corr >= this.#maxCorr) this.#leave(corr)
  }

  /** A call that was not written is not wanted any more. */
  forget(call: Call): void {
    if (!this.#backlog.delete(call)) return
    // It may be the one that was too long for the credit that there is, with shorter ones behind it.
    if (this.#backlog.size > 0) this.#sendBacklog()
    this.#checkIdle()
  }

  /** The answer is not wanted any more. The credit comes back when the work has stopped. */
  cancel(call: Call): void {
    this.#pending.delete(call.corr)
    this.#givenUp.set(call.corr, call.free ? NONE_TO_COME : call.bytes)
    if (!this.#lost) this.#connection!.out.frame(FrameType.CANCEL, 0, call.corr, EMPTY_MAP)
    this.#checkIdle()
  }

  heartbeat(): void {
    this.#connection?.heartbeat()
  }

  /** Ends the connection once all of its calls are answered. */
  finish(): void {
    this.#leaving = true
    if (!this.#ready) this.destroy()
    else this.#checkIdle()
  }

  /** Cuts the connection; calls on it have an unknown outcome. */
  destroy(): void {
    this.#socket.destroy()
    this.#end(undefined)
  }

  #write(connection: Connection, call: Call, corr: number): void {
    const { payload } = call
    const { out } = connection
    if (call.delayed && call.limit >= 0) {
      call.timeout = Math.max(0, Math.ceil(call.deadline - performance.now()))
    }
    const largest = envelopeBound(call) + payload.length
    if (largest > this.#maxBody && payload.length > 0) this.#checkSize(call)
    const at = out.reserve(HEADER_BYTES + largest)
    const bodyAt = at + HEADER_BYTES
    const payloadAt = writeEnvelope(out.chunk, bodyAt, call)
    copyBytes(payload, 0, payload.length, out.chunk, payloadAt)
    const end = payloadAt + payload.length
    call.bytes = end - bodyAt
    writeHeader(out.chunk, at, FrameType.CALL, 0, corr, call.bytes)
    out.commit(end)
  }

  #checkSize(call: Call): void {
    const envelope = writeEnvelope(Buffer.allocUnsafe(envelopeBound(call)), 0, call)
    const size = envelope + call.payload.length
    if (size <= this.#maxBody) return
    throw new InvalidArgument(
      `the call to ${call.title} takes ${size} bytes, and ${this.address.text} takes at most ${this.#maxBody} in one: ` +
        'send a reference to the data (a path, a key) instead',
      { details: { bytes: size, maxBody: this.#maxBody } },
    )
  }

  #greet(): void {
    const socket = this.#socket
    socket.write(writePreamble())
    const onFirst = (chunk: Buffer) => {
      const foreign = foreignServer(chunk)
      if (foreign !== undefined)
        this.#refuse(new ProtocolError(`${this.address.text} is no offstage server: ${foreign}`))
    }
    socket.once('data', onFirst)
    this.#connection = new Connection(
      socket,
      HANDSHAKE_MAX_BODY,
      {
        frame: (type, flags, corr, bytes, start, end) => this.#frame(type, flags, corr, bytes, start, end),
        close: (error) => this.#end(error ?? this.#ended()),
      },
      { client: true, limits: this.#limits },
    )
    this.#greeting = new Greeting(socket, this.#connection, this.#credentials, (error) => this.#refuse(error))
  }

  #frame(type: number, flags: number, corr: number, bytes: Buffer, start: number, end: number): void {
    if (type === FrameType.RESULT) {
      const call = this.#take(corr, type)
      if (call !== undefined) answer(call, bytes, start, end)
    } else if (type === FrameType.ACCEPTED) this.#take(corr, type)?.succeed(undefined)
    else if (type === FrameType.ERROR && corr !== 0) {
      const call = this.#take(corr, type, (flags & CREDIT_LATER) !== 0)
      if (call !== undefined) this.#owner.refused(this, call, decodeFailure(bytes, start, end))
    } else if (type === FrameType.CREDIT) this.#creditBack(corr)
    else this.#rare(type, bytes, start, end)
    if (this.#backlog.size > 0) this.#sendBacklog()
    if (this.#leaving) this.#endIfDone()
  }

  #rare(type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.ERROR:
        throw decodeFailure(bytes, start, end)
      case FrameType.HELLO:
      case FrameType.AUTH:
      case FrameType.READY: {
        if (this.#ready) throw new ProtocolError(`the server sent ${frameName(type)} when it was ready already`)
        const limits = this.#greeting!.frame(type, bytes, start, end)
        if (limits !== undefined) this.#open(limits)
        break
      }
      case FrameType.GOAWAY: {
        const { last } = (decodeValue(bytes, start, end) ?? {}) as { last?: unknown }
        if (typeof last !== 'number') throw new ProtocolError('a GOAWAY says no last call')
        this.#leave(last)
        break
      }
      default:
        throw new ProtocolError(`a server does not send ${frameName(type)} frames`)
    }
  }

  #open({ maxBody, maxCalls, maxCallBytes }: HelloLimits): void {
    const connection = this.#connection!
    this.#maxBody = maxBody
    connection.maxBody = maxBody
    this.#credit = new Credit(maxCalls, maxCallBytes)
    this.#ready = true
    clearTimeout(this.#timer)
    connection.hold(false)
    this.#owner.ready(this)
  }

  /** The call that is answered; undefined when it was given up before. */
  #take(corr: number, type: number, creditLater = false): Call | undefined {
    const call = this.#pending.get(corr)
    if (call !== undefined) {
      this.#pending.delete(corr)
      if (creditLater) this.#givenUp.set(corr, call.bytes)
      else if (!call.free) this.#credit.giveBack(call.bytes)
      this.#release()
    } else if (!creditLater && this.#givenUp.has(corr)) this.#creditBack(corr)
    else if (corr > this.#lastCorr || !this.#ready) {
      throw new ProtocolError(`the server sent ${frameName(type)} for call ${corr}, which does not exist`)
    }
    return call
  }

  #creditBack(corr: number): void {
    const waiting = this.#pending.get(corr)
    if (waiting !== undefined && !waiting.free) {
      waiting.free = true
      this.#credit.giveBack(waiting.bytes)
      return
    }
    const bytes = this.#givenUp.get(corr)
    if (bytes === undefined) throw new ProtocolError(`the server sent CREDIT for call ${corr}, which has none to come`)
    this.#givenUp.delete(corr)
    if (bytes !== NONE_TO_COME) this.#credit.giveBack(bytes)
  }

  #sendBacklog(): void {
    for (const call of this.#backlog) {
      if (this.#lost || !this.#credit.fits(envelopeBound(call) + call.payload.length)) return
      this.#backlog.delete(call)
      this.#sendNow(call)
    }
    this.#release()
  }

  /** Calls that somebody waits for. */
  get #busy(): number {
    return this.#pending.size + this.#backlog.size
  }

  #release(): void {
    if (this.#busy === 0 && !this.#lost) this.#connection!.hold(false)
  }

  #checkIdle(): void {
    this.#release()
    this.#endIfDone()
  }

  #leave(last: number): void {
    if (this.#leaving) return
    this.#leaving = true
    const unserved: Call[] = []
    for (const call of this.#pending.values()) {
      if (call.corr > last) unserved.push(call)
    }
    for (const call of unserved) {
      this.#pending.delete(call.corr)
      call.channel = undefined
    }
    unserved.push(...this.#backlog)
    this.#backlog.clear()
    this.#release()
    this.#owner.leaving(this, unserved)
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#leaving && this.#busy === 0 && !this.#lost) this.#connection?.end()
  }

  #ended(): ConnectionError {
    const hint = this.#socket.bytesRead === 0 ? ' without a word: does it expect TLS (the option tls)?' : ''
    return new ConnectionError(`${this.address.text} ended the connection${hint}`)
  }

  #refuse(error: Error): void {
    this.#end(error)
    this.#socket.destroy()
  }

  #end(error: Error | undefined): void {
    if (this.#lost) return
    this.#lost = true
    clearTimeout(this.#timer)
    const flushes = this.#connection?.flushes ?? 0
    const unanswered = [...this.#pending.values()]
    this.#pending.clear()
    for (const call of unanswered) {
      call.channel = undefined
      // What was still in the outbox never left this process.
      if (call.writtenAt < flushes) call.sent = true
    }
    unanswered.push(...this.#backlog)
    this.#backlog.clear()
    this.#owner.lost(this, error, unanswered)
  }
}

function nameServer(value: unknown, server: string): void {
  if (typeof value === 'object' && value !== null) (value as { server?: string }).server = server
}

function answer(call: Call, bytes: Buffer, start: number, end: number): void {
  let value: unknown
  try {
    value = decodeValue(bytes, start, end)
  } catch (error) {
    const facts = { executed: 'yes', cause: error } as const
    call.fail(new ProtocolError(`the result of ${call.title} cannot be read: ${(error as Error).message}`, facts))
    return
  }
  if (call.wrap !== undefined) value = call.wrap(value, call.server)
  else if (call.verb === Verb.WORKER_INFO) nameServer(value, call.server)
  call.succeed(call.verb === Verb.ASYNC ? undefined : value)
}
