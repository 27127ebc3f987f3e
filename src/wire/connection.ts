/**
 * One TCP connection after its preamble, on either side: frames in, frames out.
 *
 * Frames that are written during one event-loop turn leave together at its end; of many, the first leave earlier, so
 * that the other side works on them while this one writes the rest. While much waits for a slow reader, or it has sent
 * more than its rate allows, nothing more is read from it; TCP then holds it back.
 */
import type { Socket } from 'node:net'
import { AuthenticationFailed, ConnectionError, OffstageError, Overloaded, ProtocolError } from '../errors.js'
import { encodeFailure } from './failure.js'
import { type FrameHandler, FrameReader, FrameType } from './frame.js'
import { LINGER, PAUSE_SHARE, PEER_LIMITS, type PeerLimits } from './limits.js'
import { Outbox } from './outbox.js'
import { WireStats } from './stats.js'

/** CANCEL, READY and ACCEPTED carry an empty map: every frame but PING, PONG and CREDIT has a body. */
export const EMPTY_MAP = Uint8Array.of(0xa0)
const NOTHING = new Uint8Array(0)

/** So many bytes of one turn leave before its end, then twice as many, and so on up to the second figure. */
const EARLY_FROM = 2 * 1024
const EARLY_UP_TO = 64 * 1024

export interface ConnectionEvents {
  /** Everything but PING and PONG, which are answered here. */
  frame: FrameHandler
  /** Once, whatever ended it; `error` when it did not end as it should. */
  close(error: Error | undefined): void
}

/** Counts what a peer has sent; answers with the milliseconds for which nothing more is to be read from it. */
export type Meter = (frames: number, bytes: number) => number

export interface ConnectionOptions {
  readonly limits?: PeerLimits
  readonly stats?: WireStats
  /**
   * This is the client's side. It reads on whatever waits to be sent: if both sides stopped reading until the
   * other had read, neither ever would. And it does not explain itself before it ends the connection.
   */
  readonly client?: boolean
}

export class Connection {
  readonly out: Outbox
  readonly #socket: Socket
  readonly #reader: FrameReader
  #events: ConnectionEvents
  #error: Error | undefined
  #closed = false
  #flushing = false
  /** What leaves before the end of the turn, next time. */
  #early = EARLY_FROM
  readonly #client: boolean
  readonly #limits: PeerLimits
  readonly #stats: WireStats
  /** Nothing is read: since when because the peer does not read, and because it is over its rate. */
  #unreadSince = 0
  #overRate: NodeJS.Timeout | undefined
  /** When the frame that is not whole yet began, and the look at it that is due. */
  #frameSince = 0
  #frameTimer: NodeJS.Timeout | undefined
  /** PINGs since bytes last arrived, and when the latest was sent. */
  #asked = 0
  #askedAt = 0
  /** Batches handed to the socket so far: what was put into `out` at an earlier count may have left. */
  flushes = 0
  /** When bytes last arrived, in milliseconds of the monotonic clock. */
  heardAt = performance.now()
  /** Known once the peer is. */
  meter: Meter | undefined

