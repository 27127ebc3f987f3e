/** A server that speaks the wire and does what a test tells it to: no workers, no queue. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { OffstageError } from '#offstage/errors.js'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { Connection, EMPTY_MAP } from '#offstage/wire/connection.js'
import { type Envelope, readEnvelope, Verb } from '#offstage/wire/envelope.js'
import { encodeFailure } from '#offstage/wire/failure.js'
import { FrameType, readU32 } from '#offstage/wire/frame.js'
import { PREAMBLE_BYTES, readPreamble, writeHello } from '#offstage/wire/handshake.js'

export interface Received extends Envelope {
  corr: number
  /** The argument; undefined when there were no bytes of one. */
  arg: unknown
  /** Which connection, counted from 0. */
  session: number
  result(value: unknown): void
  accept(): void
  fail(error: OffstageError): void
}

export type Script = (call: Received) => void

export const echo: Script = (call) => {
  switch (call.verb) {
    case Verb.ASYNC:
      return call.accept()
    case Verb.ENQUEUE:
      return call.result({ id: call.corr, created: true })
    case Verb.ENQUEUE_MANY:
    case Verb.ENQUEUE_EACH:
      return call.result((call.arg as unknown[]).map((_, i) => [i + 1, true]))
    case Verb.DEQUEUE:
    case Verb.RESET_RESULT:
    case Verb.DELETE:
      return call.result(true)
    case Verb.NEW_WORKER:
      return call.result(call.workerKey)
    case Verb.WORKER_INFO:
      return call.result({ worker: call.worker, workerKey: call.workerKey, status: 'running' })
    case Verb.ALL_WORKER_INFO:
      return call.result([{ worker: 'w', workerKey: '', status: 'running' }])
    default:
      return call.result(call.arg)
  }
}

export interface ServerOptions {
  port?: number
  maxBody?: number
  maxCalls?: number
  /** False: HELLO and READY are not sent. */
  greet?: boolean
}

export class ScriptedServer {
  readonly received: Received[] = []
  readonly cancels: number[] = []
  /** Connections so far, in order; `undefined` once they have ended. */
  readonly connections: (Connection | undefined)[] = []
  script: Script
  pings = 0
  readonly #options: ServerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #watchers: (() => void)[] = []

  private constructor(script: Script, options: ServerOptions) {
    this.script = script
    this.#options = options
    this.#server = createServer((socket) => this.#greet(socket))
  }

  static async start(script: Script = echo, options: ServerOptions = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(script, options)
    await server.listen(options.port ?? 0)
    return server
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get open(): number {
    return this.#sockets.size
  }

  /** Resolves when the condition holds; it is looked at whenever something happened here. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (condition()) resolve()
        else this.#watchers.push(look)
      }
      look()
    })
  }

  /** Resolves when so many calls have come. */
  async calls(count: number): Promise<Received[]> {
    await this.until(() => this.received.length >= count)
    return this.received
  }

  goAway(last: number, session = this.connections.length - 1): void {
    this.connections[session]!.out.frame(FrameType.GOAWAY, 0, 0, encodeValue({ last, message: 'test' }))
  }

  /** Cuts all connections, as a crash would. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async stopListening(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined
    this.#server.close()
    this.cut()
    await closed
  }

  #happened(): void {
    for (const look of this.#watchers.splice(0)) look()
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {}) // resets are part of the tests
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#happened()
    })
    socket.once('data', (chunk: Buffer) => {
      const version = readPreamble(chunk)
      const session = this.connections.length
      const maxBody = this.#options.maxBody ?? 1 << 20
      const connection = new Connection(socket, 16 << 20, {
        frame: (type, _flags, corr, bytes, start, end) => this.#frame(session, type, corr, bytes, start, end),
        close: () => {
          this.connections[session] = undefined
          this.#happened()
        },
      })
      this.connections.push(connection)
      if (this.#options.greet !== false) {
        connection.out.frame(
          FrameType.HELLO,
          0,
          0,
          writeHello({
            version,
            server: 'scripted',
            nonce: randomBytes(32),
            auth: [],
            limits: { maxBody, maxCalls: this.#options.maxCalls ?? 100_000, maxCallBytes: 64 << 20 },
            capabilities: [],
          }),
        )
        connection.out.frame(FrameType.READY, 0, 0, EMPTY_MAP)
      }
      if (chunk.length > PREAMBLE_BYTES) connection.receive(chunk.subarray(PREAMBLE_BYTES))
      this.#happened()
    })
  }

  #frame(session: number, type: number, corr: number, bytes: Buffer, start: number, end: number): void {
    if (type === FrameType.CANCEL) this.cancels.push(corr)
    else {
      const envelope = readEnvelope(bytes, start, end)
      const connection = this.connections[session]!
      const call: Received = {
        ...envelope,
        corr,
        session,
        arg: [Verb.ENQUEUE_MANY, Verb.ENQUEUE_EACH].some((verb) => verb === envelope.verb)
          ? jobs(bytes, envelope.payloadAt, end)
          : argument(bytes, envelope, end),
        result: (value) => connection.out.frame(FrameType.RESULT, 0, corr, encodeValue(value)),
        accept: () => connection.out.frame(FrameType.ACCEPTED, 0, corr, EMPTY_MAP),
        fail: (error) => connection.out.frame(FrameType.ERROR, 0, corr, encodeFailure(error)),
      }
      this.received.push(call)
      this.script(call)
    }
    this.#happened()
  }
}

function argument(bytes: Buffer, { payloadAt }: Envelope, end: number): unknown {
  return payloadAt === end ? undefined : decodeValue(bytes, payloadAt, end)
}

function jobs(bytes: Buffer, start: number, end: number): unknown[] {
  const list: unknown[] = []
  for (let at = start; at < end; ) {
    const next = at + 4 + readU32(bytes, at)
    const envelope = readEnvelope(bytes, at + 4, next)
    list.push({ ...envelope, arg: argument(bytes, envelope, next) })
    at = next
  }
  return list
}
