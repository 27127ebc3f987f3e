/**
 * `<segment>.idx`: what recovery needs of a sealed segment, without arguments, values, failures, and jobs that began and ended
 * in it. It is derived: a missing or damaged one is made anew from the segment. docs/JOURNAL.md has the table.
 */
import { crc32 } from 'node:zlib'
import { MOST_KEPT } from '../queue/kept-jobs.js'
import { errorCode, isFull, type JournalFs, readIfThere, readWhole, TEMPORARY, writeAll } from './file-system.js'
import {
  decodeSegmentHeader,
  getU32,
  getU64,
  putU32,
  putU64,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentSeed,
} from './format.js'
import { jobStart, noTexts, readTexts, recordFlags, recordJobId, recordLength, recordType } from './record-read.js'
import {
  FULL_FIXED_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordType,
  SETTLEMENT_FIXED_BYTES,
} from './record-types.js'
import { scanSegment } from './scan.js'
import type { SegmentFile } from './segment.js'

const MAGIC = 0x4953_464f // "OFSI"
const FORMAT = 1
const HEADER_BYTES = 64
/** Before each record: where it stands in the segment, and how long it is there. */
const ENTRY_BYTES = 8

/** Where a sealed segment ends, and so where the next one begins. */
export interface SegmentIndex {
  /** `headCrc` of the last batch of the segment before. */
  readonly prevHeadCrc: number
  readonly headCrc: number
  readonly nextSeq: number
  /** Length of the segment. */
  readonly endOffset: number
  readonly bytes: Buffer
  /** Where the entries are in `bytes`. */
  readonly start: number
  readonly end: number
}

/** What is wrong with a sealed segment. */
export interface SegmentProblem {
  readonly offset: number
  readonly problem: string
}

/** Called with each record; `offset` and `length` are those that it has in the segment. */
type OnEntry = (bytes: Buffer, at: number, offset: number, length: number) => void

export function indexName(segmentName: string): string {
  return segmentName.replace(/\.seg$/, '.idx')
}

/**
 * Reads the whole segment, checks it, and writes its index when there is none. Returns what is wrong with the segment,
 * if anything is.
 */
export function indexSegment(
  system: JournalFs,
  folder: string,
  uuid: Uint8Array,
  file: SegmentFile,
): SegmentProblem | undefined {
  try {
    return checkAndIndex(system, folder, uuid, file)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EIO') return { offset: 0, problem: 'the disk reports an error' }
    // It was given back meanwhile, or there is no room for an index: it can do without.
    if (code === 'ENOENT' || isFull(error)) return undefined
    throw error
  }
}

function checkAndIndex(system: JournalFs, folder: string, uuid: Uint8Array, file: SegmentFile) {
  const bytes = readWhole(system, `${folder}/${file.name}`)
  const header = decodeSegmentHeader(bytes, uuid, file.segment)
  if (header === undefined) return { offset: 0, problem: 'no valid segment header of this journal' }
  const bodies: [number, number][] = []
  const { prevHeadCrc: headCrc, firstSeq: nextSeq } = header
  const from = { seed: segmentSeed(uuid, file.segment), headCrc, nextSeq }
  const end = scanSegment(bytes, from, (start, end) => bodies.push([start, end]))
  if (end.problem !== undefined) return { offset: end.offset, problem: end.problem }
  if (!end.sealed) return { offset: end.offset, problem: 'the segment has no end, but another one follows' }
  if (readIndex(system, folder, uuid, file) === undefined) {
    const name = indexName(file.name)
    const temporary = `${folder}/${name}${TEMPORARY}`
    try {
      const target = system.open(temporary, 'create')
      try {
        writeAll(system, target, encode(bytes, header, bodies, end), 0)
      } finally {
        system.close(target)
      }
      // Not synced: what a crash leaves of it does not match its CRC.
      system.rename(temporary, `${folder}/${name}`)
    } catch (error) {
      if (isFull(error)) system.remove(temporary)
      throw error
    }
  }
  return undefined
}

/** Undefined when there is no valid index of exactly this segment. */
export function readIndex(
  system: JournalFs,
  folder: string,
  uuid: Uint8Array,
  file: SegmentFile,
): SegmentIndex | undefined {
  const bytes = readIfThere(system, `${folder}/${indexName(file.name)}`)
  if (bytes === undefined || bytes.length < HEADER_BYTES) return undefined
  const seed = segmentSeed(uuid, file.segment)
  if (getU32(bytes, 60) !== crc32(bytes.subarray(0, 60), seed)) return undefined
  if (getU32(bytes, 0) !== MAGIC || getU32(bytes, 4) !== FORMAT || getU64(bytes, 8) !== file.segment) return undefined
  if (getU64(bytes, 16) !== file.firstSeq || getU32(bytes, 48) !== bytes.length - HEADER_BYTES) return undefined
  if (getU32(bytes, 52) !== crc32(bytes.subarray(HEADER_BYTES), seed)) return undefined
  const endOffset = getU64(bytes, 32)
  if (!segmentIsThere(system, `${folder}/${file.name}`, uuid, file, endOffset)) return undefined
  return {
    nextSeq: getU64(bytes, 24),
    endOffset,
    prevHeadCrc: getU32(bytes, 40),
    headCrc: getU32(bytes, 44),
    bytes,
    start: HEADER_BYTES,
    end: bytes.length,
  }
}

export function eachEntry({ bytes, start, end }: SegmentIndex, onEntry: OnEntry): void {
  for (let at = start; at < end; ) {
    const record = at + ENTRY_BYTES
    onEntry(bytes, record, getU32(bytes, at), getU32(bytes, at + 4))
    at = record + recordLength(bytes, record)
  }
}

