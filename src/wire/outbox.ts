/**
 * Frames that wait for the end of the event-loop turn, written one after the other into shared chunks so
 * that a turn's frames leave in one write. A frame is written once, where it will be sent from.
 */
import { copyBytes, HEADER_BYTES, writeHeader } from './frame.js'

const CHUNK_BYTES = 64 * 1024

export class Outbox {
  /** The chunk to write into; valid between `reserve` and `commit`. */
  chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #start = 0
  #end = 0
  #full: Buffer[] = []
  #bytes = 0
  #mark = 1
  readonly #reached: (bytes: number) => number

  /**
   * `reached` is called when the first frame since the last `take` is written, and says at how many bytes it wants to
   * be called again (Infinity: not before the next first frame).
   */
  constructor(reached: (bytes: number) => number = () => Number.POSITIVE_INFINITY) {
    this.#reached = reached
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Makes room for `bytes` more in one piece and returns where they start in `chunk`. */
  reserve(bytes: number): number {
    if (this.#end + bytes > this.chunk.length) {
      if (this.#end > this.#start) this.#full.push(this.chunk.subarray(this.#start, this.#end))
      this.chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
      this.#start = 0
      this.#end = 0
    }
    return this.#end
  }

  /** Says that the bytes from the last `reserve` up to `end` are a whole frame. */
  commit(end: number): void {
    this.#bytes += end - this.#end
    this.#end = end
    if (this.#bytes >= this.#mark) this.#mark = this.#reached(this.#bytes)
  }

  /** A frame whose body is one run of bytes. */
  frame(type: number, flags: number, corr: number, body: Uint8Array, start = 0, end = body.length): void {
    const len = end - start
    const at = this.reserve(HEADER_BYTES + len)
    writeHeader(this.chunk, at, type, flags, corr, len)
    copyBytes(body, start, end, this.chunk, at + HEADER_BYTES)
    this.commit(at + HEADER_BYTES + len)
  }

  /** Everything written since the last `take`, in order. The pieces are never written to again. */
  take(): Buffer[] {
    const pieces = this.#full
    if (this.#end > this.#start) pieces.push(this.chunk.subarray(this.#start, this.#end))
    this.#full = []
    this.#start = this.#end
    this.#bytes = 0
    this.#mark = 1
    return pieces
  }

  /** Everything written since the last `take`, as one array that owns its memory (so it can be transferred). */
  takeOwned(): Uint8Array {
    const owned = new Uint8Array(this.#bytes)
    let at = 0
    for (const piece of this.#full) {
      owned.set(piece, at)
      at += piece.length
    }
    copyBytes(this.chunk, this.#start, this.#end, owned, at)
    this.#full = []
    this.#start = 0
    this.#end = 0
    this.#bytes = 0
    this.#mark = 1
    return owned
  }
}
