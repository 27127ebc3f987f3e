/** The client's side of the handshake: HELLO, the proof of who it is, READY. */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { AuthenticationFailed, ProtocolError } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import type { Connection } from '../wire/connection.js'
import { FrameType } from '../wire/frame.js'
import { type HelloLimits, readAuth, readHello, writePreamble } from '../wire/handshake.js'
import { Binding, type Credentials, keysOf, SCRAM, SCRAM_TLS, ScramClient } from '../wire/scram.js'

export class Greeting {
  readonly #socket: Socket
  readonly #connection: Connection
  readonly #credentials: Credentials | undefined
  readonly #onFailure: (error: Error) => void
  #limits: HelloLimits | undefined
  #scram: ScramClient | undefined
  #asked = false

  /** `onFailure` hears of an error that comes between two frames. */
  constructor(
    socket: Socket,
    connection: Connection,
    credentials: Credentials | undefined,
    onFailure: (error: Error) => void,
  ) {
    this.#socket = socket
    this.#connection = connection
    this.#credentials = credentials
    this.#onFailure = onFailure
  }

  /** Takes a frame of the handshake; READY, the last one, gives the limits of the connection. */
  frame(type: number, bytes: Buffer, start: number, end: number): HelloLimits | undefined {
    if (type === FrameType.HELLO) this.#hello(bytes, start, end)
    else if (type === FrameType.AUTH) this.#challenge(readAuth(bytes, start, end).data)
    else return this.#ready(bytes, start, end)
    return undefined
  }

  #hello(bytes: Buffer, start: number, end: number): void {
    if (this.#limits !== undefined) throw new ProtocolError('the server sent HELLO twice')
    const { limits, auth } = readHello(bytes, start, end)
    this.#limits = limits
    const credentials = this.#credentials
    if (auth.length === 0) {
      if (credentials === undefined) return
      throw new AuthenticationFailed(
        'the server does not ask who this is, and so does not prove who it is: give it users, or leave out user and password',
      )
    }
    if (credentials === undefined) throw new AuthenticationFailed('the server asks for a user and a password')
    const exported = this.#socket instanceof TLSSocket ? keysOf(this.#socket) : undefined
    // Under TLS never without its binding: a server that leaves that out is not the one at the other end of TLS.
    const mechanism = exported === undefined ? SCRAM : SCRAM_TLS
    if (!auth.includes(mechanism)) {
      throw new AuthenticationFailed(
        `the server authenticates by ${auth.join(' or ')}, and this client by ${mechanism}`,
      )
    }
    this.#scram = new ScramClient(credentials, new Binding(writePreamble(), bytes.subarray(start, end), exported))
    this.#send({ mechanism, data: this.#scram.first() })
  }

  #challenge(data: string): void {
    if (this.#scram === undefined || this.#asked) throw new ProtocolError('the server sent an AUTH that is not due')
    this.#asked = true
    this.#scram.final(data).then((final) => this.#send({ data: final }), this.#onFailure)
  }

  #ready(bytes: Buffer, start: number, end: number): HelloLimits {
    if (this.#limits === undefined) throw new ProtocolError('the server sent READY before HELLO')
    const { data } = (decodeValue(bytes, start, end) ?? {}) as { data?: unknown }
    this.#scram?.verify(data)
    return this.#limits
  }

  #send(message: object): void {
    this.#connection.out.frame(FrameType.AUTH, 0, 0, encodeValue(message))
  }
}
