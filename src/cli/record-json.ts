/** A record of the journal as one line of JSON, for people with `jq`. */
import type { WalkedRecord } from '../persistence/journal/tools/walk.js'
import { decodeValue } from '../wire/codec.js'
import { toJson } from './value-json.js'

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
    return { argument: toJson(decodeValue(payload)) }
  } catch {
    return { argumentBase64: Buffer.from(payload).toString('base64') }
  }
}

/** Milliseconds since 1970 as a date where there is one: `runAt` may be any number. */
function time(ms: number): string | number {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? ms : date.toISOString()
}
