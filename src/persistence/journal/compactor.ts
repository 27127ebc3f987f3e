/**
 * Gives disk space back while the queue goes on: the jobs that are still needed move from the oldest segment to the
 * newest one, a little with every commit, and the oldest segment is deleted when nothing in it counts any more.
 * Strictly from the oldest on, so that the end of a job never goes before its beginning.
 */
import { crc32 } from 'node:zlib'
import { Flag, type JobColumns, NONE, Pending, State } from '../queue/job-columns.js'
import type { QueueState } from '../queue/queue-state.js'
import type { JournalBodies } from './bodies.js'
import { getU32 } from './format.js'
import { filePlace } from './place.js'
import { jobStart, recordJobId, recordType } from './record-read.js'
import type { RecordStream } from './record-stream.js'
import { FullState, RecordType } from './record-types.js'
import { copyBytes, resultBytes } from './record-write.js'
import type { SegmentReader } from './segment-reader.js'
import type { SegmentTable } from './segment-table.js'
import { SegmentWalk, type WalkedRecord } from './segment-walk.js'

/** Work begins when the segments have this many times the bytes that count; so they stay below three times. */
const WASTE_FACTOR = 2.5
/** For every byte of a commit, this many are moved at most. */
const MOVED_PER_BYTE = 2
/** What one step reads at most, however little of it counts. */
const READ_PER_STEP = 256 * 1024

export interface CompactorParts {
  readonly state: QueueState
  readonly bodies: JournalBodies
  readonly stream: RecordStream
  readonly segments: SegmentTable
  readonly reader: SegmentReader
  /** Jobs of this segment cannot be read, so it has to stay. */
  readonly onStuck: (segment: number) => void
}

const NOTHING = new Uint8Array()

interface Moving {
  readonly position: number
  readonly length: number
}

export class Compactor {
  readonly #parts: CompactorParts
  readonly #jobs: JobColumns
  /** Jobs whose new record is not durable yet, by id. */
  readonly #moving = new Map<number, Moving>()
  #walk: SegmentWalk | undefined
  #window: Buffer | undefined
  /** Jobs that the walk has found and that are still needed. */
  #found = 0
  /** A segment that holds jobs which no walk finds. */
  #stuck = 0

  constructor(parts: CompactorParts) {
    this.#parts = parts
    this.#jobs = parts.state.jobs
  }

  /** Moves jobs in proportion to the `bytes` of this commit; returns their ids, for whoever waits for the commit. */
  step(bytes: number): number[] {
    const moved: number[] = []
    let allowance = bytes * MOVED_PER_BYTE
    const walk = this.#current()
    if (walk === undefined) return moved
    const until = walk.offset + READ_PER_STEP
    while (allowance > 0 && walk.offset < until) {
      const record = walk.next()
      if (record === undefined) {
        this.#endWalk(walk)
        break
      }
      const length = this.#move(walk.segment, record)
      if (length === 0) continue
      moved.push(recordJobId(record.bytes, record.at))
      allowance -= length
    }
    return moved
  }

  commit(id: number): void {
    const { position, length } = this.#moving.get(id)!
    this.#moving.delete(id)
    const row = this.#parts.state.ids.find(id)
    // It may have ended in the same batch.
    if (row !== NONE) this.#parts.bodies.moved(row, position, length)
  }

  /** The move was refused: the job stays where it is, for the next walk to find. */
  abort(id: number): void {
    this.#moving.delete(id)
    this.#walk = undefined
  }

  /** The walk through the oldest segment, when it is time for one. */
  #current(): SegmentWalk | undefined {
    const { segments, reader } = this.#parts
    const oldest = segments.oldestSealed()
    if (oldest === undefined || segments.disk <= WASTE_FACTOR * segments.live) return undefined
    if (this.#walk?.segment === oldest.segment) return this.#walk
    // After a walk all that was found is on its way; only then can a new one find more.
    if (this.#moving.size > 0 || oldest.segment === this.#stuck) return undefined
    this.#walk = new SegmentWalk(reader, oldest.segment, this.#window)
    this.#found = 0
    return this.#walk
  }

  #endWalk({ segment, window }: SegmentWalk): void {
    this.#walk = undefined
    this.#window = window
    if (this.#found > 0) return
    this.#stuck = segment
    this.#parts.onStuck(segment)
  }

  /** The length of the record that the job was copied to; 0 when it does not count, or cannot be moved now. */
  #move(segment: number, { bytes, at, offset, length }: WalkedRecord): number {
    const type = recordType(bytes, at)
    if (type !== RecordType.ENQ && type !== RecordType.FULL && type !== RecordType.RESULT) return 0
    const { state, bodies, stream, reader } = this.#parts
    const jobs = this.#jobs
    const id = recordJobId(bytes, at)
    const row = state.ids.find(id)
    if (row === NONE || jobs.place.get(row) !== filePlace(segment, offset)) return 0
    if (getU32(bytes, at + 4) !== crc32(bytes.subarray(at + 8, at + length), reader.seed(segment))) return 0
    this.#found++
    // What is on its way may be its end, and a copy behind that would revive it.
    if (jobs.pending.get(row) !== Pending.none) return 0
    const job = { source: bytes, from: jobStart(bytes, at), to: at + length }
    const atMostOnce = jobs.has(row, Flag.atMostOnce)
    if (type === RecordType.RESULT) {
      const kept = { id, attempt: jobs.attempts.get(row), at: jobs.runAt.get(row), atMostOnce, ...job, value: NOTHING }
      stream.reserve(resultBytes(kept))
      const position = stream.position
      stream.result(kept)
      return this.#moved(id, position)
    }
    const copied = {
      id,
      attempts: jobs.attempts.get(row),
      state: fullState(jobs.state.get(row)),
      suspect: jobs.has(row, Flag.suspect),
      failure: jobs.has(row, Flag.failed) ? bodies.failure(row) : undefined,
      runAt: jobs.runAt.get(row),
      atMostOnce,
      source: bytes.subarray(job.from, job.to),
    }
    stream.reserve(copyBytes(copied))
    const position = stream.position
    stream.copy(copied)
    return this.#moved(id, position)
  }

  /** The job's new record is in the stream from `position` to its end. Returns its length. */
  #moved(id: number, position: number): number {
    const length = this.#parts.stream.position - position
    this.#moving.set(id, { position, length })
    return length
  }
}

function fullState(state: number): number {
  if (state === State.active) return FullState.active
  return state === State.dead ? FullState.dead : FullState.waiting
}
