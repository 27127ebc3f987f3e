/**
 * Appends batches to the segments: header and CRCs, one write, one sync, the next segment when one is full.
 *
 * Runs in the journal thread. A batch is never written before the sync of the one before it has returned:
 * recovery relies on that to tell a torn write from damage.
 */
import { crc32 } from 'node:zlib'
import { isFull, type JournalFs, SyncFailed, syncFile, TEMPORARY, writeAll, writeTemporary } from './file-system.js'
import {
  BATCH_HEADER_BYTES,
  BatchFlag,
  encodeBatchHeader,
  encodeSegmentHeader,
  getU32,
  padded,
  putU32,
  SEGMENT_HEADER_BYTES,
  segmentSeed,
} from './format.js'
import { type Manifest, writeManifest } from './manifest.js'
import { RECORD_HEADER_BYTES, RecordType } from './record-types.js'
import { writeBare } from './record-write.js'
import { type SegmentFile, segmentFile, segmentName } from './segment.js'
import { indexName } from './segment-index.js'

/**
 * Small batches write zeros ahead of themselves, so that the batches after them overwrite blocks that exist:
 * their sync need not wait for the file system's own journal.
 */
const AHEAD_BYTES = 256 * 1024
const SMALL_BATCH_BYTES = 64 * 1024

const ZEROS = new Uint8Array(AHEAD_BYTES)

/** Where the journal ends, and so where the next batch goes. Plain data: it travels to the thread. */
export interface JournalEnd {
  readonly manifest: Manifest
  /** The segments before the last one, oldest first. */
  readonly older: readonly SegmentFile[]
  /** 0: there is no segment yet. */
  readonly segment: number
  readonly segmentFirstSeq: number
  readonly offset: number
  /** Of the last batch. */
  readonly headCrc: number
  readonly nextSeq: number
  /** The segment takes no more batches. */
  readonly sealed: boolean
}

export interface WriterOptions {
  readonly system: JournalFs
  readonly folder: string
  readonly segmentBytes: number
  readonly clock: () => number
}

interface SealBatch {
  readonly bytes: Uint8Array
  readonly headCrc: number
}

/** Nothing of the batch was written: there is no room for it. The next one may fit. */
export class Refused extends Error {
  /** The disk is full; otherwise a file could not be made for another reason. */
  readonly full: boolean

  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.full = cause === undefined || isFull(cause)
  }
}

export class JournalWriter {
  readonly #system: JournalFs
  readonly #folder: string
  readonly #segmentBytes: number
  readonly #clock: () => number
  readonly #header = new Uint8Array(BATCH_HEADER_BYTES)
  /** Segments that still exist, oldest first, but for the one that is written to. */
  readonly #older: SegmentFile[]
  #manifest: Manifest
  #file = -1
  #segment: number
  #segmentFirstSeq: number
  /** Of the first record of the last batch. */
  #bodyOffset = 0
  #seed: number
  #offset: number
  #headCrc: number
  #nextSeq: number
  #sealed: boolean
  /** Up to here the file holds written zeros. */
  #allocated: number

  constructor(options: WriterOptions, end: JournalEnd) {
    this.#system = options.system
    this.#folder = options.folder
    this.#segmentBytes = options.segmentBytes
    this.#clock = options.clock
    this.#manifest = end.manifest
    this.#segment = end.segment
    this.#segmentFirstSeq = end.segmentFirstSeq
    this.#older = end.older.slice()
    this.#seed = segmentSeed(end.manifest.uuid, end.segment)
    this.#offset = end.offset
    this.#allocated = end.offset
    this.#headCrc = end.headCrc
    this.#nextSeq = end.nextSeq
    this.#sealed = end.sealed
    if (end.segment > 0) this.#file = this.#system.open(this.#path(end.segment, end.segmentFirstSeq), 'write')
  }

