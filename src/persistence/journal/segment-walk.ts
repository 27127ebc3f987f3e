/** Walks the records of one segment file from front to back, a piece at a time. */
import { BATCH_HEADER_BYTES, BATCH_MAGIC, getU32, padded, SEGMENT_HEADER_BYTES } from './format.js'
import { recordLength } from './record-read.js'
import { RECORD_HEADER_BYTES } from './record-types.js'
import type { SegmentReader } from './segment-reader.js'

const WINDOW_BYTES = 256 * 1024

/** A record at `offset` of the segment, which stands at `at` in `bytes` until the next step. */
export interface WalkedRecord {
  readonly bytes: Buffer
  readonly at: number
  readonly offset: number
  readonly length: number
}

export class SegmentWalk {
  readonly segment: number
  readonly #reader: SegmentReader
  #window: Buffer
  #windowStart = 0
  #windowBytes = 0
  /** The next record, or the end of the batch's body. */
  #offset = SEGMENT_HEADER_BYTES
  #bodyEnd = SEGMENT_HEADER_BYTES

  /** `window`: memory to read into, which a walk may take over from another one. */
  constructor(reader: SegmentReader, segment: number, window?: Buffer) {
    this.#reader = reader
    this.segment = segment
    this.#window = window ?? Buffer.allocUnsafeSlow(WINDOW_BYTES)
  }

  /** How far it has come. */
  get offset(): number {
    return this.#offset
  }

  get window(): Buffer {
    return this.#window
  }

  /** Undefined at the end, or where what follows makes no sense: then nothing behind it can be told apart. */
  next(): WalkedRecord | undefined {
    while (this.#offset + RECORD_HEADER_BYTES > this.#bodyEnd) {
      const start = padded(this.#bodyEnd)
      const head = this.#at(start, BATCH_HEADER_BYTES)
      if (head < 0 || getU32(this.#window, head) !== BATCH_MAGIC) return undefined
      this.#offset = start + BATCH_HEADER_BYTES
      this.#bodyEnd = this.#offset + getU32(this.#window, head + 4)
    }
    const head = this.#at(this.#offset, RECORD_HEADER_BYTES)
    if (head < 0) return undefined
    const length = recordLength(this.#window, head)
    if (length < RECORD_HEADER_BYTES || this.#offset + length > this.#bodyEnd) return undefined
    const offset = this.#offset
    this.#offset += length
    return { bytes: this.#window, at: this.#at(offset, length), offset, length }
  }

  /** Where the bytes of the file are in the window; negative when the file has fewer. */
  #at(offset: number, length: number): number {
    const at = offset - this.#windowStart
    if (at >= 0 && at + length <= this.#windowBytes) return at
    if (length > this.#window.length) this.#window = Buffer.allocUnsafeSlow(length)
    this.#windowStart = offset
    this.#windowBytes = this.#reader.read(this.segment, offset, this.#window)
    return length <= this.#windowBytes ? 0 : -1
  }
}
