/**
 * Reads records back. Only bodies whose CRC holds get here, and `recordEnd` has checked the record's own
 * length, so that the lengths inside can be trusted.
 */
import type { Settlement } from '../queue/job-queue.js'
import type { ReplayedState } from '../queue/replay.js'
import type { JobFailure } from '../store.js'
import { getU16, getU32, getU64 } from './format.js'
import {
  ATTEMPT_RECORD_BYTES,
  ENQ_FIXED_BYTES,
  FAILURE_FIXED_BYTES,
  FULL_FIXED_BYTES,
  FullState,
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

/** Its failure, if it has one, is for `readRecordFailure`. */
export function readSettlement(bytes: Buffer, view: DataView, at: number): Omit<Settlement, 'failure'> {
  const start = at + RECORD_HEADER_BYTES
  return {
    state: recordType(bytes, at) === RecordType.DEAD ? 'dead' : 'scheduled',
    attempts: getU32(bytes, start + 4),
    runAt: view.getFloat64(start + 8, true),
    suspect: (recordFlags(bytes, at) & RecordFlag.SUSPECT) !== 0,
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

/** What FULL says besides the job itself. */
export function readFull(bytes: Buffer, at: number): ReplayedState {
  const start = at + RECORD_HEADER_BYTES
  const state = getU32(bytes, start + 4)
  return {
    attempts: getU32(bytes, start),
    suspect: (recordFlags(bytes, at) & RecordFlag.SUSPECT) !== 0,
    active: state === FullState.active,
    dead: state === FullState.dead,
  }
}

/** Where the job's own part of an ENQ, FULL or RESULT record begins. */
export function jobStart(bytes: Uint8Array, at: number): number {
  const start = at + RECORD_HEADER_BYTES
  switch (recordType(bytes, at)) {
    case RecordType.FULL:
      return start + FULL_FIXED_BYTES + getU32(bytes, start + 8)
    case RecordType.RESULT:
      return at + ATTEMPT_RECORD_BYTES
    default:
      return start
  }
}

/** Where the texts and the argument of a job's own part are; all of them end where the next begins. */
export interface JobTexts {
  worker: number
  workerKey: number
  method: number
  jobKey: number
  payload: number
}

/** `into` is filled and returned, so that one object can serve for all. */
export function readTexts(bytes: Uint8Array, at: number, into: JobTexts): JobTexts {
  into.worker = at + ENQ_FIXED_BYTES
  into.workerKey = into.worker + getU16(bytes, at + 38)
  into.method = into.workerKey + getU16(bytes, at + 40)
  into.jobKey = into.method + getU16(bytes, at + 42)
  into.payload = into.jobKey + getU16(bytes, at + 36)
  return into
}

export function noTexts(): JobTexts {
  return { worker: 0, workerKey: 0, method: 0, jobKey: 0, payload: 0 }
}

/** The failure in a RETRY, DEAD or FULL record. */
export function readRecordFailure(bytes: Buffer, at: number): JobFailure | undefined {
  if ((recordFlags(bytes, at) & RecordFlag.HAS_FAILURE) === 0) return undefined
  const fixed = recordType(bytes, at) === RecordType.FULL ? FULL_FIXED_BYTES : SETTLEMENT_FIXED_BYTES
  return readFailure(bytes, at + RECORD_HEADER_BYTES + fixed)
}

/** A text that is mostly the same as the last one: its bytes are compared before a new string is made. */
export class RepeatedText {
  #bytes: Uint8Array = new Uint8Array()
  #text = ''

  read(bytes: Buffer, start: number, end: number): string {
    if (!isAt(bytes, start, end, this.#bytes)) {
      this.#bytes = Uint8Array.from(bytes.subarray(start, end))
      this.#text = bytes.toString('utf8', start, end)
    }
    return this.#text
  }
}

function isAt(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false
  for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false
  return true
}
