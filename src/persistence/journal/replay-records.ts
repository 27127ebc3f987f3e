/** Gives the records of a batch to the queue's replay. */
import type { Settlement } from '../job.js'
import type { Replay } from '../replay.js'
import {
  JobReader,
  readAttempt,
  readFull,
  readSettlement,
  recordFlags,
  recordJobId,
  recordLength,
  recordType,
  recordVersion,
} from './record-read.js'
import { FullState, RECORD_HEADER_BYTES, RecordFlag, RecordType } from './record-types.js'

const RECORD_VERSION = 1

/** A record that this program cannot take; `offset` is where it stands in the segment. */
export class BadRecord extends Error {
  readonly offset: number
  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

export class RecordReplay {
  readonly #replay: Replay
  readonly #jobs = new JobReader()
  records = 0

  constructor(replay: Replay) {
    this.#replay = replay
  }

  /** The batch's CRC was checked, so that a record that makes no sense was written like that. */
  body(bytes: Buffer, view: DataView, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const length = end - at < RECORD_HEADER_BYTES ? 0 : recordLength(bytes, at)
      if (length < RECORD_HEADER_BYTES || at + length > end)
        throw new BadRecord(at, 'a record has an impossible length')
      this.#record(bytes, view, at, at + length)
      this.records++
      at += length
    }
  }

  #record(bytes: Buffer, view: DataView, at: number, end: number): void {
    const type = recordType(bytes, at)
    const flags = recordFlags(bytes, at)
    const id = recordJobId(bytes, at)
    const version = recordVersion(bytes, at)
    const ignorable = (flags & RecordFlag.IGNORABLE) !== 0
    if (version !== RECORD_VERSION) {
      if (ignorable) return
      throw new BadRecord(at, `a record of version ${version} was written by a newer offstage: open it with that one`)
    }
    switch (type) {
      case RecordType.ENQ: {
        const job = this.#jobs.read(bytes, view, at + RECORD_HEADER_BYTES, end, flags)
        if (!this.#replay.enqueued(job, id)) {
          throw new BadRecord(at, `job ${id} has the key of another unfinished job`)
        }
        break
      }
      case RecordType.FULL:
        this.#full(bytes, view, at, end, id)
        break
      case RecordType.CLAIM:
        this.#replay.claimed(id, readAttempt(bytes, at))
        break
      case RecordType.RETRY:
      case RecordType.DEAD:
        this.#replay.settled(id, readSettlement(bytes, view, at))
        break
      case RecordType.DONE:
      case RecordType.DEQ:
        this.#replay.gone(id)
        break
      case RecordType.SEAL:
        break
      default:
        if (!ignorable) {
          throw new BadRecord(at, `a record of type ${type} was written by a newer offstage: open it with that one`)
        }
    }
  }

  /** The job as it was then; what was known of it before is replaced. */
  #full(bytes: Buffer, view: DataView, at: number, end: number, id: number): void {
    const { attempts, state, suspect, failure, jobAt } = readFull(bytes, at)
    const job = this.#jobs.read(bytes, view, jobAt, end, recordFlags(bytes, at))
    this.#replay.gone(id)
    if (!this.#replay.enqueued(job, id)) {
      throw new BadRecord(at, `job ${id} has the key of another unfinished job`)
    }
    const settlement: Settlement = {
      state: state === FullState.dead ? 'dead' : 'scheduled',
      attempts,
      runAt: job.runAt,
      suspect,
      failure,
    }
    this.#replay.settled(id, settlement)
    if (state === FullState.active) this.#replay.claimed(id, attempts)
  }
}
