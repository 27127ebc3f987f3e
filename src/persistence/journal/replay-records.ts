/** Gives the records of a batch to the queue's replay. */
import type { KeyHash } from '../queue/key-hash.js'
import type { Replay } from '../queue/replay.js'
import { getU32 } from './format.js'
import { filePlace } from './place.js'
import {
  jobStart,
  noTexts,
  RepeatedText,
  readAttempt,
  readFull,
  readSettlement,
  readTexts,
  recordFlags,
  recordJobId,
  recordLength,
  recordType,
  recordVersion,
} from './record-read.js'
import { RECORD_HEADER_BYTES, RecordFlag, RecordType } from './record-types.js'

const RECORD_VERSION = 1
const NO_BYTES: Buffer = Buffer.alloc(0)

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
  readonly #hash: KeyHash
  readonly #texts = noTexts()
  readonly #worker = new RepeatedText()
  readonly #workerKey = new RepeatedText()
  /** One for all jobs: nothing keeps it. */
  readonly #job = {
    id: 0,
    worker: '',
    workerKey: '',
    bytes: NO_BYTES,
    keyStart: 0,
    keyEnd: 0,
    keyText(): string {
      return this.bytes.toString('utf8', this.keyStart, this.keyEnd)
    },
    hashA: 0,
    hashB: 0,
    runAt: 0,
    priority: 0,
    maxAttempts: 0,
    atMostOnce: false,
    place: 0,
    length: 0,
  }

  constructor(replay: Replay, hash: KeyHash) {
    this.#replay = replay
    this.#hash = hash
  }

  /** The batch's CRC was checked, so that a record that makes no sense was written like that. */
  body(bytes: Buffer, view: DataView, segment: number, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const length = end - at < RECORD_HEADER_BYTES ? 0 : recordLength(bytes, at)
      if (length < RECORD_HEADER_BYTES || at + length > end)
        throw new BadRecord(at, 'a record has an impossible length')
      this.record(bytes, view, at, filePlace(segment, at), length)
      at += length
    }
  }

  /** `place` and `length` are those of the record in its segment; here it may lack what is not needed. */
  record(bytes: Buffer, view: DataView, at: number, place: number, length: number): void {
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
      case RecordType.ENQ:
        if (!this.#replay.enqueued(this.#read(bytes, view, at, id, place, length))) throw keyTaken(at, id)
        break
      case RecordType.FULL: {
        const job = this.#read(bytes, view, at, id, place, length)
        const failed = (flags & RecordFlag.HAS_FAILURE) !== 0
        if (!this.#replay.replaced(job, readFull(bytes, at), failed)) throw keyTaken(at, id)
        break
      }
      case RecordType.CLAIM:
        this.#replay.claimed(id, readAttempt(bytes, at))
        break
      case RecordType.RETRY:
      case RecordType.DEAD: {
        const failed = (flags & RecordFlag.HAS_FAILURE) !== 0
        this.#replay.settled(id, readSettlement(bytes, view, at), failed ? place : undefined)
        break
      }
      case RecordType.RESULT:
        this.#replay.finished(this.#read(bytes, view, at, id, place, length), readAttempt(bytes, at))
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

  #read(bytes: Buffer, view: DataView, at: number, id: number, place: number, length: number) {
    const job = this.#job
    const start = jobStart(bytes, at)
    const { worker, workerKey, method, jobKey, payload } = readTexts(bytes, start, this.#texts)
    const { a, b } = this.#hash.ofBytes(bytes, jobKey, payload)
    job.id = id
    job.worker = this.#worker.read(bytes, worker, workerKey)
    job.workerKey = this.#workerKey.read(bytes, workerKey, method)
    job.bytes = bytes
    job.keyStart = jobKey
    job.keyEnd = payload
    job.hashA = a
    job.hashB = b
    job.runAt = view.getFloat64(start, true)
    job.priority = view.getInt32(start + 24, true)
    job.maxAttempts = getU32(bytes, start + 28)
    job.atMostOnce = (recordFlags(bytes, at) & RecordFlag.AT_MOST_ONCE) !== 0
    job.place = place
    job.length = length
    return job
  }
}

function keyTaken(at: number, id: number): BadRecord {
  return new BadRecord(at, `job ${id} has the key of another unfinished job`)
}
