/**
 * A record of the journal as a plain object, for the operator's tools. Unlike recovery, which reads only what a
 * CRC vouches for, these also look at damaged bytes: so every length is checked before it is used.
 */
import { crc32 } from 'node:zlib'
import type { JobFailure, NewJob } from '../../store.js'
import { getU16, getU32, getU64 } from '../format.js'
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
} from '../record-types.js'

const RECORD_VERSION = 1

/** What every record begins with. */
export interface RecordHead {
  /** Where it stands in the segment, and where it ends. */
  readonly at: number
  readonly end: number
  readonly type: number
  readonly flags: number
  readonly version: number
  readonly jobId: number
}

/** A job as its ENQ or FULL record has it; `payload` is a view of the bytes that were read. */
export interface RecordedJob extends NewJob {
  readonly enqueuedAt: number
}

interface Settled {
  readonly attempt: number
  readonly attempts: number
  readonly runAt: number
  readonly suspect: boolean
  readonly failure: JobFailure | undefined
}

export type RecordedState = 'waiting' | 'active' | 'dead'

export type RecordBody =
  | { readonly type: 'ENQ'; readonly job: RecordedJob }
  | {
      readonly type: 'FULL'
      readonly job: RecordedJob
      readonly attempts: number
      readonly state: RecordedState
      readonly suspect: boolean
      readonly failure: JobFailure | undefined
    }
  | { readonly type: 'CLAIM' | 'DONE'; readonly attempt: number }
  /** `runAt` of the job is when it finished, `payload` its value. */
  | { readonly type: 'RESULT'; readonly attempt: number; readonly job: RecordedJob }
  | ({ readonly type: 'RETRY' | 'DEAD' } & Settled)
  | { readonly type: 'DEQ' | 'SEAL' }
  /** Of a type or a version that this program does not know. */
  | { readonly type: 'unknown'; readonly ignorable: boolean }

/** Undefined when no record can stand at `at`: its length leads out of `limit`. Says nothing about its CRC. */
export function readHead(bytes: Uint8Array, at: number, limit: number): RecordHead | undefined {
  if (limit - at < RECORD_HEADER_BYTES) return undefined
  const length = getU32(bytes, at)
  if (length < RECORD_HEADER_BYTES || length > limit - at) return undefined
  return {
    at,
    end: at + length,
    type: bytes[at + 8]!,
    flags: bytes[at + 9]!,
    version: getU16(bytes, at + 10),
    jobId: getU64(bytes, at + 12),
  }
}

export function crcHolds(bytes: Uint8Array, { at, end }: RecordHead, seed: number): boolean {
  return getU32(bytes, at + 4) === crc32(bytes.subarray(at + 8, end), seed)
}

/** Undefined when its parts do not fit into its length. */
export function readBody(bytes: Buffer, head: RecordHead): RecordBody | undefined {
  const start = head.at + RECORD_HEADER_BYTES
  if (head.version !== RECORD_VERSION) return unknown(head)
  switch (head.type) {
    case RecordType.ENQ: {
      const job = readJob(bytes, start, head)
      return job && { type: 'ENQ', job }
    }
    case RecordType.FULL:
      return readFull(bytes, start, head)
    case RecordType.CLAIM:
    case RecordType.DONE: {
      if (head.end - head.at < ATTEMPT_RECORD_BYTES) return undefined
      return { type: head.type === RecordType.CLAIM ? 'CLAIM' : 'DONE', attempt: getU32(bytes, start) }
    }
    case RecordType.RESULT: {
      const job = readJob(bytes, head.at + ATTEMPT_RECORD_BYTES, head)
      return job && { type: 'RESULT', attempt: getU32(bytes, start), job }
    }
    case RecordType.RETRY:
    case RecordType.DEAD:
      return readSettled(bytes, start, head)
    case RecordType.DEQ:
      return { type: 'DEQ' }
    case RecordType.SEAL:
      return { type: 'SEAL' }
    default:
      return unknown(head)
  }
}

