/**
 * One TCP connection after its preamble, on either side: frames in, frames out.
 *
 * Frames that are written during one event-loop turn leave in one write. While more than
 * `PAUSE_READING_ABOVE` bytes wait for a slow reader, nothing more is read from it.
 */
import type { Socket } from 'node:net'
import { ProtocolError } from '../errors.js'
import { type FrameHandler, FrameReader, FrameType } from './frame.js'
import { PAUSE_READING_ABOVE } from './limits.js'
import { Outbox } from './outbox.js'

/** CANCEL and READY carry an empty map: every frame but PING, PONG and CREDIT has a body. */
export const EMPTY_MAP = Uint8Array.of(0xa0)
const NOTHING = new Uint8Array(0)

export interface ConnectionEvents {
  frame: FrameHandler
  /** Once, whatever ended it; `error` when it did not end as it should. */
  close(error: Error | undefined): void
}

export class Connection {
  readonly out: Outbox
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #events: ConnectionEvents
  #error: Error | undefined
  #closed = false
  #flushing = false
  /** When bytes last arrived, in milliseconds of the monotonic clock. */
  heardAt = performance.now()

  constructor(socket: Socket, maxBody: number, events: ConnectionEvents) {
    this.#socket = socket
    this.#events = events
    this.out = new Outbox(() => this.#schedule())
    this.#reader = new FrameReader({ maxBody }, (type, flags, corr, bytes, start, end) => {
      if (type === FrameType.PING) this.out.frame(FrameType.PONG, 0, 0, NOTHING)
      else if (type !== FrameType.PONG) this.#events.frame(type, flags, corr, bytes, start, end)
    })
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
    socket.on('drain', () => socket.resume())
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => this.#end())
    if (socket.destroyed) this.#end()
  }

  /** Longest body that this side takes. */
  set maxBody(bytes: number) {
    this.#reader.maxBody = bytes
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Feeds bytes that were read before this object took over the socket. */
  receive(chunk: Buffer): void {
    if (this.#closed) return
    this.heardAt = performance.now()
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.fail(error instanceof Error ? error : new ProtocolError(String(error)))
    }
  }

  ping(): void {
    this.out.frame(FrameType.PING, 0, 0, NOTHING)
  }

  /** Sends what is waiting, then ends the connection. */
  end(): void {
    this.#flush()
    this.#socket.end()
  }

  /** Ends the connection at once, because of `error`. */
  fail(error: Error): void {
    this.#error ??= error
    this.#flush()
    this.#socket.destroySoon()
    this.#end()
  }

  /** Cuts the connection without sending what is waiting. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Whether an open connection keeps the process running. */
  hold(yes: boolean): void {
    if (yes) this.#socket.ref()
    else this.#socket.unref()
  }

  #schedule(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushing = false
    if (this.#closed || this.out.bytes === 0) return
    const socket = this.#socket
    const pieces = this.out.take()
    if (pieces.length === 1) socket.write(pieces[0]!)
    else {
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      socket.uncork()
    }
    if (socket.writableLength > PAUSE_READING_ABOVE) socket.pause()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.close(this.#error)
  }
}
