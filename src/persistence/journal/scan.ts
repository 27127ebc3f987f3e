/** Reads the batches of one segment, and tells a torn end from damage. */
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BatchFlag,
  type BatchHeader,
  bodyIsWhole,
  decodeBatchHeader,
  getU32,
  MAX_BATCH_BYTES,
  padded,
  SEGMENT_HEADER_BYTES,
} from './format.js'

export interface ScanStart {
  readonly seed: number
  /** Of the batch before the first one of the segment. */
  readonly headCrc: number
  readonly nextSeq: number
}

export interface ScanEnd {
  /** Where the first place is that is no batch: the end of the segment, or the damage. */
  readonly offset: number
  readonly headCrc: number
  readonly nextSeq: number
  readonly sealed: boolean
  /** What is wrong at `offset`; undefined when there is nothing more, or nothing but zeros. */
  readonly problem: string | undefined
}

export type OnBody = (start: number, end: number, header: BatchHeader) => void

/** Calls `onBody` with the records of every batch, in order, up to the end or the first bad place. */
export function scanSegment(bytes: Buffer, from: ScanStart, onBody: OnBody): ScanEnd {
  let offset = SEGMENT_HEADER_BYTES
  let { headCrc, nextSeq } = from
  let sealed = false
  let problem: string | undefined
  while (!sealed && offset < bytes.length) {
    const header = decodeBatchHeader(bytes, offset, from.seed)
    problem = batchProblem(bytes, offset, header, { headCrc, nextSeq, seed: from.seed })
    if (header === undefined || problem !== undefined) break
    const start = offset + BATCH_HEADER_BYTES
    onBody(start, start + header.bodyLen, header)
    offset = start + padded(header.bodyLen)
    headCrc = header.headCrc
    nextSeq = header.firstSeq + header.count
    sealed = (header.flags & BatchFlag.SEAL) !== 0
  }
  const written = writtenEnd(bytes)
  if (written <= offset) problem = undefined
  else if (sealed) problem = 'bytes follow the end of a sealed segment'
  return { offset, headCrc, nextSeq, sealed, problem }
}

function batchProblem(bytes: Buffer, at: number, header: BatchHeader | undefined, expected: ScanStart) {
  if (header === undefined) return 'no valid batch header'
  if (header.prevHeadCrc !== expected.headCrc) return 'the batch does not follow the one before it'
  const gap = (header.flags & BatchFlag.GAP) !== 0
  if (gap ? header.firstSeq <= expected.nextSeq : header.firstSeq !== expected.nextSeq) {
    return `the batch begins with sequence number ${header.firstSeq}, expected ${expected.nextSeq}`
  }
  if (!bodyIsWhole(bytes, at, header, expected.seed)) return 'the body of the batch does not match its CRC'
  return undefined
}

/**
 * Why the bad place at `offset` cannot be a write that was cut short by a crash; undefined when it can.
 *
 * Batch n+1 is written only after the sync of batch n has returned. So behind a torn batch there can be no
 * other one, and no more bytes than one batch has.
 */
export function notTorn(bytes: Buffer, offset: number, seed: number): string | undefined {
  const written = writtenEnd(bytes)
  const header = decodeBatchHeader(bytes, offset, seed)
  const longest = header === undefined ? MAX_BATCH_BYTES : BATCH_HEADER_BYTES + padded(header.bodyLen)
  if (written - offset > longest) return 'more bytes follow than one batch can have'
  for (let at = offset + 8; at + BATCH_HEADER_BYTES <= written; at += 8) {
    if (getU32(bytes, at) !== BATCH_MAGIC) continue
    if (decodeBatchHeader(bytes, at, seed) !== undefined) return `a whole batch follows at offset ${at}`
  }
  return undefined
}

/** Where the last byte that is not zero ends: segments have zeros written ahead of the batches. */
export function writtenEnd(bytes: Buffer): number {
  let end = bytes.length
  while (end >= 8 && bytes[end - 1] === 0) {
    // Eight at a time, once aligned: there can be megabytes of zeros.
    if (end % 8 === 0 && bytes.readUInt32LE(end - 8) === 0 && bytes.readUInt32LE(end - 4) === 0) end -= 8
    else end--
  }
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}
