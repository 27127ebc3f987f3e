/**
 * Finds records where no batch vouches for them: every record has a CRC of its own, with the seed of its segment. And
 * looks at what stands between, for the names of jobs that are lost.
 */
import { BATCH_HEADER_BYTES } from '../format.js'
import { RecordFlag, RecordType } from '../record-types.js'
import { crcHolds, type RecordBody, type RecordHead, readBody, readHead } from './record.js'

export interface RescuedRecord {
  readonly kind: 'record'
  readonly head: RecordHead
  readonly body: RecordBody
}

/** Bytes that are no whole record. */
export interface LostSpan {
  readonly kind: 'lost'
  readonly at: number
  readonly end: number
}

export type Rescued = RescuedRecord | LostSpan

/** Shorter zeros than this only fill up to the next batch. */
const FILLING = 8

/**
 * What can be found from `start` to `end`, in order. `header`: a batch header belongs at `start`; its bytes are not
 * counted as lost records.
 */
export function rescue(bytes: Buffer, start: number, end: number, seed: number, header: boolean): Rescued[] {
  const found: Rescued[] = []
  let lostAt = header ? Math.min(start + BATCH_HEADER_BYTES, end) : start
  const lose = (to: number) => {
    const isFilling = to - lostAt < FILLING && bytes.subarray(lostAt, Math.max(lostAt, to)).every((byte) => byte === 0)
    if (!isFilling) found.push({ kind: 'lost', at: lostAt, end: to })
  }
  for (let at = start; at < end; ) {
    const record = recordAt(bytes, at, end, seed)
    if (record === undefined) {
      at++
      continue
    }
    lose(at)
    found.push(record)
    at = record.head.end
    lostAt = at
  }
  lose(end)
  return found
}

function recordAt(bytes: Buffer, at: number, end: number, seed: number): RescuedRecord | undefined {
  const head = readHead(bytes, at, end)
  // Most bytes are ruled out by this, so that few CRCs are computed.
  if (head === undefined || !isPlausible(head) || !crcHolds(bytes, head, seed)) return undefined
  const body = readBody(bytes, head)
  return body && { kind: 'record', head, body }
}

const FLAGS = RecordFlag.AT_MOST_ONCE | RecordFlag.SUSPECT | RecordFlag.HAS_FAILURE | RecordFlag.IGNORABLE

function isPlausible({ type, version, flags, jobId }: RecordHead): boolean {
  return version === 1 && type >= RecordType.ENQ && type <= RecordType.SEAL && (flags & ~FLAGS) === 0 && jobId < 2 ** 53
}

/** A job whose record is damaged, as far as it can be read. */
export interface DamagedJob {
  readonly id: number
  /** The record is the job's ENQ: its number is the job's id. */
  readonly isEnqueue: boolean
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  readonly jobKey: string
  readonly file: string
  readonly offset: number
}

/** Jobs that the damaged bytes seem to hold. A guess: no CRC says that what was read is right. */
export function damagedJobs(bytes: Buffer, file: string, { at, end }: LostSpan): DamagedJob[] {
  const jobs: DamagedJob[] = []
  for (let next = at; next < end; ) {
    const head = readHead(bytes, next, end)
    // With a damaged length, the record reaches at most to where the next whole one stands.
    const job = readDamaged(bytes, head ?? { ...headWithoutLength(bytes, next, end), at: next, end })
    if (job !== undefined) jobs.push({ ...job, file })
    if (head === undefined) break
    next = head.end
  }
  return jobs
}

function headWithoutLength(bytes: Buffer, at: number, end: number) {
  if (end - at < 20) return { type: 0, flags: 0, version: 0, jobId: 0 }
  return {
    type: bytes[at + 8]!,
    flags: bytes[at + 9]!,
    version: bytes.readUInt16LE(at + 10),
    jobId: Number(bytes.readBigUInt64LE(at + 12)),
  }
}

function readDamaged(bytes: Buffer, head: RecordHead): Omit<DamagedJob, 'file'> | undefined {
  if (!isPlausible(head)) return undefined
  const body = readBody(bytes, head)
  if (body?.type !== 'ENQ' && body?.type !== 'FULL') return undefined
  const { worker, workerKey, method, jobKey } = body.job
  if (worker === '' || jobKey === '' || [worker, workerKey, method, jobKey].some((text) => text.includes('\ufffd'))) {
    return undefined
  }
  return { id: head.jobId, isEnqueue: body.type === 'ENQ', worker, workerKey, method, jobKey, offset: head.at }
}
