/**
 * The envelope of a CALL: a CBOR map with small whole numbers as keys (as COSE has them, RFC 9052), in front
 * of the argument bytes. The server reads the envelope and passes the argument on as it is.
 *
 * It is read straight from the receive buffer by the strict rules of docs/PROTOCOL.md: definite lengths,
 * no key twice, valid UTF-8, whole numbers within ±2^53. Keys that this version does not know are skipped.
 */
import { isUtf8 } from 'node:buffer'
import { ProtocolError } from '../errors.js'
import { writeNumber, writeText } from './envelope-text.js'
import { validate } from './validate.js'

/** What a CALL asks for. */
export const Verb = {
  CALL: 0,
  ASYNC: 1,
  ENQUEUE: 2,
  DEQUEUE: 3,
  ASK_RESULT: 4,
  RESET_RESULT: 5,
  NEW_WORKER: 6,
  DELETE: 7,
  WORKER_INFO: 8,
  ALL_WORKER_INFO: 9,
  ENQUEUE_MANY: 10,
  PAUSE: 11,
  RESUME: 12,
  LIST_JOBS: 13,
  RESCHEDULE: 14,
  SCHEDULES: 15,
  PAUSE_SCHEDULE: 16,
  RESUME_SCHEDULE: 17,
  RUN_SCHEDULE: 18,
  JOB: 19,
  JOB_RESULT: 20,
  CANCEL_JOB: 21,
  ENQUEUE_EACH: 22,
  RETRY_JOB: 23,
  DELETE_JOB: 24,
} as const

const LAST_VERB = 24

export const REQUEST_ID_BYTES = 16

const Key = {
  VERB: 0,
  WORKER: 1,
  WORKER_KEY: 2,
  METHOD: 3,
  JOB_KEY: 4,
  TIMEOUT: 5,
  RUN_AT: 6,
  PRIORITY: 7,
  ATTEMPTS: 8,
  AT_MOST_ONCE: 9,
  REQUEST_ID: 10,
  EXPIRES_AT: 11,
  RUN_TIMEOUT: 12,
  SCHEDULE: 13,
  JOB: 14,
  KNOWN: 15,
  WHEN_TAKEN: 16,
  JOB_ID: 64,
  ATTEMPT: 65,
} as const

/** What an ENQUEUE does to the job that waits under its key. */
export const WhenTaken = { KEEP: 0, REPLACE: 1, DEBOUNCE: 2 } as const

export interface Envelope {
  verb: number
  worker: string
  workerKey: string
  method: string
  /** '' when the call has none. */
  jobKey: string
  /** Milliseconds left until the caller's deadline; -1 for none. */
  timeout: number
  /** Wall-clock milliseconds since 1970, for an enqueue; -1 for now. */
  runAt: number
  priority: number
  /** Highest number of starts of a job; 0 for the server's default. */
  attempts: number
  atMostOnce: boolean
  /** Wall-clock milliseconds since 1970 from which on a job is not started; 0 for never. */
  expiresAt: number
  /** Milliseconds that one run of a job may take; 0 for as long as the worker lets it. */
  runTimeout: number
  /** One of `WhenTaken`. */
  whenTaken: number
  /** 16 bytes, as latin1, of a call that may come again; '' for none. */
  requestId: string
  /** CBOR, of a new worker: what calls its methods at certain times. Empty for none. */
  schedule: Uint8Array
  /** Id of the job that the call is about; 0 when its key says which. */
  job: number
  /** The version of its status that the caller has; '' for none. */
  known: string
  /** Of a queued job that runs; between supervisor and host only. 0 for none. */
  jobId: number
  attempt: number
  /** Offset of the argument bytes, set by the decoder. */
  payloadAt: number
}

/** One for all envelopes without a schedule. */
export const NOTHING_SCHEDULED = new Uint8Array(0)

/** An envelope with nothing but a verb. Every envelope has this one shape, which keeps property access fast. */
export function envelope(verb: number, worker = '', workerKey = '', method = '', jobKey = ''): Envelope {
  return {
    verb,
    worker,
    workerKey,
    method,
    jobKey,
    timeout: -1,
    runAt: -1,
    priority: 0,
    attempts: 0,
    atMostOnce: false,
    expiresAt: 0,
    runTimeout: 0,
    whenTaken: WhenTaken.KEEP,
    requestId: '',
    schedule: NOTHING_SCHEDULED,
    job: 0,
    known: '',
    jobId: 0,
    attempt: 0,
    payloadAt: 0,
  }
}

/** More bytes than the envelope can take: three per UTF-16 unit, and room for keys and numbers. */
export function envelopeBound(e: Envelope): number {
  const units = e.worker.length + e.workerKey.length + e.method.length + e.jobKey.length + e.known.length
  return 160 + 3 * units + e.schedule.length
}

