/**
 * The way of one connection through the handshake of docs/PROTOCOL.md: preamble, HELLO, proof of who it is, READY. Until
 * then a client may send very little, and has little time. Everything after that is the session's.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { AuthenticationFailed, OffstageError, ProtocolError } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { Connection, type ConnectionEvents, EMPTY_MAP } from '../wire/connection.js'
import { encodeFailure } from '../wire/failure.js'
import { FrameType } from '../wire/frame.js'
import { PREAMBLE_BYTES, readAuth, readPreamble, writeHello } from '../wire/handshake.js'
import { HANDSHAKE_MAX_BODY, HANDSHAKE_MAX_FRAMES } from '../wire/limits.js'
import { Binding, keysOf, SCRAM, SCRAM_TLS, ScramServer } from '../wire/scram.js'
import type { WireStats } from '../wire/stats.js'
import type { FailedAttempts } from './failed-attempts.js'
import type { Logger } from './log.js'
import type { Users } from './users.js'
import type { WireLimits } from './wire-limits.js'

/** Who has not said who it is, where nobody has to. */
const ANONYMOUS = 'anonymous'

export interface Guest {
  /** Address and port. */
  readonly peer: string
  /** The user, the name in its certificate, or `anonymous`. */
  readonly identity: string
}

export interface GreetingOptions {
  readonly limits: WireLimits
  readonly stats: WireStats
  readonly users: Users
  readonly attempts: FailedAttempts
  /** Names this run of the server in HELLO. */
  readonly serverId: string
  readonly log: Logger
  /** What a connection's frames are for; called once its handshake is done. */
  readonly accept: (connect: (events: ConnectionEvents) => Connection, guest: Guest) => void
}

export class Greeting {
  readonly #socket: Socket
  readonly #options: GreetingOptions
  readonly #peer: string
  readonly #address: string
  readonly #timer: NodeJS.Timeout
  #connection: Connection | undefined
  #received: Buffer = Buffer.alloc(0)
  #bytes = 0
  #frames = 0
  #hello: Uint8Array = EMPTY_MAP
  #scram: ScramServer | undefined
  #answered = false

  constructor(socket: Socket, options: GreetingOptions) {
    this.#socket = socket
    this.#options = options
    this.#address = socket.remoteAddress ?? 'unix'
    this.#peer = socket.remotePort === undefined ? this.#address : `${this.#address}:${socket.remotePort}`
    const { handshakeTimeout } = options.limits
    this.#timer = setTimeout(
      () => this.#refuse(new ProtocolError(`the handshake was not done within ${handshakeTimeout / 1000} s`)),
      handshakeTimeout,
    )
    socket.on('data', this.#onData)
    socket.on('error', this.#onError)
    socket.once('close', () => clearTimeout(this.#timer))
    socket.resume()
  }

  #onData = (chunk: Buffer): void => {
    const received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    this.#received = received
    if (received.length < PREAMBLE_BYTES) return
    this.#socket.off('data', this.#onData)
    try {
      const version = readPreamble(received)
      this.#greet(version, received.subarray(PREAMBLE_BYTES))
    } catch (error) {
      this.#refuse(error as OffstageError)
    }
  }

  #onError = (): void => clearTimeout(this.#timer) // 'close' follows, and there is nobody to tell

  #greet(version: number, rest: Buffer): void {
    const { limits, serverId, users } = this.#options
    const { maxBody, maxCalls, maxCallBytes } = limits
    const identity = this.#socket instanceof TLSSocket ? nameInCertificate(this.#socket) : undefined
    const auth = identity !== undefined || users.size === 0 ? [] : this.#mechanisms()
    if (auth.length > 0) this.#mayTry()
    this.#hello = writeHello({
      version,
      server: serverId,
      nonce: randomBytes(32),
      auth,
      limits: { maxBody, maxCalls, maxCallBytes },
      capabilities: [],
    })
    const connection = this.#connect(auth.length === 0 ? maxBody : HANDSHAKE_MAX_BODY)
    connection.out.frame(FrameType.HELLO, 0, 0, this.#hello)
    if (auth.length === 0) this.#welcome(connection, EMPTY_MAP, identity ?? ANONYMOUS)
    else connection.meter = (_frames, bytes) => this.#measure(bytes)
    // Before anything else is read from the socket, and after the session has the connection.
    if (rest.length > 0) process.nextTick(() => connection.receive(rest))
  }