  constructor(socket: Socket, maxBody: number, events: ConnectionEvents, options: ConnectionOptions = {}) {
    this.#socket = socket
    this.#client = options.client ?? false
    this.#limits = options.limits ?? PEER_LIMITS
    this.#stats = options.stats ?? new WireStats()
    this.#events = events
    this.out = new Outbox(() => this.#filled())
    this.#reader = new FrameReader({ maxBody }, (type, flags, corr, bytes, start, end) => {
      // The frame before this one, in the same chunk, may have ended the connection.
      if (this.#closed) return
      if (type === FrameType.PING) this.out.frame(FrameType.PONG, 0, 0, NOTHING)
      else if (type !== FrameType.PONG) this.#events.frame(type, flags, corr, bytes, start, end)
    })
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
    socket.on('drain', () => {
      this.#unreadSince = 0
      this.#resume()
    })
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('end', () => {
      if (this.#reader.incomplete > 0) this.#error ??= new ConnectionError('the connection ended inside a frame')
      // Also where the socket was made with allowHalfOpen: nobody sends on after the peer has ended.
      if (!this.#closed) this.end()
    })
    socket.on('close', () => this.#end())
    if (socket.destroyed) this.#end()
  }

  /** Longest body that this side takes; a server's limit holds in both directions. */
  get maxBody(): number {
    return this.#reader.maxBody
  }

  set maxBody(bytes: number) {
    this.#reader.maxBody = bytes
  }

  /** From now on another one hears of it: the handshake is done. */
  handOver(events: ConnectionEvents): void {
    this.#events = events
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Feeds bytes that were read before this object took over the socket. */
  receive(chunk: Buffer): void {
    if (this.#closed) return
    const now = performance.now()
    this.heardAt = now
    const { frames } = this.#reader
    try {
      this.#reader.push(chunk)
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new ProtocolError(String(thrown))
      this.refuse(error)
      return
    }
    this.#count(this.#reader.frames - frames, chunk.length, now)
  }

  /** Ends the connection because of what the peer did, and tells a client why. */
  refuse(error: Error): void {
    if (!this.#client && !this.#closed) this.#explain(error)
    this.fail(error)
  }

  ping(): void {
    this.out.frame(FrameType.PING, 0, 0, NOTHING)
  }

  /**
   * Asks a silent peer for a sign of life, and ends the connection when two PINGs went unanswered or the peer
   * does not read. Has no timer: whoever owns connections calls this on each of them every second or so.
   */
  heartbeat(now: number = performance.now()): void {
    if (this.#closed) return
    if (this.#unreadSince > 0 && now - this.#unreadSince > this.#limits.unreadTimeout) {
      this.#cutOff()
      return
    }
    const { heartbeat } = this.#limits
    if (this.heardAt > this.#askedAt) this.#asked = 0
    if (now - this.heardAt < heartbeat) {
      this.#asked = 0
      return
    }
    // From the last question on, so that a process that was stopped for a minute asks before it judges.
    if (this.#asked > 0 && now - this.#askedAt < heartbeat) return
    if (this.#asked === 2) {
      const silence = Math.round((now - this.heardAt) / 1000)
      this.fail(new ConnectionError(`the peer has been silent for ${silence} s and answered no PING`))
      return
    }
    this.#asked++
    this.#askedAt = now
    this.ping()
  }

  /** Sends what is waiting, then ends the connection. */
  end(): void {
    this.#flush()
    this.#socket.once('finish', () => this.#linger())
    this.#finish()
  }

  /** Sends what is waiting and ends the connection because of `error`; nothing is taken from it any more. */
  fail(error: Error): void {
    this.#error ??= error
    this.#flush()
    this.#linger()
    this.#finish()
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

  /** Tells a client why its connection ends. */
  #explain(error: Error): void {
    const known = error instanceof ProtocolError || error instanceof AuthenticationFailed
    const reason = known ? error : new OffstageError('INTERNAL', 'the server made a mistake', { executed: 'maybe' })
    this.out.frame(FrameType.ERROR, 0, 0, encodeFailure(reason))
  }

  /**
   * Ends our half and goes on reading until the peer has ended its own: closing a socket with bytes unread makes
   * the kernel throw away what the peer has not read yet, and that is often the error that says why.
   */
  #finish(): void {
    const socket = this.#socket
    this.#unreadSince = 0
    clearTimeout(this.#overRate)
    this.#overRate = undefined
    this.#resume()
    socket.end()
  }

  #linger(): void {
    const socket = this.#socket
    if (socket.destroyed) return
    const linger = setTimeout(() => socket.destroy(), LINGER)
    linger.unref()
    socket.once('close', () => clearTimeout(linger))
  }

  /** Of one chunk: the frames that became whole with it, and its bytes. */
  #count(frames: number, bytes: number, now: number): void {
    this.#stats.frames += frames
    this.#stats.bytesIn += bytes
    if (this.#reader.incomplete === 0) this.#frameSince = 0
    else if (frames > 0 || this.#frameSince === 0) {
      this.#frameSince = now
      this.#frameTimer ??= setTimeout(() => this.#checkFrame(), this.#limits.frameTimeout).unref()
    }
    const wait = this.meter?.(frames, bytes) ?? 0
    if (wait <= 0 || this.#closed || this.#overRate !== undefined) return
    this.#stats.pausedRate++
    this.#socket.pause()
    this.#overRate = setTimeout(() => {
      this.#overRate = undefined
      this.#resume()
    }, wait).unref()
  }

  /** One timer for all frames that were not whole at first: it looks how old the one of now is. */
  #checkFrame(): void {
    this.#frameTimer = undefined
    if (this.#closed || this.#frameSince === 0) return
    const { frameTimeout } = this.#limits
    const left = this.#frameSince + frameTimeout - performance.now()
    // What we do not read cannot become whole.
    if (this.#socket.isPaused()) this.#frameSince = performance.now()
    else if (left <= 0) {
      this.refuse(new ProtocolError(`a frame was not whole within ${frameTimeout / 1000} s`))
      return
    }
    this.#frameTimer = setTimeout(() => this.#checkFrame(), left > 0 ? left : frameTimeout).unref()
  }

  #resume(): void {
    if (this.#unreadSince === 0 && this.#overRate === undefined) this.#socket.resume()
  }

  #cutOff(): void {
    this.#error ??= new Overloaded(`the peer does not read: ${this.#socket.writableLength} bytes wait for it`)
    this.#socket.destroy()
  }

  /** Called for the first frame of a turn, and when as much waits as it said. */
  #filled(): number {
    if (this.#flushing) {
      this.#flush()
      this.#early = Math.min(2 * this.#early, EARLY_UP_TO)
    } else {
      this.#flushing = true
      setImmediate(() => {
        this.#flushing = false
        this.#early = EARLY_FROM
        this.#flush()
      })
    }
    return this.#early
  }

  #flush(): void {
    const socket = this.#socket
    const pieces = this.out.take()
    if (this.#closed || pieces.length === 0 || !socket.writable) return
    this.flushes++
    for (const piece of pieces) this.#stats.bytesOut += piece.length
    if (pieces.length === 1) socket.write(pieces[0]!)
    else {
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      socket.uncork()
    }
    if (this.#client) return
    const { maxUnread } = this.#limits
    if (socket.writableLength > maxUnread) this.#cutOff()
    else if (this.#unreadSince === 0 && socket.writableLength > maxUnread * PAUSE_SHARE) {
      this.#unreadSince = performance.now()
      this.#stats.pausedUnread++
      socket.pause()
    }
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#frameTimer)
    clearTimeout(this.#overRate)
    this.#events.close(this.#error)
  }
}
