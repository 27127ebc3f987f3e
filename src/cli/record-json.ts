/** A record of the journal as one line of JSON, for people with `jq`. */
import type { WalkedRecord } from '../persistence/journal/tools/walk.js'
import { decodeValue } from '../wire/codec.js'

export function recordLine({ segment, batch, seq, head, body }: WalkedRecord): string {
  const place = {
    file: segment.name,
    offset: head.at,
    seq,
    batch: batch.at,
    time: time(batch.header.wallMs),
    type: body.type,
    jobId: body.type === 'SEAL' ? undefined : head.jobId,
  }
  return JSON.stringify({ ...place, ...fields(body), ...(body.type === 'unknown' && { number: head.type }) })
}

/** Of a job, as this makes them. */
interface Fields {
  readonly runAt: unknown
  readonly argument?: unknown
  readonly argumentBase64?: string
}

function fields(body: WalkedRecord['body']): object {
  switch (body.type) {
    case 'ENQ':
      return jobFields(body.job)
    case 'FULL': {
      const { attempts, state, suspect, failure } = body
      return { state, attempts, suspect, failure, ...jobFields(body.job) }
    }
    case 'CLAIM':
    case 'DONE':
      return { attempt: body.attempt }
    case 'RESULT': {
      const { runAt, argument: value, argumentBase64: valueBase64, ...job } = jobFields(body.job) as Fields
      return { attempt: body.attempt, finishedAt: runAt, ...job, value, valueBase64 }
    }
    case 'RETRY':
    case 'DEAD': {
      const { attempt, attempts, runAt, suspect, failure } = body
      return { attempt, attempts, runAt: time(runAt), suspect, failure }
    }
    case 'unknown':
      return { ignorable: body.ignorable }
    case 'DEQ':
    case 'SEAL':
      return {}
  }
}

function jobFields(job: Extract<WalkedRecord['body'], { type: 'ENQ' }>['job']): object {
  const { worker, workerKey, method, jobKey, priority, maxAttempts, atMostOnce } = job
  const times = { runAt: time(job.runAt), enqueuedAt: time(job.enqueuedAt) }
  return { worker, workerKey, method, jobKey, ...times, priority, maxAttempts, atMostOnce, ...argument(job.payload) }
}

/** What cannot be decoded is shown as it is, in base64. A job without an argument has none. */
function argument(payload: Uint8Array): object {
  if (payload.length === 0) return {}
  try {
    return { argument: plain(decodeValue(payload)) }
  } catch {
    return { argumentBase64: Buffer.from(payload).toString('base64') }
  }
}

/** Milliseconds since 1970 as a date where there is one: `runAt` may be any number. */
function time(ms: number): string | number {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? ms : date.toISOString()
}

/** What JSON has no word for becomes an object with one key that begins with `$`. */
function plain(value: unknown): unknown {
  if (value === undefined) return { $undefined: true }
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $number: String(value) }
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date) return { $date: time(value.getTime()) }
  if (value instanceof Map) return { $map: [...value].map(([key, item]) => [plain(key), plain(item)]) }
  if (value instanceof Set) return { $set: [...value].map(plain) }
  if (value instanceof Error) return { $error: { name: value.name, message: value.message } }
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString('base64') }
  if (ArrayBuffer.isView(value)) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