function unknown({ flags }: RecordHead): RecordBody {
  return { type: 'unknown', ignorable: (flags & RecordFlag.IGNORABLE) !== 0 }
}

function readFull(bytes: Buffer, start: number, head: RecordHead): RecordBody | undefined {
  const rest = start + FULL_FIXED_BYTES
  if (rest > head.end) return undefined
  const state = STATES.get(getU32(bytes, start + 4))
  const jobAt = rest + getU32(bytes, start + 8)
  if (state === undefined || jobAt > head.end) return undefined
  const job = readJob(bytes, jobAt, head)
  const failure = readFailure(bytes, rest, jobAt, head.flags)
  if (job === undefined || failure === 'bad') return undefined
  return { type: 'FULL', job, attempts: getU32(bytes, start), state, suspect: isSuspect(head), failure }
}

const STATES = new Map<number, RecordedState>([
  [FullState.waiting, 'waiting'],
  [FullState.active, 'active'],
  [FullState.dead, 'dead'],
])

function readJob(bytes: Buffer, at: number, { end, flags }: RecordHead): RecordedJob | undefined {
  const worker = at + ENQ_FIXED_BYTES
  if (worker > end) return undefined
  const workerKey = worker + getU16(bytes, at + 38)
  const method = workerKey + getU16(bytes, at + 40)
  const jobKey = method + getU16(bytes, at + 42)
  const payload = jobKey + getU16(bytes, at + 36)
  if (payload > end) return undefined
  return {
    worker: bytes.toString('utf8', worker, workerKey),
    workerKey: bytes.toString('utf8', workerKey, method),
    method: bytes.toString('utf8', method, jobKey),
    jobKey: bytes.toString('utf8', jobKey, payload),
    payload: bytes.subarray(payload, end),
    runAt: bytes.readDoubleLE(at),
    enqueuedAt: bytes.readDoubleLE(at + 8),
    expiresAt: bytes.readDoubleLE(at + 16),
    priority: bytes.readInt32LE(at + 24),
    maxAttempts: getU32(bytes, at + 28),
    timeout: getU32(bytes, at + 32),
    atMostOnce: (flags & RecordFlag.AT_MOST_ONCE) !== 0,
  }
}

function readSettled(bytes: Buffer, start: number, head: RecordHead): RecordBody | undefined {
  const rest = start + SETTLEMENT_FIXED_BYTES
  if (rest > head.end) return undefined
  const failure = readFailure(bytes, rest, head.end, head.flags)
  if (failure === 'bad') return undefined
  return {
    type: head.type === RecordType.DEAD ? 'DEAD' : 'RETRY',
    attempt: getU32(bytes, start),
    attempts: getU32(bytes, start + 4),
    runAt: bytes.readDoubleLE(start + 8),
    suspect: isSuspect(head),
    failure,
  }
}

function readFailure(bytes: Buffer, at: number, end: number, flags: number): JobFailure | undefined | 'bad' {
  if ((flags & RecordFlag.HAS_FAILURE) === 0) return undefined
  const nameAt = at + FAILURE_FIXED_BYTES
  if (nameAt > end) return 'bad'
  const messageAt = nameAt + getU16(bytes, at)
  const stackAt = messageAt + getU32(bytes, at + 2)
  const stackLength = getU32(bytes, at + 6)
  const failureEnd = stackAt + (stackLength === NO_STACK ? 0 : stackLength)
  if (failureEnd > end) return 'bad'
  const name = bytes.toString('utf8', nameAt, messageAt)
  const message = bytes.toString('utf8', messageAt, stackAt)
  if (stackLength === NO_STACK) return { name, message }
  return { name, message, stack: bytes.toString('utf8', stackAt, failureEnd) }
}

function isSuspect({ flags }: RecordHead): boolean {
  return (flags & RecordFlag.SUSPECT) !== 0
}
