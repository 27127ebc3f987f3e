/**
 * The bodies of jobs as records of the journal: in the stream until they are durable, then in the segments, where a
 * cache keeps what was written or read last.
 */
import { crc32 } from 'node:zlib'
import type { JobBodies, JobBody } from '../queue/job-bodies.js'
import { Flag, type JobColumns } from '../queue/job-columns.js'
import type { ReplayedFailures } from '../queue/replay.js'
import type { JobFailure, NewJob } from '../store.js'
import { BlockCache, type Found } from './block-cache.js'
import { errorCode } from './file-system.js'
import { getU32 } from './format.js'
import { isInStream, placeOffset, placeSegment, streamPlace, streamPosition } from './place.js'
import { jobStart, noTexts, RepeatedText, readRecordFailure, readTexts } from './record-read.js'
import type { RecordStream } from './record-stream.js'
import { ATTEMPT_RECORD_BYTES, FullState, RECORD_HEADER_BYTES, RecordType } from './record-types.js'
import { type KeptJob, resultBytes } from './record-write.js'
import type { SegmentReader } from './segment-reader.js'
import type { SegmentTable } from './segment-table.js'

export interface BodiesParts {
  readonly jobs: JobColumns
  readonly reader: SegmentReader
  readonly segments: SegmentTable
  readonly cacheBytes: number
  /** A record that does not match its CRC, or cannot be read. */
  readonly onDamage: (file: string, offset: number, what: string) => void
}

/** What FULL says of a job that has not been started. */
const NEW = { attempts: 0, state: FullState.waiting, suspect: false, failure: undefined }

export class JournalBodies implements JobBodies, ReplayedFailures {
  readonly #jobs: JobColumns
  readonly #reader: SegmentReader
  readonly #segments: SegmentTable
  readonly #cache: BlockCache
  readonly #onDamage: BodiesParts['onDamage']
  /** Where the last failure of a job is, by row; the failure itself when no record has it. */
  readonly #failures = new Map<number, number | JobFailure>()
  /** Where in the stream results are that are not durable yet, by row. */
  readonly #finishing = new Map<number, number>()
  /** Where in the stream failures are that are not durable yet, by job. */
  readonly #failing = new Map<number, number>()
  /** Where in the stream the record is that replaces the job, by row. */
  readonly #replacing = new Map<number, number>()
  readonly #texts = noTexts()
  readonly #method = new RepeatedText()
  #stream: RecordStream | undefined

