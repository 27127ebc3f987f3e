/**
 * Batches on a stream of bytes: each has its length (u32, big-endian) before it, so that it arrives as the one
 * piece that it was sent as, in memory that stays its own.
 */
import { readU32, writeU32 } from '../../wire/frame.js'

const LENGTH_BYTES = 4

export function batchHead(batch: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(LENGTH_BYTES)
  writeU32(head, 0, batch.length)
  return head
}

/** Puts batches together again. A chunk belongs to the reader from `push` on. */
export class BatchReader {
  readonly #batch: (batch: Uint8Array) => void
  readonly #head = Buffer.alloc(LENGTH_BYTES)
  #headBytes = 0
  #body: Buffer | undefined
  #bodyBytes = 0

  constructor(batch: (batch: Uint8Array) => void) {
    this.#batch = batch
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      at = this.#body === undefined ? this.#begin(chunk, at) : this.#goOn(this.#body, chunk, at)
    }
  }

  #begin(chunk: Buffer, at: number): number {
    const next = Math.min(chunk.length, at + LENGTH_BYTES - this.#headBytes)
    this.#headBytes += chunk.copy(this.#head, this.#headBytes, at, next)
    if (this.#headBytes < LENGTH_BYTES) return next
    this.#headBytes = 0
    const length = readU32(this.#head, 0)
    const end = next + length
    if (end <= chunk.length) {
      this.#batch(chunk.subarray(next, end))
      return end
    }
    this.#body = Buffer.allocUnsafeSlow(length)
    this.#bodyBytes = 0
    return next
  }

  #goOn(body: Buffer, chunk: Buffer, at: number): number {
    const copied = chunk.copy(body, this.#bodyBytes, at)
    this.#bodyBytes += copied
    if (this.#bodyBytes === body.length) {
      this.#body = undefined
      this.#batch(body)
    }
    return at + copied
  }
}