/** The index is no proof that the segment itself is still there. */
function segmentIsThere(system: JournalFs, path: string, uuid: Uint8Array, file: SegmentFile, size: number): boolean {
  const opened = system.open(path, 'read')
  try {
    const header = Buffer.alloc(SEGMENT_HEADER_BYTES)
    system.read(opened, header, 0)
    return system.size(opened) === size && decodeSegmentHeader(header, uuid, file.segment)?.firstSeq === file.firstSeq
  } finally {
    system.close(opened)
  }
}

function encode(
  segment: Buffer,
  { uuid, segment: number, firstSeq, prevHeadCrc }: SegmentHeader,
  bodies: Bodies,
  end: { offset: number; headCrc: number; nextSeq: number },
): Buffer[] {
  const counts = countingJobs(segment, bodies, firstSeq, end.nextSeq)
  let length = 0
  eachRecord(segment, bodies, (at) => {
    if (counts(at)) length += entryBytes(keep(segment, at))
  })
  // Entry by entry into one buffer: there can be hundreds of thousands of them.
  const body = Buffer.allocUnsafeSlow(length)
  let to = 0
  eachRecord(segment, bodies, (at) => {
    if (counts(at)) to = writeEntry(body, to, segment, keep(segment, at))
  })
  const header = Buffer.alloc(HEADER_BYTES)
  const seed = segmentSeed(uuid, number)
  putU32(header, 0, MAGIC)
  putU32(header, 4, FORMAT)
  putU64(header, 8, number)
  putU64(header, 16, firstSeq)
  putU64(header, 24, end.nextSeq)
  putU64(header, 32, end.offset)
  putU32(header, 40, prevHeadCrc)
  putU32(header, 44, end.headCrc)
  putU32(header, 48, length)
  putU32(header, 52, crc32(body, seed))
  putU32(header, 60, crc32(header.subarray(0, 60), seed))
  return [header, body]
}

/** Where the records of each batch begin and end. */
type Bodies = readonly (readonly [start: number, end: number])[]

const BEGUN = 1
const OVER = 2
const ENDS = new Set<number>([RecordType.DONE, RecordType.RESULT, RecordType.DEQ])

/**
 * Tells of a record whether the index needs it: jobs whose whole history is in the segment leave nothing behind but their
 * result, as far as that can still be kept.
 */
function countingJobs(segment: Buffer, bodies: Bodies, firstSeq: number, nextSeq: number): (at: number) => boolean {
  /** Of the jobs that begin here, by their id, which is the number of their first record. */
  const history = new Uint8Array(nextSeq - firstSeq)
  const results: number[] = []
  eachRecord(segment, bodies, (at) => {
    const type = recordType(segment, at)
    const own = recordJobId(segment, at) - firstSeq
    if (type === RecordType.ENQ) history[own] = BEGUN
    else if (ENDS.has(type) && history[own] === BEGUN) history[own] = OVER
    if (type === RecordType.RESULT) results.push(at)
  })
  const firstResult = results.at(-MOST_KEPT) ?? 0
  return (at) => {
    const type = recordType(segment, at)
    if (type === RecordType.SEAL) return false
    return history[recordJobId(segment, at) - firstSeq] !== OVER || (type === RecordType.RESULT && at >= firstResult)
  }
}

function eachRecord(segment: Buffer, bodies: Bodies, visit: (at: number) => void): void {
  for (const [start, end] of bodies) for (let at = start; at < end; at += recordLength(segment, at)) visit(at)
}

/** What an index keeps of the record at `at`: its beginning up to `head`, and what stands from `from` to `to`. */
interface Kept {
  at: number
  head: number
  from: number
  to: number
}

/** There is one at a time. */
const kept: Kept = { at: 0, head: 0, from: 0, to: 0 }

/** The record without the argument, the value and the failure. */
function keep(segment: Buffer, at: number): Kept {
  const type = recordType(segment, at)
  kept.at = at
  kept.from = 0
  kept.to = 0
  if (type === RecordType.ENQ || type === RecordType.FULL || type === RecordType.RESULT) {
    kept.from = jobStart(segment, at)
    kept.head = type === RecordType.FULL ? at + RECORD_HEADER_BYTES + FULL_FIXED_BYTES : kept.from
    kept.to = readTexts(segment, kept.from, noTexts()).payload
  } else if ((recordFlags(segment, at) & RecordFlag.HAS_FAILURE) !== 0) {
    kept.head = at + RECORD_HEADER_BYTES + SETTLEMENT_FIXED_BYTES
  } else kept.head = at + recordLength(segment, at)
  return kept
}

function entryBytes({ at, head, from, to }: Kept): number {
  return ENTRY_BYTES + head - at + to - from
}

/** Its place, its length, and what is kept of it. Returns where the next entry goes. */
function writeEntry(body: Buffer, start: number, segment: Buffer, entry: Kept): number {
  const { at, head, from, to } = entry
  putU32(body, start, at)
  putU32(body, start + 4, recordLength(segment, at))
  const record = start + ENTRY_BYTES
  segment.copy(body, record, at, head)
  segment.copy(body, record + head - at, from, to)
  putU32(body, record, entryBytes(entry) - ENTRY_BYTES)
  // The failure is not here: what follows the fixed part is the job.
  if (recordType(segment, at) === RecordType.FULL) putU32(body, record + RECORD_HEADER_BYTES + 8, 0)
  return start + entryBytes(entry)
}