/** Writes the envelope at `at`, where `envelopeBound` bytes are free, and returns the offset after it. */
export function writeEnvelope(to: Buffer, at: number, e: Envelope): number {
  let fields = 1
  let pos = at + 1
  to[pos++] = Key.VERB
  pos = writeNumber(to, pos, e.verb)
  if (e.worker !== '') {
    fields++
    to[pos++] = Key.WORKER
    pos = writeText(to, pos, e.worker)
  }
  if (e.workerKey !== '') {
    fields++
    to[pos++] = Key.WORKER_KEY
    pos = writeText(to, pos, e.workerKey)
  }
  if (e.method !== '') {
    fields++
    to[pos++] = Key.METHOD
    pos = writeText(to, pos, e.method)
  }
  if (e.jobKey !== '') {
    fields++
    to[pos++] = Key.JOB_KEY
    pos = writeText(to, pos, e.jobKey)
  }
  if (e.timeout >= 0) {
    fields++
    to[pos++] = Key.TIMEOUT
    pos = writeNumber(to, pos, e.timeout)
  }
  if (e.runAt >= 0) {
    fields++
    to[pos++] = Key.RUN_AT
    pos = writeNumber(to, pos, e.runAt)
  }
  if (e.priority !== 0) {
    fields++
    to[pos++] = Key.PRIORITY
    pos = writeNumber(to, pos, e.priority)
  }
  if (e.attempts !== 0) {
    fields++
    to[pos++] = Key.ATTEMPTS
    pos = writeNumber(to, pos, e.attempts)
  }
  if (e.atMostOnce) {
    fields++
    to[pos++] = Key.AT_MOST_ONCE
    to[pos++] = 0xf5
  }
  if (e.requestId !== '') {
    fields++
    to[pos++] = Key.REQUEST_ID
    to[pos++] = 0x40 | REQUEST_ID_BYTES
    pos += to.write(e.requestId, pos, REQUEST_ID_BYTES, 'latin1')
  }
  if (e.expiresAt > 0) {
    fields++
    to[pos++] = Key.EXPIRES_AT
    pos = writeNumber(to, pos, e.expiresAt)
  }
  if (e.runTimeout > 0) {
    fields++
    to[pos++] = Key.RUN_TIMEOUT
    pos = writeNumber(to, pos, e.runTimeout)
  }
  if (e.schedule.length > 0) {
    fields++
    to[pos++] = Key.SCHEDULE
    to.set(e.schedule, pos)
    pos += e.schedule.length
  }
  if (e.job !== 0) {
    fields++
    to[pos++] = Key.JOB
    pos = writeNumber(to, pos, e.job)
  }
  if (e.known !== '') {
    fields++
    to[pos++] = Key.KNOWN
    pos = writeText(to, pos, e.known)
  }
  if (e.whenTaken !== WhenTaken.KEEP) {
    fields++
    to[pos++] = Key.WHEN_TAKEN
    pos = writeNumber(to, pos, e.whenTaken)
  }
  if (e.jobId !== 0) {
    fields += 2
    to[pos++] = 0x18
    to[pos++] = Key.JOB_ID
    pos = writeNumber(to, pos, e.jobId)
    to[pos++] = 0x18
    to[pos++] = Key.ATTEMPT
    pos = writeNumber(to, pos, e.attempt)
  }
  to[at] = 0xa0 | fields
  return pos
}

/**
 * Reads the envelope that starts at `start`; `payloadAt` of the answer is where the argument bytes begin. Its `schedule` is a
 * part of `bytes`.
 */
