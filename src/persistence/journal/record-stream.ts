/**
 * The main thread's end of the journal: encodes records straight into shared chunks and counts their sequence
 * numbers and their bytes. Nothing is visible to the journal thread before `publish`. A record can be looked up
 * by its position, the number of bytes before it, until the thread is through with it; then by where it was stored.
 */
import type { Settlement } from '../queue/job-queue.js'
import type { NewJob } from '../store.js'
import { Chunk } from './chunk.js'
import { BATCH_TARGET_BYTES } from './format.js'
import { filePlace } from './place.js'
import {
  type CopiedJob,
  type FullJob,
  type KeptJob,
  writeAttempt,
  writeBare,
  writeCopy,
  writeEnqueue,
  writeFull,
  writeResult,
  writeSettlement,
} from './record-write.js'

const CHUNK_BYTES = BATCH_TARGET_BYTES
const KEPT_CHUNKS = 8

interface Placed {
  readonly chunk: Chunk
  readonly buffer: Buffer
  /** Position of its first byte. */
  readonly base: number
  lastSeq: number
  /** How much of it is used. */
  bytes: number
}

/** Where a batch of the stream was stored. */
export interface StoredBatch {
  readonly segment: number
  /** Of its first record. */
  readonly offset: number
  /** The parts of the batch that were stored, one behind the other: start (from the batch's start) and length. */
  readonly parts: readonly (readonly [number, number])[]
  /** How much of the stream the batch was, stored or not. */
  readonly bytes: number
}

export class RecordStream {
  readonly #send: (chunk: Chunk) => void
  #nextSeq: number
  #current: Placed
  /** Chunks that the journal thread is not through with, oldest first; the current one is not among them. */
  #filled: Placed[] = []
  #free: Chunk[] = []
  /** What the thread reported last: its position in the stream, and where it went. */
  #passed = 0
  #stored: StoredBatch = { segment: 0, offset: 0, parts: [], bytes: 0 }

  /** `send` gives the journal thread the chunk that comes after those it has. */
  constructor(nextSeq: number, send: (chunk: Chunk) => void) {
    this.#nextSeq = nextSeq
    this.#send = send
    this.#current = placed(Chunk.of(CHUNK_BYTES), 0)
    send(this.#current.chunk)
  }

  /** The number of the next record; a new job takes it as its id. */
  get nextSeq(): number {
    return this.#nextSeq
  }

  /** The position of the next record. */
  get position(): number {
    return this.#current.base + this.#current.bytes
  }

  /** Changes when `reserve` begins a new piece. Records that are written in one turn and in one piece share a batch. */
  get piece(): number {
    return this.#current.base
  }

  /** Makes room for the records of one call in one piece, so that they share a batch. */
  reserve(bytes: number): void {
    const full = this.#current
    if (full.bytes + bytes <= full.chunk.bytes.length) return
    const next = (bytes <= CHUNK_BYTES ? this.#free.pop() : undefined) ?? Chunk.of(Math.max(CHUNK_BYTES, bytes))
    full.chunk.publish(full.bytes)
    this.#send(next)
    full.chunk.seal()
    full.lastSeq = this.#nextSeq - 1
    this.#filled.push(full)
    this.#current = placed(next, full.base + full.bytes)
  }

  enqueue(job: NewJob, id: number, now: number): void {
    const { chunk, bytes } = this.#current
    this.#end(writeEnqueue(chunk.bytes, chunk.view, bytes, job, id, now))
  }

  attempt(type: number, id: number, attempt: number): void {
    this.#end(writeAttempt(this.#current.chunk.bytes, this.#current.bytes, type, id, attempt))
  }

  bare(type: number, id: number): void {
    this.#end(writeBare(this.#current.chunk.bytes, this.#current.bytes, type, id))
  }

  settlement(id: number, attempt: number, settlement: Settlement): void {
    const { chunk, bytes } = this.#current
    this.#end(writeSettlement(chunk.bytes, chunk.view, bytes, id, attempt, settlement))
  }

  full(job: FullJob, id: number): void {
    const { chunk, bytes } = this.#current
    this.#end(writeFull(chunk.bytes, chunk.view, bytes, job, id))
  }

  copy(job: CopiedJob): void {
    const { chunk, bytes } = this.#current
    this.#end(writeCopy(chunk.bytes, chunk.view, bytes, job))
  }

  result(job: KeptJob): void {
    const { chunk, bytes } = this.#current
    this.#end(writeResult(chunk.bytes, chunk.view, bytes, job))
  }

  publish(): void {
    this.#current.chunk.publish(this.#current.bytes)
  }

  /** The record at this position, which the thread is not through with. */
  find(position: number): { bytes: Buffer; at: number; fromDisk: false } {
    let where = this.#current
    for (let i = this.#filled.length - 1; position < where.base; i--) where = this.#filled[i]!
    return { bytes: where.buffer, at: position - where.base, fromDisk: false }
  }

  /** The next batch was stored: `placeOf` is about it from now on. `visit` sees what was stored where. */
  stored(batch: StoredBatch, visit: (segment: number, offset: number, bytes: Uint8Array) => void): void {
    this.#stored = batch
    let { offset } = batch
    for (const [start, length] of batch.parts) {
      for (let done = 0; done < length; ) {
        const { chunk, base, bytes } = this.#holding(this.#passed + start + done)
        const at = this.#passed + start + done - base
        const part = Math.min(length - done, bytes - at)
        visit(batch.segment, offset, chunk.bytes.subarray(at, at + part))
        offset += part
        done += part
      }
    }
  }

  /** Where the record at this position of the batch that was stored last is now. */
  placeOf(position: number): number {
    const from = position - this.#passed
    let { offset } = this.#stored
    for (const [start, length] of this.#stored.parts) {
      if (from < start + length) return filePlace(this.#stored.segment, offset + from - start)
      offset += length
    }
    throw new Error(`position ${position} of the stream was not stored by the last batch`)
  }

  /** The journal thread is through with the next `bytes` bytes, which are all records up to `seq`. */
  passed(bytes: number, seq: number): void {
    this.#passed += bytes
    // Only once a later chunk was reached: until then the thread may still look at the words of this one.
    while (this.#filled.length > 0 && this.#filled[0]!.lastSeq < seq) {
      const { chunk } = this.#filled.shift()!
      if (chunk.bytes.length !== CHUNK_BYTES || this.#free.length >= KEPT_CHUNKS) continue
      chunk.reset()
      this.#free.push(chunk)
    }
  }

  #holding(position: number): Placed {
    for (const where of this.#filled) if (position < where.base + where.bytes) return where
    return this.#current
  }

  #end(at: number): void {
    this.#current.bytes = at
    this.#nextSeq++
  }
}

function placed(chunk: Chunk, base: number): Placed {
  const { buffer, byteOffset, length } = chunk.bytes
  return { chunk, buffer: Buffer.from(buffer, byteOffset, length), base, lastSeq: 0, bytes: 0 }
}
