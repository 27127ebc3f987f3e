/** The journal thread's end of the chunks: takes what is published, in whole calls, as the next batch. */
import type { Chunk } from './chunk.js'
import { BATCH_TARGET_BYTES, getU32 } from './format.js'
import { RecordType } from './record-types.js'

export interface FedBatch {
  readonly parts: readonly Uint8Array[]
  readonly bytes: number
  readonly count: number
}

export class RecordFeed {
  readonly #next: () => Chunk | undefined
  #chunk: Chunk | undefined
  #at = 0

  /** `next` gives the chunk that comes after those it gave before. */
  constructor(next: () => Chunk | undefined) {
    this.#next = next
  }

  take(): FedBatch | undefined {
    const parts: Uint8Array[] = []
    let bytes = 0
    let count = 0
    while (bytes < BATCH_TARGET_BYTES) {
      const chunk = this.#current()
      if (chunk === undefined) break
      const end = chunk.published
      if (end === this.#at) break
      const part = chunk.bytes.subarray(this.#at, end)
      parts.push(part)
      bytes += part.length
      count += countRecords(part)
      this.#at = end
    }
    return bytes === 0 ? undefined : { parts, bytes, count }
  }

  /** The chunk to take from: the next one when the last is used up. */
  #current(): Chunk | undefined {
    // `sealed` first: what was published before the seal is then seen, too.
    while (this.#chunk === undefined || (this.#chunk.sealed && this.#chunk.published === this.#at)) {
      this.#chunk = this.#next()
      this.#at = 0
      if (this.#chunk === undefined) return undefined
    }
    return this.#chunk
  }
}

/** Start and length of a piece of a batch, in bytes. */
export type Part = readonly [start: number, length: number]

/** The records of a batch that neither bring a new job nor move an old one, and where they stood in it. */
export function endings(batch: readonly Uint8Array[]) {
  const parts: Uint8Array[] = []
  const ranges: Part[] = []
  let bytes = 0
  let count = 0
  let start = 0
  for (const part of batch) {
    for (let at = 0, length: number; at < part.length; at += length) {
      length = getU32(part, at)
      const type = part[at + 8]
      if (type === RecordType.ENQ || type === RecordType.FULL) continue
      parts.push(part.subarray(at, at + length))
      ranges.push([start + at, length])
      bytes += length
      count++
    }
    start += part.length
  }
  return { parts, ranges, bytes, count }
}

function countRecords(part: Uint8Array): number {
  let count = 0
  for (let at = 0; at < part.length; at += getU32(part, at)) count++
  return count
}
