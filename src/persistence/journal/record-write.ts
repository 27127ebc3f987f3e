/**
 * Writes the events of jobs as records. Each function takes a target with enough room and returns where the
 * record ends. A record's CRC is left 0: the journal thread fills it in, because it knows the segment.
 */
import type { Settlement } from '../queue/job-queue.js'
import type { JobFailure, NewJob } from '../store.js'
import { putU16, putU32, putU64 } from './format.js'
import {
  ATTEMPT_RECORD_BYTES,
  ENQ_FIXED_BYTES,
  FAILURE_FIXED_BYTES,
  FULL_FIXED_BYTES,
  NO_STACK,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordType,
  SETTLEMENT_FIXED_BYTES,
} from './record-types.js'

/** Longest parts of a failure that are kept, in UTF-16 units. */
const FAILURE_LIMITS = { name: 200, message: 8000, stack: 16_000 } as const

/** Bytes that the ENQ record of this job takes at most (a UTF-16 unit takes up to 3). */
export function enqueueBytes(job: NewJob): number {
  const units = job.worker.length + job.workerKey.length + job.method.length + job.jobKey.length
  return RECORD_HEADER_BYTES + ENQ_FIXED_BYTES + 3 * units + job.payload.length
}

export function writeEnqueue(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  job: NewJob,
  id: number,
  now: number,
): number {
  const end = writeJob(bytes, view, at + RECORD_HEADER_BYTES, job, now)
  writeHeader(bytes, at, end, RecordType.ENQ, job.atMostOnce ? RecordFlag.AT_MOST_ONCE : 0, id)
  return end
}

/** CLAIM and DONE: which attempt. */
export function writeAttempt(bytes: Uint8Array, at: number, type: number, id: number, attempt: number): number {
  const end = at + ATTEMPT_RECORD_BYTES
  putU32(bytes, at + RECORD_HEADER_BYTES, attempt)
  writeHeader(bytes, at, end, type, 0, id)
  return end
}

/** The end of a job whose result is kept, of which an older record is at hand. */
export interface KeptJob {
  readonly id: number
  /** The attempt in which it finished, and when that was. */
  readonly attempt: number
  readonly at: number
  readonly atMostOnce: boolean
  /** The job's own part of the older record: it is kept as it is, but for `runAt`… */
  readonly source: Buffer
  /** …which stands here in the bytes… */
  readonly from: number
  readonly to: number
  /** …and, when the older record is not a RESULT itself, without its argument, which this replaces. */
  readonly value: Uint8Array
}

export function resultBytes({ from, to, value }: KeptJob): number {
  return ATTEMPT_RECORD_BYTES + to - from + value.length
}

export function writeResult(bytes: Uint8Array, view: DataView, at: number, job: KeptJob): number {
  const start = at + ATTEMPT_RECORD_BYTES
  const value = start + job.to - job.from
  const end = value + job.value.length
  putU32(bytes, at + RECORD_HEADER_BYTES, job.attempt)
  // Unlike `set` of a part this makes no object, and it is done for every job.
  job.source.copy(bytes, start, job.from, job.to)
  view.setFloat64(start, job.at, true)
  if (job.value.length > 0) bytes.set(job.value, value)
  writeHeader(bytes, at, end, RecordType.RESULT, job.atMostOnce ? RecordFlag.AT_MOST_ONCE : 0, job.id)
  return end
}

/** DEQ and SEAL: nothing but the header. */
export function writeBare(bytes: Uint8Array, at: number, type: number, id: number): number {
  const end = at + RECORD_HEADER_BYTES
  writeHeader(bytes, at, end, type, 0, id)
  return end
}

export function settlementBytes(settlement: Settlement): number {
  return RECORD_HEADER_BYTES + SETTLEMENT_FIXED_BYTES + failureBytes(settlement.failure)
}

/** RETRY or DEAD: how attempt `attempt` ended without the job being done. */
export function writeSettlement(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  id: number,
  attempt: number,
  settlement: Settlement,
): number {
  const start = at + RECORD_HEADER_BYTES
  putU32(bytes, start, attempt)
  putU32(bytes, start + 4, settlement.attempts)
  view.setFloat64(start + 8, settlement.runAt, true)
  let end = start + SETTLEMENT_FIXED_BYTES
  let flags = settlement.suspect ? RecordFlag.SUSPECT : 0
  if (settlement.failure !== undefined) {
    flags |= RecordFlag.HAS_FAILURE
    end = writeFailure(bytes, end, settlement.failure)
  }
  writeHeader(bytes, at, end, settlement.state === 'dead' ? RecordType.DEAD : RecordType.RETRY, flags, id)
  return end
}

/** What FULL says of a job besides what it was enqueued as. */
interface FullState {
  readonly attempts: number
  /** See `FullState` of record-types.ts. */
  readonly state: number
  readonly suspect: boolean
  readonly failure: JobFailure | undefined
}

/** All that is known of a job, for the FULL record that replaces its history. */
export interface FullJob extends NewJob, FullState {
  readonly enqueuedAt: number
}