  /**
   * Writes one batch of `count` whole records, which together have `bytes` bytes, and does not sync it.
   * Fills in the records' CRCs. Throws `Refused` when nothing was written because the disk is full.
   */
  append(parts: readonly Uint8Array[], bytes: number, count: number, firstSeq: number): void {
    const end = this.#offset + BATCH_HEADER_BYTES + padded(bytes)
    const full = this.#offset > SEGMENT_HEADER_BYTES && end > this.#segmentBytes
    if (this.#file < 0 || this.#sealed || full) this.#nextSegment()
    for (const part of parts) fillRecordCrcs(part, this.#seed)
    this.#write(parts, bytes, count, firstSeq, firstSeq === this.#nextSeq ? 0 : BatchFlag.GAP)
    this.#nextSeq = firstSeq + count
  }

  get folder(): string {
    return this.#folder
  }

  /** The segment that is written to. */
  get segment(): number {
    return this.#segment
  }

  get segmentFirstSeq(): number {
    return this.#segmentFirstSeq
  }

  /** Where the next batch will be. */
  get end(): number {
    return this.#offset
  }

  /** Where the first record of the last batch is. */
  get bodyOffset(): number {
    return this.#bodyOffset
  }

  /**
   * Deletes the oldest segment when it is below `firstNeeded`; false when there is none. The manifest says so first:
   * deletions that reach the disk in another order would revive finished jobs.
   */
  dropBefore(firstNeeded: number): boolean {
    const [oldest] = this.#older
    if (oldest === undefined || oldest.segment >= firstNeeded) return false
    this.#older.shift()
    this.#writeManifest({ firstSegment: oldest.segment + 1 })
    const index = indexName(oldest.name)
    if (this.#system.list(this.#folder)?.includes(index)) this.#system.remove(`${this.#folder}/${index}`)
    this.#system.remove(`${this.#folder}/${oldest.name}`)
    this.#system.syncFolder(this.#folder)
    return true
  }

  /** Makes what was appended durable. An error means that its fate is unknown: do not go on. */
  sync(): void {
    syncFile(this.#system, this.#file)
  }

  /** An empty batch, synced: what stands before it is now known not to be a torn write. */
  idle(): void {
    if (this.#file < 0 || this.#sealed) return
    this.#write([], 0, 0, this.#nextSeq, BatchFlag.IDLE)
    this.sync()
  }

  /** Ends the journal cleanly. */
  close(): void {
    if (this.#file >= 0) {
      this.#system.truncate(this.#file, this.#offset)
      this.sync()
      this.#system.close(this.#file)
      this.#file = -1
    }
    this.#writeManifest({ clean: true, endOffset: this.#offset, endHeadCrc: this.#headCrc, nextSeq: this.#nextSeq })
  }

  #write(parts: readonly Uint8Array[], bytes: number, count: number, firstSeq: number, flags: number): void {
    const total = BATCH_HEADER_BYTES + padded(bytes)
    const filling = ZEROS.subarray(0, padded(bytes) - bytes)
    let bodyCrc = this.#seed
    for (const part of parts) bodyCrc = crc32(part, bodyCrc)
    bodyCrc = crc32(filling, bodyCrc)
    const wallMs = this.#clock()
    const prevHeadCrc = this.#headCrc
    const header = { bodyLen: bytes, firstSeq, count, flags, wallMs, prevHeadCrc, bodyCrc }
    const headCrc = encodeBatchHeader(this.#header, header, this.#seed)
    const pieces = [this.#header, ...parts]
    if (filling.length > 0) pieces.push(filling)
    this.#put(pieces, total)
    this.#headCrc = headCrc
    this.#bodyOffset = this.#offset + BATCH_HEADER_BYTES
    this.#offset += total
  }

  #put(pieces: Uint8Array[], total: number): void {
    const end = this.#offset + total
    if (end > this.#allocated && total <= SMALL_BATCH_BYTES) {
      const ahead = Math.min(AHEAD_BYTES, this.#segmentBytes - end)
      if (ahead > 0 && this.#tryPut([...pieces, ZEROS.subarray(0, ahead)])) {
        this.#allocated = end + ahead
        return
      }
    }
    if (!this.#tryPut(pieces)) throw new Refused(`no room for ${total} bytes in ${this.#folder}`)
    if (end > this.#allocated) this.#allocated = end
  }

  /** False when the disk is full; the file then ends where it did, so that no part of the batch stays. */
  #tryPut(pieces: readonly Uint8Array[]): boolean {
    try {
      writeAll(this.#system, this.#file, pieces, this.#offset)
      return true
    } catch (error) {
      if (!isFull(error)) throw error
      this.#system.truncate(this.#file, this.#offset)
      this.#allocated = this.#offset
      return false
    }
  }

  /**
   * The next segment is prepared under a temporary name first, because that is what a full disk refuses;
   * then the old one is sealed, and only then the new one gets its name and its place in the manifest.
   */
  #nextSegment(): void {
    const segment = this.#segment + 1
    const firstSeq = this.#nextSeq
    const path = this.#path(segment, firstSeq)
    const seal = this.#file >= 0 && !this.#sealed ? this.#sealBatch() : undefined
    const prevHeadCrc = seal?.headCrc ?? this.#headCrc
    const uuid = this.#manifest.uuid
    const header = encodeSegmentHeader({ uuid, segment, firstSeq, prevHeadCrc, created: this.#clock() })
    const file = this.#prepare(`${path}${TEMPORARY}`, header)
    if (seal !== undefined && !this.#seal(seal)) {
      this.#system.close(file)
      this.#system.remove(`${path}${TEMPORARY}`)
      throw new Refused(`no room to end a segment in ${this.#folder}`)
    }
    if (this.#file >= 0) this.#system.close(this.#file)
    this.#system.rename(`${path}${TEMPORARY}`, path)
    this.#system.syncFolder(this.#folder)
    if (this.#segment > 0) this.#older.push(segmentFile(this.#segment, this.#segmentFirstSeq))
    this.#file = file
    this.#segment = segment
    this.#segmentFirstSeq = firstSeq
    this.#seed = segmentSeed(uuid, segment)
    this.#headCrc = prevHeadCrc
    this.#offset = SEGMENT_HEADER_BYTES
    this.#allocated = SEGMENT_HEADER_BYTES
    this.#sealed = false
    this.#writeManifest({ lastSegment: segment })
  }

  #prepare(path: string, header: Uint8Array): number {
    try {
      return writeTemporary(this.#system, path, [header])
    } catch (error) {
      if (error instanceof SyncFailed) throw error
      throw new Refused(`cannot begin a new segment in ${this.#folder}: ${message(error)}`, error)
    }
  }

  /** False when there is no room for it; nothing has changed then. */
  #seal({ bytes, headCrc }: SealBatch): boolean {
    if (!this.#tryPut([bytes])) return false
    this.#offset += bytes.length
    this.#headCrc = headCrc
    this.#sealed = true
    this.#system.truncate(this.#file, this.#offset)
    this.sync()
    return true
  }

  #sealBatch(): SealBatch {
    const bytes = new Uint8Array(BATCH_HEADER_BYTES + padded(RECORD_HEADER_BYTES))
    const body = bytes.subarray(BATCH_HEADER_BYTES)
    writeBare(body, 0, RecordType.SEAL, 0)
    fillRecordCrcs(body.subarray(0, RECORD_HEADER_BYTES), this.#seed)
    const header = {
      bodyLen: RECORD_HEADER_BYTES,
      firstSeq: this.#nextSeq,
      count: 0,
      flags: BatchFlag.SEAL,
      wallMs: this.#clock(),
      prevHeadCrc: this.#headCrc,
      bodyCrc: crc32(body, this.#seed),
    }
    return { bytes, headCrc: encodeBatchHeader(bytes, header, this.#seed) }
  }

  #writeManifest(changes: Partial<Manifest>): void {
    this.#manifest = { ...this.#manifest, epoch: this.#manifest.epoch + 1, ...changes }
    writeManifest(this.#system, this.#folder, this.#manifest)
  }

  #path(segment: number, firstSeq: number): string {
    return `${this.#folder}/${segmentName(segment, firstSeq)}`
  }
}

function fillRecordCrcs(part: Uint8Array, seed: number): void {
  for (let at = 0; at < part.length; ) {
    const end = at + getU32(part, at)
    putU32(part, at + 4, crc32(part.subarray(at + 8, end), seed))
    at = end
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