export function readEnvelope(bytes: Buffer, start: number, end: number): Envelope {
  const e = envelope(-1)
  cursor = start
  const head = start < end ? bytes[start]! : 0
  if (head >> 5 !== 5) throw new ProtocolError('the envelope of a CALL is not a CBOR map')
  const fields = readHead(bytes, end)
  let seen = 0
  for (let i = 0; i < fields; i++) {
    const keyAt = cursor
    if (keyAt >= end || bytes[keyAt]! >> 5 !== 0) throw wrong('a key is not a whole number from 0')
    const key = readHead(bytes, end)
    const bit = key < 30 ? 1 << key : key === Key.JOB_ID ? 1 << 30 : 0
    if ((seen & bit) !== 0) throw wrong(`key ${key} stands twice`)
    seen |= bit
    switch (key) {
      case Key.VERB:
        e.verb = readNumber(bytes, end, 'verb')
        break
      case Key.WORKER:
        e.worker = lastWorker = readText(bytes, end, 'worker', lastWorker)
        break
      case Key.WORKER_KEY:
        e.workerKey = lastWorkerKey = readText(bytes, end, 'worker key', lastWorkerKey)
        break
      case Key.METHOD:
        e.method = lastMethod = readText(bytes, end, 'method', lastMethod)
        break
      case Key.JOB_KEY:
        e.jobKey = readText(bytes, end, 'job key', '')
        break
      case Key.TIMEOUT:
        e.timeout = atLeast(0, readNumber(bytes, end, 'timeout'), 'timeout')
        break
      case Key.RUN_AT:
        e.runAt = atLeast(0, readNumber(bytes, end, 'time'), 'time')
        break
      case Key.PRIORITY:
        e.priority = readNumber(bytes, end, 'priority')
        break
      case Key.ATTEMPTS:
        e.attempts = atLeast(1, readNumber(bytes, end, 'attempts'), 'attempts')
        break
      case Key.AT_MOST_ONCE:
        e.atMostOnce = readBoolean(bytes, end, 'at most once')
        break
      case Key.REQUEST_ID:
        e.requestId = readRequestId(bytes, end)
        break
      case Key.EXPIRES_AT:
        e.expiresAt = atLeast(1, readNumber(bytes, end, 'time of expiry'), 'time of expiry')
        break
      case Key.RUN_TIMEOUT:
        e.runTimeout = atLeast(1, readNumber(bytes, end, 'time limit'), 'time limit')
        break
      case Key.SCHEDULE: {
        const from = cursor
        cursor = validate(bytes, cursor, end)
        e.schedule = bytes.subarray(from, cursor)
        break
      }
      case Key.JOB:
        e.job = atLeast(1, readNumber(bytes, end, 'job'), 'job')
        break
      case Key.KNOWN:
        e.known = readText(bytes, end, 'known version', '')
        break
      case Key.WHEN_TAKEN:
        e.whenTaken = atLeast(0, readNumber(bytes, end, 'rule for a taken key'), 'rule for a taken key')
        break
      case Key.JOB_ID:
        e.jobId = readNumber(bytes, end, 'job id')
        break
      case Key.ATTEMPT:
        e.attempt = readNumber(bytes, end, 'attempt')
        break
      default:
        cursor = validate(bytes, cursor, end)
    }
  }
  if (e.verb < 0 || e.verb > LAST_VERB) throw wrong(`verb ${e.verb} is unknown: this side knows 0 to ${LAST_VERB}`)
  e.payloadAt = cursor
  return e
}

/** Where the reader is: one envelope is read at a time, and a closure or an object per call would cost more. */
let cursor = 0

/** Names come in runs: one that is the same as the last is not made again, and jobs then share it. */
let lastWorker = ''
let lastWorkerKey = ''
let lastMethod = ''

function wrong(what: string): ProtocolError {
  return new ProtocolError(`in the envelope of a CALL, ${what}`)
}

function atLeast(least: number, value: number, field: string): number {
  if (value < least) throw wrong(`the ${field} is ${value}: at least ${least}`)
  return value
}

/** The argument of a CBOR head at the cursor, which moves behind it. */
function readHead(bytes: Buffer, end: number): number {
  if (cursor >= end) throw wrong('the bytes end too early')
  const info = bytes[cursor++]! & 0x1f
  if (info < 24) return info
  if (info > 27) throw wrong('a length is indefinite or reserved')
  const width = 1 << (info - 24)
  if (cursor + width > end) throw wrong('the bytes end too early')
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + bytes[cursor++]!
  if (value > Number.MAX_SAFE_INTEGER) throw wrong('a number is over 2^53 - 1')
  return value
}

function readNumber(bytes: Buffer, end: number, field: string): number {
  const major = cursor < end ? bytes[cursor]! >> 5 : 0
  if (major > 1) throw wrong(`the ${field} is not a whole number`)
  const value = readHead(bytes, end)
  return major === 0 ? value : -1 - value
}

function readBoolean(bytes: Buffer, end: number, field: string): boolean {
  const byte = cursor < end ? bytes[cursor++]! : 0
  if (byte !== 0xf4 && byte !== 0xf5) throw wrong(`${field} is neither true nor false`)
  return byte === 0xf5
}

function readRequestId(bytes: Buffer, end: number): string {
  const to = cursor + 1 + REQUEST_ID_BYTES
  if (to > end || bytes[cursor] !== (0x40 | REQUEST_ID_BYTES)) {
    throw wrong(`the request id is not a byte string of ${REQUEST_ID_BYTES}`)
  }
  const id = bytes.toString('latin1', cursor + 1, to)
  cursor = to
  return id
}

/** `expected` is returned when the text is the same and ASCII. */
function readText(bytes: Buffer, end: number, field: string, expected: string): string {
  if (cursor < end && bytes[cursor]! >> 5 !== 3) throw wrong(`the ${field} is not text`)
  const length = readHead(bytes, end)
  const from = cursor
  const to = from + length
  if (to > end) throw wrong(`the ${field} is longer than the frame`)
  cursor = to
  let same = length === expected.length
  for (let i = from; i < to; i++) {
    if (same && bytes[i] !== expected.charCodeAt(i - from)) same = false
    if (bytes[i]! > 0x7f) {
      if (!isUtf8(bytes.subarray(from, to))) throw wrong(`the ${field} is not valid UTF-8`)
      return bytes.toString('utf8', from, to)
    }
  }
  return same ? expected : bytes.toString('latin1', from, to)
}