  constructor(parts: BodiesParts) {
    this.#jobs = parts.jobs
    this.#reader = parts.reader
    this.#segments = parts.segments
    this.#cache = new BlockCache(
      (segment, offset, target) => parts.reader.read(segment, offset, target),
      parts.cacheBytes,
    )
    this.#onDamage = parts.onDamage
  }

  /** From now on jobs are added. */
  writeTo(stream: RecordStream): void {
    this.#stream = stream
  }

  add(row: number, job: NewJob, now: number): void {
    const stream = this.#stream!
    const position = stream.position
    stream.enqueue(job, this.#jobs.id.get(row), now)
    this.#jobs.place.set(row, streamPlace(position))
    this.#jobs.length.set(row, stream.position - position)
  }

  stored(row: number): void {
    const { place, length } = this.#jobs
    if (isInStream(place.get(row))) place.set(row, this.#stream!.placeOf(streamPosition(place.get(row))))
    this.#segments.added(place.get(row), length.get(row))
  }

  /** A newer record of the whole job is durable at this position of the stream. */
  moved(row: number, position: number, recordLength: number): void {
    const { place, length } = this.#jobs
    this.#segments.removed(place.get(row), length.get(row))
    place.set(row, this.#stream!.placeOf(position))
    length.set(row, recordLength)
    this.#segments.added(place.get(row), recordLength)
    if (this.#failures.has(row)) this.#failures.set(row, place.get(row))
  }

  replacing(row: number, job: NewJob, now: number): void {
    const stream = this.#stream!
    this.#replacing.set(row, stream.position)
    stream.full({ ...job, ...NEW, enqueuedAt: now }, this.#jobs.id.get(row))
  }

  replaced(row: number, done: boolean): void {
    const position = this.#replacing.get(row)!
    this.#replacing.delete(row)
    if (!done) return
    this.#failures.delete(row)
    const { bytes, at } = this.#stream!.find(position)
    this.moved(row, position, getU32(bytes, at))
  }

  finishing(row: number, attempt: number, at: number, value: Uint8Array | undefined): boolean {
    const jobs = this.#jobs
    const stream = this.#stream!
    const id = jobs.id.get(row)
    const found = value === undefined ? undefined : this.#record(jobs.place.get(row), jobs.length.get(row))
    if (value === undefined || found === undefined) {
      stream.reserve(ATTEMPT_RECORD_BYTES)
      stream.attempt(RecordType.DONE, id, attempt)
      return false
    }
    const { bytes: source } = found
    const from = jobStart(source, found.at)
    const to = readTexts(source, from, this.#texts).payload
    const job: KeptJob = { id, attempt, at, atMostOnce: jobs.has(row, Flag.atMostOnce), source, from, to, value }
    stream.reserve(resultBytes(job))
    this.#finishing.set(row, stream.position)
    stream.result(job)
    return true
  }

  finished(row: number): number {
    const position = this.#finishing.get(row)!
    this.#finishing.delete(row)
    this.#failures.delete(row)
    const { bytes, at } = this.#stream!.find(position)
    this.moved(row, position, getU32(bytes, at))
    return bytes.readDoubleLE(jobStart(bytes, at))
  }

  bytes(row: number): number {
    return this.#jobs.length.get(row)
  }

  /** The record at this position has a failure of the job, and is not durable yet. */
  failing(id: number, position: number): void {
    this.#failing.set(id, position)
  }

  failed(row: number, failure: JobFailure): void {
    const id = this.#jobs.id.get(row)
    const position = this.#failing.get(id)
    this.#failing.delete(id)
    this.#failures.set(row, position === undefined ? failure : this.#stream!.placeOf(position))
  }

  failedAt(row: number, place: number): void {
    this.#failures.set(row, place)
  }

  forget(row: number): void {
    const place = this.#jobs.place.get(row)
    // What a replay forgets was not counted yet.
    if (this.#stream !== undefined && !isInStream(place)) this.#segments.removed(place, this.#jobs.length.get(row))
    if (this.#failures.size > 0) this.#failures.delete(row)
    if (this.#finishing.size > 0) this.#finishing.delete(row)
  }

  hasKey(row: number, jobKey: string): boolean {
    const found = this.#record(this.#jobs.place.get(row), this.#jobs.length.get(row))
    // Damaged: all that is left to compare is the hash, and that is the same.
    if (found === undefined) return true
    const { jobKey: start, payload: end } = readTexts(found.bytes, jobStart(found.bytes, found.at), this.#texts)
    return isText(found.bytes, start, end, jobKey)
  }

  read(row: number): JobBody | undefined {
    const length = this.#jobs.length.get(row)
    const found = this.#record(this.#jobs.place.get(row), length)
    if (found === undefined) return undefined
    const { bytes, at } = found
    const start = jobStart(bytes, at)
    const { method, jobKey, payload } = readTexts(bytes, start, this.#texts)
    return {
      method: this.#method.read(bytes, method, jobKey),
      jobKey: bytes.toString('utf8', jobKey, payload),
      payload: Buffer.from(bytes.subarray(payload, at + length)),
      enqueuedAt: bytes.readDoubleLE(start + 8),
      expiresAt: bytes.readDoubleLE(start + 16),
      timeout: getU32(bytes, start + 32),
    }
  }

  failure(row: number): JobFailure | undefined {
    const failure = this.#failures.get(row)
    if (typeof failure !== 'number') return failure
    const head = this.#find(failure, RECORD_HEADER_BYTES)
    const found = head && this.#record(failure, getU32(head.bytes, head.at))
    return found && readRecordFailure(found.bytes, found.at)
  }

  /** What the stream holds is durable now, at this place of a segment: it may be asked for soon. */
  written(segment: number, offset: number, bytes: Uint8Array): void {
    this.#cache.put(segment, offset, bytes)
  }

  /** The whole record; undefined when it is damaged, which was told then. */
  #record(place: number, length: number): Found | undefined {
    const found = this.#find(place, length)
    if (found === undefined || !found.fromDisk) return found
    const { bytes, at } = found
    if (getU32(bytes, at) === length) {
      const crc = crc32(bytes.subarray(at + 8, at + length), this.#reader.seed(placeSegment(place)))
      if (crc === getU32(bytes, at + 4)) return found
    }
    this.#damaged(place, 'the record does not match its CRC')
    return undefined
  }

  #find(place: number, length: number): Found | undefined {
    if (isInStream(place)) return this.#stream!.find(streamPosition(place))
    try {
      const found = this.#cache.find(placeSegment(place), placeOffset(place), length)
      if (found === undefined) this.#damaged(place, 'the file is too short')
      return found
    } catch (error) {
      if (errorCode(error) !== 'EIO') throw error
      this.#damaged(place, 'the disk reports an error')
      return undefined
    }
  }

  #damaged(place: number, what: string): void {
    this.#onDamage(this.#reader.path(placeSegment(place)), placeOffset(place), what)
  }
}

function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start === text.length) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) return bytes.toString('utf8', start, end) === text
      if (bytes[start + i] !== unit) return false
    }
    return true
  }
  // A text with other than ASCII has more bytes than units.
  return end - start > text.length && bytes.toString('utf8', start, end) === text
}