export function fullBytes(job: FullJob): number {
  return enqueueBytes(job) + FULL_FIXED_BYTES + failureBytes(job.failure)
}

export function writeFull(bytes: Uint8Array, view: DataView, at: number, job: FullJob, id: number): number {
  const end = writeJob(bytes, view, writeFullState(bytes, at, job), job, job.enqueuedAt)
  writeHeader(bytes, at, end, RecordType.FULL, fullFlags(job, job.atMostOnce), id)
  return end
}

/** A job for a FULL record, of which an older record is at hand. */
export interface CopiedJob extends FullState {
  readonly id: number
  readonly runAt: number
  readonly atMostOnce: boolean
  /** The job's own part of the older record: it is kept as it is, but for `runAt`. */
  readonly source: Uint8Array
}

export function copyBytes(job: CopiedJob): number {
  return RECORD_HEADER_BYTES + FULL_FIXED_BYTES + failureBytes(job.failure) + job.source.length
}

export function writeCopy(bytes: Uint8Array, view: DataView, at: number, job: CopiedJob): number {
  const start = writeFullState(bytes, at, job)
  bytes.set(job.source, start)
  view.setFloat64(start, job.runAt, true)
  const end = start + job.source.length
  writeHeader(bytes, at, end, RecordType.FULL, fullFlags(job, job.atMostOnce), job.id)
  return end
}

/** Returns where the job's own part begins. */
function writeFullState(bytes: Uint8Array, at: number, { attempts, state, failure }: FullState): number {
  const start = at + RECORD_HEADER_BYTES
  const rest = start + FULL_FIXED_BYTES
  const end = failure === undefined ? rest : writeFailure(bytes, rest, failure)
  putU32(bytes, start, attempts)
  putU32(bytes, start + 4, state)
  putU32(bytes, start + 8, end - rest)
  return end
}

function fullFlags({ suspect, failure }: FullState, atMostOnce: boolean): number {
  let flags = atMostOnce ? RecordFlag.AT_MOST_ONCE : 0
  if (suspect) flags |= RecordFlag.SUSPECT
  if (failure !== undefined) flags |= RecordFlag.HAS_FAILURE
  return flags
}

function writeHeader(bytes: Uint8Array, at: number, end: number, type: number, flags: number, id: number): void {
  putU32(bytes, at, end - at)
  putU32(bytes, at + 4, 0)
  bytes[at + 8] = type
  bytes[at + 9] = flags
  putU16(bytes, at + 10, 1)
  putU64(bytes, at + 12, id)
}

function writeJob(bytes: Uint8Array, view: DataView, at: number, job: NewJob, enqueuedAt: number): number {
  view.setFloat64(at, job.runAt, true)
  view.setFloat64(at + 8, enqueuedAt, true)
  view.setFloat64(at + 16, job.expiresAt ?? 0, true)
  view.setInt32(at + 24, job.priority, true)
  putU32(bytes, at + 28, job.maxAttempts)
  putU32(bytes, at + 32, job.timeout ?? 0)
  const worker = at + ENQ_FIXED_BYTES
  const workerKey = writeText(bytes, worker, job.worker)
  const method = writeText(bytes, workerKey, job.workerKey)
  const jobKey = writeText(bytes, method, job.method)
  const payload = writeText(bytes, jobKey, job.jobKey)
  putU16(bytes, at + 36, payload - jobKey)
  putU16(bytes, at + 38, workerKey - worker)
  putU16(bytes, at + 40, method - workerKey)
  putU16(bytes, at + 42, jobKey - method)
  bytes.set(job.payload, payload)
  return payload + job.payload.length
}

/** A loop beats the call into native code for the short ASCII texts that names and keys are. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 127) {
      const encoded = Buffer.from(text, 'utf8')
      bytes.set(encoded, at)
      return at + encoded.length
    }
    bytes[at + i] = unit
  }
  return at + length
}

function failureBytes(failure: JobFailure | undefined): number {
  if (failure === undefined) return 0
  const { name, message, stack } = FAILURE_LIMITS
  const units =
    Math.min(failure.name.length, name) +
    Math.min(failure.message.length, message) +
    Math.min(failure.stack?.length ?? 0, stack)
  return FAILURE_FIXED_BYTES + 3 * units
}

function writeFailure(bytes: Uint8Array, at: number, failure: JobFailure): number {
  const name = at + FAILURE_FIXED_BYTES
  const message = writeText(bytes, name, cut(failure.name, FAILURE_LIMITS.name))
  const stack = writeText(bytes, message, cut(failure.message, FAILURE_LIMITS.message))
  const end = failure.stack === undefined ? stack : writeText(bytes, stack, cut(failure.stack, FAILURE_LIMITS.stack))
  putU16(bytes, at, message - name)
  putU32(bytes, at + 2, stack - message)
  putU32(bytes, at + 6, failure.stack === undefined ? NO_STACK : end - stack)
  return end
}

function cut(text: string, units: number): string {
  return text.slice(0, units).toWellFormed()
}
