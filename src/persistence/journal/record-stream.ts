/**
 * The main thread's end of the journal: encodes records straight into shared chunks and counts their
 * sequence numbers. Nothing is visible to the journal thread before `publish`.
 */
import type { Settlement } from '../job.js'
import type { NewJob } from '../store.js'
import { Chunk } from './chunk.js'
import { BATCH_TARGET_BYTES } from './format.js'
import { writeAttempt, writeBare, writeEnqueue, writeSettlement } from './record-write.js'

const CHUNK_BYTES = BATCH_TARGET_BYTES
const KEPT_CHUNKS = 8

interface Filled {
  readonly chunk: Chunk
  readonly lastSeq: number
}

export class RecordStream {
  readonly #send: (chunk: Chunk) => void
  #chunk: Chunk
  #at = 0
  #nextSeq: number
  #filled: Filled[] = []
  #free: Chunk[] = []

  /** `send` gives the journal thread the chunk that comes after those it has. */
  constructor(nextSeq: number, send: (chunk: Chunk) => void) {
    this.#nextSeq = nextSeq
    this.#send = send
    this.#chunk = Chunk.of(CHUNK_BYTES)
    send(this.#chunk)
  }

  /** The number of the next record; a new job takes it as its id. */
  get nextSeq(): number {
    return this.#nextSeq
  }

  /** Makes room for the records of one call in one piece, so that they share a batch. */
  reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.bytes.length) return
    const full = this.#chunk
    const next = (bytes <= CHUNK_BYTES ? this.#free.pop() : undefined) ?? Chunk.of(Math.max(CHUNK_BYTES, bytes))
    full.publish(this.#at)
    this.#send(next)
    full.seal()
    this.#filled.push({ chunk: full, lastSeq: this.#nextSeq - 1 })
    this.#chunk = next
    this.#at = 0
  }

  enqueue(job: NewJob, id: number, now: number): void {
    this.#end(writeEnqueue(this.#chunk.bytes, this.#chunk.view, this.#at, job, id, now))
  }

  attempt(type: number, id: number, attempt: number): void {
    this.#end(writeAttempt(this.#chunk.bytes, this.#at, type, id, attempt))
  }

  bare(type: number, id: number): void {
    this.#end(writeBare(this.#chunk.bytes, this.#at, type, id))
  }

  settlement(id: number, attempt: number, settlement: Settlement): void {
    this.#end(writeSettlement(this.#chunk.bytes, this.#chunk.view, this.#at, id, attempt, settlement))
  }

  publish(): void {
    this.#chunk.publish(this.#at)
  }

  /** The journal thread is through with all records up to `seq`. */
  passed(seq: number): void {
    // Only once a later chunk was reached: until then the thread may still look at the words of this one.
    while (this.#filled.length > 0 && this.#filled[0]!.lastSeq < seq) {
      const { chunk } = this.#filled.shift()!
      if (chunk.bytes.length !== CHUNK_BYTES || this.#free.length >= KEPT_CHUNKS) continue
      chunk.reset()
      this.#free.push(chunk)
    }
  }

  #end(at: number): void {
    this.#at = at
    this.#nextSeq++
  }
}