  #mayTry(): void {
    if (!this.#options.attempts.tooMany(this.#address)) return
    throw new AuthenticationFailed('too many attempts from this address have failed: wait a minute', {
      retryable: true,
    })
  }

  #mechanisms(): string[] {
    return this.#socket instanceof TLSSocket ? [SCRAM_TLS, SCRAM] : [SCRAM]
  }

  #connect(maxBody: number): Connection {
    const { limits, stats, log } = this.#options
    this.#socket.off('error', this.#onError)
    this.#connection = new Connection(
      this.#socket,
      maxBody,
      {
        frame: (type, _flags, _corr, bytes, start, end) => this.#frame(type, bytes, start, end),
        close: (error) => {
          clearTimeout(this.#timer)
          if (this.#answered || !(error instanceof OffstageError)) return
          stats.refuse(error.code)
          log.warn({ peer: this.#peer, code: error.code }, `a connection was refused: ${error.message}`)
        },
      },
      { limits, stats },
    )
    return this.#connection
  }

  /** What it has sent before anyone knows who it is. */
  #measure(bytes: number): number {
    this.#bytes += bytes
    if (this.#bytes > HANDSHAKE_MAX_BODY) {
      this.#connection!.refuse(new ProtocolError(`more than ${HANDSHAKE_MAX_BODY} bytes came before authentication`))
    }
    return 0
  }

  #frame(type: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FrameType.AUTH || ++this.#frames > HANDSHAKE_MAX_FRAMES) {
      throw new AuthenticationFailed('this server asks for a user and a password before anything else')
    }
    // Also those that were let in before the others had failed.
    this.#mayTry()
    const message = readAuth(bytes, start, end)
    try {
      if (this.#scram === undefined) this.#begin(message.mechanism ?? '', message.data)
      else this.#finish(this.#scram, message.data)
    } catch (error) {
      this.#options.attempts.add(this.#address)
      throw error
    }
  }

  #begin(mechanism: string, data: string): void {
    if (!this.#mechanisms().includes(mechanism)) {
      throw new AuthenticationFailed(`this server authenticates by ${this.#mechanisms().join(' or ')}`)
    }
    const exported = mechanism === SCRAM_TLS ? keysOf(this.#socket as TLSSocket) : undefined
    const preamble = this.#received.subarray(0, PREAMBLE_BYTES)
    this.#scram = new ScramServer(new Binding(preamble, this.#hello, exported), this.#options.users.find)
    this.#connection!.out.frame(FrameType.AUTH, 0, 0, encodeValue({ data: this.#scram.first(data) }))
  }

  #finish(scram: ScramServer, data: string): void {
    const { user, last } = scram.final(data)
    const connection = this.#connection!
    connection.maxBody = this.#options.limits.maxBody
    this.#welcome(connection, encodeValue({ data: last }), user)
  }

  #welcome(connection: Connection, ready: Uint8Array, identity: string): void {
    clearTimeout(this.#timer)
    this.#answered = true
    connection.meter = undefined
    connection.out.frame(FrameType.READY, 0, 0, ready)
    this.#options.accept(
      (events) => {
        connection.handOver(events)
        return connection
      },
      { peer: this.#peer, identity },
    )
  }

  /** Says why before it hangs up, for a client that can read it. */
  #refuse(error: OffstageError): void {
    clearTimeout(this.#timer)
    this.#socket.off('data', this.#onData)
    const connection = this.#connection ?? this.#connect(HANDSHAKE_MAX_BODY)
    connection.out.frame(FrameType.ERROR, 0, 0, encodeFailure(error))
    connection.fail(error)
  }
}

/** The common name of a client's certificate, which was checked when its connection was made. */
function nameInCertificate(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined
  const name: unknown = socket.getPeerCertificate().subject?.CN
  if (typeof name === 'string' && name !== '') return name
  throw new AuthenticationFailed('the certificate of the client has no common name (CN), which says who it is')
}
