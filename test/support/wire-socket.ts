/** The bare end of a connection: a test sends any bytes, and sees each frame that comes and how it ends. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { OffstageError } from 'offstage/middleman'
import { decodeValue } from '#offstage/wire/codec.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { FrameReader, FrameType, HEADER_BYTES, writeHeader } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'

export interface Seen {
  readonly type: number
  readonly flags: number
  readonly corr: number
  readonly body: Buffer
}

export class WireSocket {
  readonly socket: Socket
  readonly frames: Seen[] = []
  /** Resolves when the connection has ended, however that was. */
  readonly closed: Promise<void>
  onFrame: (frame: Seen) => void = () => undefined
  #over = false
  readonly #watchers = new Set<() => void>()

  /** `skip`: bytes that come before the first frame, as the preamble does at a server's end. */
  constructor(socket: Socket, skip = 0) {
    this.socket = socket
    const reader = new FrameReader({ maxBody: 16 << 20 }, (type, flags, corr, bytes, start, end) => {
      const seen = { type, flags, corr, body: Buffer.from(bytes.subarray(start, end)) }
      this.frames.push(seen)
      this.onFrame(seen)
      this.#look()
    })
    let before = skip
    socket.on('data', (chunk: Buffer) => {
      const from = Math.min(before, chunk.length)
      before -= from
      reader.push(chunk.subarray(from))
    })
    socket.on('error', () => undefined) // a reset is an end like any other here
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#over = true
        this.#look()
        resolve()
      })
    })
  }

  /** Connected, and nothing sent. */
  static async open(to: { port: number } | { path: string }): Promise<WireSocket> {
    const socket = connect('path' in to ? { path: to.path } : { port: to.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    socket.setNoDelay(true)
    return new WireSocket(socket)
  }

  /** The handshake is done. */
  static async ready(to: { port: number } | { path: string }): Promise<WireSocket> {
    const wire = await WireSocket.open(to)
    wire.write(writePreamble())
    await wire.frame((frame) => frame.type === FrameType.READY)
    return wire
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  send(type: number, corr: number, body: Uint8Array, flags = 0): void {
    this.write(frameBytes(type, corr, body, flags))
  }

  /** The first frame, past or to come, that passes the test; rejects when the connection ends without one. */
  async frame(matches: (frame: Seen) => boolean): Promise<Seen> {
    for (;;) {
      const found = this.frames.find(matches)
      if (found !== undefined) return found
      if (this.#over) throw new Error(`the connection ended without that frame, after ${this.frames.length} others`)
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  /** The value of RESULT, or the error of ERROR, to this call; `corr` 0 for what ends the connection. */
  async answer(corr: number): Promise<unknown> {
    const { type, body } = await this.frame((frame) => frame.corr === corr && ANSWERS.has(frame.type))
    if (type === FrameType.ERROR) return decodeFailure(body)
    return decodeValue(body)
  }

  /** Why the server ends the connection. */
  async refusal(): Promise<OffstageError> {
    const error = (await this.answer(0)) as OffstageError
    await this.closed
    return error
  }

  end(): void {
    this.socket.destroy()
  }

  #look(): void {
    for (const wake of this.#watchers) wake()
    this.#watchers.clear()
  }
}

const ANSWERS = new Set<number>([FrameType.RESULT, FrameType.ERROR, FrameType.ACCEPTED])

export function frameBytes(type: number, corr: number, body: Uint8Array, flags = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length)
  writeHeader(bytes, 0, type, flags, corr, body.length)
  bytes.set(body, HEADER_BYTES)
  return bytes
}
