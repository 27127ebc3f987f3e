/** LIST_JOBS: what a client asks for, and a page of jobs that fits into a frame. */
import { InvalidArgument } from '../errors.js'
import type { JobFilter, JobInfo, JobState } from '../persistence/store.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import type { Envelope } from '../wire/envelope.js'

const STATES: readonly unknown[] = ['scheduled', 'ready', 'active', 'dead'] satisfies JobState[]
const DEFAULT_LIMIT = 100
const MOST = 1_000
/** Bytes of a page; a body of at least 4096 bytes is always taken, so one job of the longest names always fits. */
const PAGE_BYTES = 512 * 1024
/** UTF-16 units of a failure's message in a list. The whole of it is in the information about a single job. */
const MESSAGE_UNITS = 500

/** The jobs of all workers when the envelope names none. Throws `InvalidArgument`. */
export function jobFilter({ worker, workerKey }: Envelope, argument: Uint8Array): JobFilter & { limit: number } {
  const wanted: unknown = argument.length === 0 ? {} : decodeValue(argument)
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) throw wrong('it', 'a map')
  const { jobKey, state, after = 0, limit = DEFAULT_LIMIT, anyKey = false, ...rest } = wanted as Record<string, unknown>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw wrong(unknown, 'absent: known are jobKey, state, after, limit, anyKey')
  if (jobKey !== undefined && typeof jobKey !== 'string') throw wrong('jobKey', 'text')
  if (state !== undefined && !STATES.includes(state)) throw wrong('state', `one of ${STATES.join(', ')}`)
  if (!isWhole(after)) throw wrong('after', 'the id of a job')
  if (!isWhole(limit) || limit < 1 || limit > MOST) throw wrong('limit', `a whole number from 1 to ${MOST}`)
  if (typeof anyKey !== 'boolean') throw wrong('anyKey', 'true or false')
  return {
    ...(worker === '' ? {} : { worker }),
    ...(worker === '' || anyKey ? {} : { workerKey }),
    ...(jobKey === undefined ? {} : { jobKey }),
    ...(state === undefined ? {} : { state: state as JobState }),
    after,
    limit,
  }
}

/** `{ jobs, more }`: whether there may be others behind the last one. */
export function encodeJobList(found: readonly JobInfo[], limit: number): Uint8Array {
  const jobs: unknown[] = []
  let bytes = 0
  for (const info of found) {
    const job = shortened(info)
    bytes += encodeValue(job).length
    if (bytes > PAGE_BYTES && jobs.length > 0) break
    jobs.push(job)
  }
  return encodeValue({ jobs, more: jobs.length < found.length || found.length === limit })
}

function shortened({ failure, ...info }: JobInfo): object {
  if (failure === undefined) return info
  const { name, message } = failure
  return { ...info, failure: { name, message: message.slice(0, MESSAGE_UNITS).toWellFormed() } }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function wrong(what: string, allowed: string): InvalidArgument {
  return new InvalidArgument(`in the filter of a list of jobs, ${what} has to be ${allowed}`)
}
