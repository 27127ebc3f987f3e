/** The body of an ERROR frame: a CBOR map with text keys. docs/PROTOCOL.md lists the codes. */
import * as errors from '../errors.js'
import { decodeValue, encodeValue } from './codec.js'
import { isError } from './codec-kinds.js'

interface Failure {
  code: string
  message: string
  executed: errors.Executed
  retryable: boolean
  details?: Record<string, unknown>
  remote?: errors.RemoteFailure
}

/** Text in an ERROR is cut at these lengths, so that an error always fits into a frame. */
const MESSAGE_LIMIT = 16 * 1024
const STACK_LIMIT = 16 * 1024
/** Of the name and the code of what a method threw. */
const NAME_LIMIT = 256
/** Details that make an ERROR longer than this are left out. */
const DETAILED_LIMIT = 128 * 1024

export function encodeFailure(error: errors.OffstageError): Uint8Array {
  const failure: Failure = {
    code: error.code,
    message: clip(error.message, MESSAGE_LIMIT),
    executed: error.executed,
    retryable: error.retryable,
  }
  if (error instanceof errors.RemoteWorkerError && error.remote !== undefined) failure.remote = error.remote
  if (Object.keys(error.details).length === 0) return encodeValue(failure, 'error')
  try {
    const bytes = encodeValue({ ...failure, details: error.details }, 'error')
    if (bytes.length <= DETAILED_LIMIT) return bytes
  } catch {
    // Details are a help, not the news: an error travels without those that cannot be sent.
  }
  return encodeValue(failure, 'error')
}

/** Whatever a worker's method threw, as far as it can travel; never throws itself, whatever that is. */
export function describeThrown(thrown: unknown): errors.RemoteFailure {
  try {
    return describe(thrown)
  } catch {
    return { name: 'Error', message: 'a method threw something that throws again when it is looked at' }
  }
}

function describe(thrown: unknown): errors.RemoteFailure {
  if (!isError(thrown)) {
    return {
      name: 'Error',
      message: clip(`a method threw ${inspectShort(thrown)}, which is not an Error`, MESSAGE_LIMIT),
    }
  }
  const failure: errors.RemoteFailure = {
    name: clip(String(thrown.name), NAME_LIMIT),
    message: clip(String(thrown.message), MESSAGE_LIMIT),
  }
  const code: unknown = 'code' in thrown ? thrown.code : undefined
  if (typeof code === 'string') failure.code = clip(code, NAME_LIMIT)
  else if (typeof code === 'number') failure.code = code
  const { stack } = thrown
  if (typeof stack === 'string') failure.stack = clip(stack, STACK_LIMIT)
  return failure
}

export function decodeFailure(body: Uint8Array, start = 0, end: number = body.length): errors.OffstageError {
  const failure = decodeValue(body, start, end) as Partial<Failure> | null
  const code = typeof failure?.code === 'string' ? failure.code : 'UNKNOWN'
  const message = typeof failure?.message === 'string' ? failure.message : 'the server sent an error without a message'
  const facts: errors.ErrorFacts & { remote?: errors.RemoteFailure } = {
    executed: failure?.executed === 'no' || failure?.executed === 'yes' ? failure.executed : 'maybe',
    retryable: failure?.retryable === true,
  }
  if (isRecord(failure?.details)) facts.details = failure.details
  if (isRecord(failure?.remote)) facts.remote = failure.remote
  return revive(code, message, facts)
}

/** The class that goes with a code; a code that this version does not know keeps its text. */
function revive(code: string, message: string, facts: errors.ErrorFacts): errors.OffstageError {
  switch (code) {
    case 'WORKER_ERROR':
    case 'NO_WORKER':
    case 'NO_METHOD':
    case 'NO_JOB':
    case 'RESULT_NOT_ENCODABLE':
    case 'RESULT_TOO_LARGE':
    case 'CREATE_FAILED':
    case 'BAD_ARGUMENT':
    case 'NO_SCHEDULE':
      return new errors.RemoteWorkerError(code, message, facts)
    case 'NO_JOB_KEY':
      return new errors.NoJobKey(message, facts)
    case 'WORKER_CRASHED':
      return new errors.WorkerCrashed(message, facts)
    case 'WORKER_STOPPED':
      return new errors.WorkerStopped(message, facts)
    case 'WORKER_KEY_IN_USE':
      return new errors.WorkerKeyInUse(message, facts)
    case 'OVERLOADED':
      return new errors.Overloaded(message, facts)
    case 'DEADLINE_EXCEEDED':
      return new errors.DeadlineExceeded(message, facts)
    case 'CANCELLED':
      return new errors.Cancelled(message, facts)
    case 'OUTCOME_UNKNOWN':
      return new errors.OutcomeUnknown(message, facts)
    case 'DRAINING':
      return new errors.Draining(message, facts)
    case 'INVALID_ARGUMENT':
      return new errors.InvalidArgument(message, facts)
    case 'AUTH_FAILED':
      return new errors.AuthenticationFailed(message, facts)
    case 'ACCESS_DENIED':
      return new errors.AccessDenied(message, facts)
    case 'FLOW':
    case 'PROTOCOL':
    case 'UNSUPPORTED':
    case 'UNSUPPORTED_VERSION':
    case 'FRAME_TOO_LARGE':
      return new errors.ProtocolError(message, facts, code)
    default:
      if (code.startsWith('RESULT_STORAGE_')) return new errors.ResultStorageError(code, message, facts)
      if (code.startsWith('STORE_')) return new errors.StoreError(code, message, facts)
      return new errors.OffstageError(code, message, facts)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function clip(text: string, limit: number): string {
  const whole = text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length} characters)`
  return whole.toWellFormed()
}

function inspectShort(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null) return `an object of class ${value.constructor?.name ?? 'null'}`
  return String(value)
}
