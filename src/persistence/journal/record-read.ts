/**
 * Reads records back. Only bodies whose CRC holds get here, and `recordEnd` has checked the record's own
 * length, so that the lengths inside can be trusted.
 */
import type { Settlement } from '../job.js'
import type { ReplayedJob } from '../replay.js'
import type { JobFailure } from '../store.js'
import { getU16, getU32, getU64 } from './format.js'
import {
  ENQ_FIXED_BYTES,
  FAILURE_FIXED_BYTES,
  FULL_FIXED_BYTES,
  NO_STACK,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordType,
  SETTLEMENT_FIXED_BYTES,
} from './record-types.js'

export function recordLength(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at)
}

export function recordType(bytes: Uint8Array, at: number): number {
  return bytes[at + 8]!
}

export function recordFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + 9]!
}

export function recordVersion(bytes: Uint8Array, at: number): number {
  return getU16(bytes, at + 10)
}

export function recordJobId(bytes: Uint8Array, at: number): number {
  return getU64(bytes, at + 12)
}

export function readAttempt(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at + RECORD_HEADER_BYTES)
}

export function readSettlement(bytes: Buffer, view: DataView, at: number): Settlement {
  const start = at + RECORD_HEADER_BYTES
  const flags = recordFlags(bytes, at)
  return {
    state: recordType(bytes, at) === RecordType.DEAD ? 'dead' : 'scheduled',
    attempts: getU32(bytes, start + 4),
    runAt: view.getFloat64(start + 8, true),
    suspect: (flags & RecordFlag.SUSPECT) !== 0,
    failure: flags & RecordFlag.HAS_FAILURE ? readFailure(bytes, start + SETTLEMENT_FIXED_BYTES) : undefined,
  }
}

function readFailure(bytes: Buffer, at: number): JobFailure {
  const name = at + FAILURE_FIXED_BYTES
  const message = name + getU16(bytes, at)
  const stack = message + getU32(bytes, at + 2)
  const stackLength = getU32(bytes, at + 6)
  const failure = { name: bytes.toString('utf8', name, message), message: bytes.toString('utf8', message, stack) }
  return stackLength === NO_STACK ? failure : { ...failure, stack: bytes.toString('utf8', stack, stack + stackLength) }
}

/** What FULL says besides the job itself, and where the job's own part begins. */
export function readFull(bytes: Buffer, at: number) {
  const start = at + RECORD_HEADER_BYTES
  const rest = start + FULL_FIXED_BYTES
  const flags = recordFlags(bytes, at)
  return {
    attempts: getU32(bytes, start),
    state: getU32(bytes, start + 4),
    suspect: (flags & RecordFlag.SUSPECT) !== 0,
    failure: flags & RecordFlag.HAS_FAILURE ? readFailure(bytes, rest) : undefined,
    jobAt: rest + getU32(bytes, start + 8),
  }
}

const SLAB_BYTES = 64 * 1024
/** Up to here a loop copies faster than a call into native code. */
const SHORT_COPY_BYTES = 256

/**
 * Reads jobs one after the other, into one object. Worker, key and method are the same for long runs of jobs,
 * so their bytes are compared with the last ones before new strings are made. Payloads are copied into shared
 * slabs, small enough that one job that stays does not hold much.
 */
export class JobReader {
  #names: Uint8Array = new Uint8Array()
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #used = 0
  readonly #job = {
    worker: '',
    workerKey: '',
    method: '',
    jobKey: '',
    payload: this.#slab,
    payloadStart: 0,
    payloadEnd: 0,
    runAt: 0,
    priority: 0,
    maxAttempts: 0,
    atMostOnce: false,
    enqueuedAt: 0,
  }

  /** The job of an ENQ or a FULL record, whose own part begins at `at` and ends at `end`; valid until the next. */
  read(bytes: Buffer, view: DataView, at: number, end: number, flags: number): ReplayedJob {
    const job = this.#job
    const worker = at + ENQ_FIXED_BYTES
    const workerKey = worker + getU16(bytes, at + 30)
    const method = workerKey + getU16(bytes, at + 32)
    const jobKey = method + getU16(bytes, at + 34)
    const payload = jobKey + getU16(bytes, at + 28)
    // The three lengths are compared with the texts: 'a','bc' and 'ab','c' have the same bytes.
    if (!isAt(bytes, at + 30, jobKey, this.#names)) {
      this.#names = Uint8Array.from(bytes.subarray(at + 30, jobKey))
      job.worker = bytes.toString('utf8', worker, workerKey)
      job.workerKey = bytes.toString('utf8', workerKey, method)
      job.method = bytes.toString('utf8', method, jobKey)
    }
    job.jobKey = bytes.toString('utf8', jobKey, payload)
    job.runAt = view.getFloat64(at, true)
    job.enqueuedAt = view.getFloat64(at + 8, true)
    job.priority = view.getFloat64(at + 16, true)
    job.maxAttempts = getU32(bytes, at + 24)
    job.atMostOnce = (flags & RecordFlag.AT_MOST_ONCE) !== 0
    this.#copyPayload(bytes, payload, end)
    return job
  }

  #copyPayload(bytes: Buffer, start: number, end: number): void {
    const job = this.#job
    const length = end - start
    if (length > SLAB_BYTES / 4) {
      job.payload = Buffer.from(bytes.subarray(start, end))
      job.payloadStart = 0
      job.payloadEnd = length
      return
    }
    if (this.#used + length > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#used = 0
    }
    const slab = this.#slab
    const to = this.#used
    if (length > SHORT_COPY_BYTES) bytes.copy(slab, to, start, end)
    else for (let i = 0; i < length; i++) slab[to + i] = bytes[start + i]!
    this.#used = to + length
    job.payload = slab
    job.payloadStart = to
    job.payloadEnd = to + length
  }
}

function isAt(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false
  for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false
  return true
}
