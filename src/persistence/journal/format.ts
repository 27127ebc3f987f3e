/**
 * The fixed-size structures of the journal, byte by byte; docs/JOURNAL.md has the same tables.
 *
 * All numbers are little-endian. A u64 holds a whole number up to 2^53. Every CRC is CRC-32 (zlib) and starts
 * from the seed of its segment, so that bytes of another store, another segment or an earlier use of the
 * same blocks never pass for ours.
 */
import { crc32 } from 'node:zlib'

const FORMAT = 1

const SEGMENT_MAGIC = 0x4753_464f // "OFSG"
export const BATCH_MAGIC = 0x4254_464f // "OFTB"

export const SEGMENT_HEADER_BYTES = 64
export const BATCH_HEADER_BYTES = 48

/** The longest body of records that one call can make: one call is one batch, all or nothing. */
export const MAX_CALL_BYTES = 32 * 1024 * 1024
/** A batch takes calls until it has this much. */
export const BATCH_TARGET_BYTES = 1024 * 1024
/** So no batch is longer than this; more than that behind a damaged place is no torn write. */
export const MAX_BATCH_BYTES = BATCH_HEADER_BYTES + BATCH_TARGET_BYTES + MAX_CALL_BYTES

export const BatchFlag = {
  /** Sequence numbers before `firstSeq` were given out and refused: the disk was full. */
  GAP: 1,
  /** The segment ends here; the body is one SEAL record. */
  SEAL: 2,
  /** Written after a second without work: proves that the batch before it was not torn. */
  IDLE: 4,
} as const

const KNOWN_BATCH_FLAGS = BatchFlag.GAP | BatchFlag.SEAL | BatchFlag.IDLE

export interface SegmentHeader {
  readonly uuid: Uint8Array
  readonly segment: number
  readonly firstSeq: number
  /** `headCrc` of the last batch of the segment before; 0 in the first. */
  readonly prevHeadCrc: number
  /** Wall clock, ms. */
  readonly created: number
}

export interface BatchHeader {
  /** Length of the records, without the zeros that fill up to the next multiple of 8. */
  readonly bodyLen: number
  readonly firstSeq: number
  /** How many sequence numbers it uses: one per record, none for SEAL. */
  readonly count: number
  readonly flags: number
  readonly wallMs: number
  readonly prevHeadCrc: number
  /** Over the body with its filling. */
  readonly bodyCrc: number
  readonly headCrc: number
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

/** The seed of all CRCs in one segment of one store. */
export function segmentSeed(uuid: Uint8Array, segment: number): number {
  const bytes = Buffer.alloc(24)
  bytes.set(uuid, 0)
  putU64(bytes, 16, segment)
  return crc32(bytes)
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  putU32(bytes, 0, SEGMENT_MAGIC)
  putU32(bytes, 4, FORMAT)
  bytes.set(header.uuid, 8)
  putU64(bytes, 24, header.segment)
  putU64(bytes, 32, header.firstSeq)
  putU64(bytes, 40, header.created)
  putU32(bytes, 48, header.prevHeadCrc)
  putU32(bytes, 60, crc32(bytes.subarray(0, 60), segmentSeed(header.uuid, header.segment)))
  return bytes
}

/** Undefined unless it is the header of this segment of this store. */
export function decodeSegmentHeader(bytes: Uint8Array, uuid: Uint8Array, segment: number): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || getU32(bytes, 0) !== SEGMENT_MAGIC) return undefined
  if (getU32(bytes, 60) !== crc32(bytes.subarray(0, 60), segmentSeed(uuid, segment))) return undefined
  if (getU32(bytes, 4) !== FORMAT || getU64(bytes, 24) !== segment) return undefined
  return {
    uuid: Buffer.from(bytes.subarray(8, 24)),
    segment,
    firstSeq: getU64(bytes, 32),
    created: getU64(bytes, 40),
    prevHeadCrc: getU32(bytes, 48),
  }
}

/** Writes the header into `bytes` and returns its `headCrc`, which the next batch carries on. */
export function encodeBatchHeader(bytes: Uint8Array, header: Omit<BatchHeader, 'headCrc'>, seed: number): number {
  putU32(bytes, 0, BATCH_MAGIC)
  putU32(bytes, 4, header.bodyLen)
  putU64(bytes, 8, header.firstSeq)
  putU32(bytes, 16, header.count)
  putU32(bytes, 20, header.flags)
  putU64(bytes, 24, header.wallMs)
  putU32(bytes, 32, header.prevHeadCrc)
  putU32(bytes, 36, header.bodyCrc)
  putU32(bytes, 40, 0)
  const headCrc = crc32(bytes.subarray(0, 44), seed)
  putU32(bytes, 44, headCrc)
  return headCrc
}

/** Undefined unless a whole batch header of this segment stands at `at`; says nothing about the body. */
export function decodeBatchHeader(bytes: Uint8Array, at: number, seed: number): BatchHeader | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length || getU32(bytes, at) !== BATCH_MAGIC) return undefined
  const headCrc = getU32(bytes, at + 44)
  if (headCrc !== crc32(bytes.subarray(at, at + 44), seed)) return undefined
  const flags = getU32(bytes, at + 20)
  if ((flags & ~KNOWN_BATCH_FLAGS) !== 0) return undefined
  return {
    bodyLen: getU32(bytes, at + 4),
    firstSeq: getU64(bytes, at + 8),
    count: getU32(bytes, at + 16),
    flags,
    wallMs: getU64(bytes, at + 24),
    prevHeadCrc: getU32(bytes, at + 32),
    bodyCrc: getU32(bytes, at + 36),
    headCrc,
  }
}

/** Does the body of the batch at `at` match its header? */
export function bodyIsWhole(bytes: Uint8Array, at: number, header: BatchHeader, seed: number): boolean {
  const start = at + BATCH_HEADER_BYTES
  const end = start + padded(header.bodyLen)
  return end <= bytes.length && crc32(bytes.subarray(start, end), seed) === header.bodyCrc
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function putU64(bytes: Uint8Array, at: number, value: number): void {
  putU32(bytes, at, value % 0x1_0000_0000)
  putU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000))
}

export function getU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

export function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getU32(bytes, at + 4) * 0x1_0000_0000
}
