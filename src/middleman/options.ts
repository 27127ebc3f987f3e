/**
 * Reads the bag of options of a call, once, into the call. Whatever is wrong is an `InvalidArgument` that names
 * the option, its value and what is allowed; nothing is sent then.
 */
import { randomBytes } from 'node:crypto'
import { InvalidArgument, NoJobKey } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { REQUEST_ID_BYTES, Verb, WhenTaken } from '../wire/envelope.js'
import { LATEST_TIME, LONGEST_KEY, MOST_ATTEMPTS } from '../wire/limits.js'
import type { Call } from './call.js'

/** `setTimeout` takes no more: about 24.8 days. */
const LONGEST_TIMEOUT = 0x7fff_ffff
const EARLIEST = Date.UTC(2000, 0, 1)
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/

const FOR_ALL = 'timeout, signal'
const FOR_SERVERS = `host, ${FOR_ALL}`
const FOR_CALL = `arg (or args), jobKey, ${FOR_SERVERS}, idempotent`
const FOR_ENQUEUE = `${FOR_CALL}, scheduledAt, expiresAt, runTimeout, priority, attempts, uniqueness, atMostOnce`
const FOR_DEQUEUE = `jobKey, ${FOR_SERVERS}`

/** What the options say that is not the call's own business. */
export interface Extras {
  host: string | undefined
}
const extras: Extras = { host: undefined }

/** Options of a worker's method, by whichever of its four names it was called. The answer is read at once. */
export function readOptions(call: Call, options: unknown): Extras {
  extras.host = undefined
  const { verb } = call
  if (options !== undefined) {
    const bag = asBag(options, call)
    let hasArg = false
    for (const name in bag) {
      const value = bag[name]
      if (value === undefined) continue
      switch (name) {
        case 'arg':
        case 'args':
          if (hasArg) throw invalid(call, 'arg and args are two names of one option: give one of them')
          if (verb === Verb.DEQUEUE) throw unknownOption(call, name, FOR_DEQUEUE)
          hasArg = true
          call.payload = encodeValue(value, name)
          break
        case 'jobKey':
          call.jobKey = jobKey(call, value)
          break
        case 'host':
          extras.host = host(call, value)
          break
        case 'idempotent':
          if (verb === Verb.DEQUEUE) throw unknownOption(call, name, FOR_DEQUEUE)
          if (boolean(call, name, value)) {
            call.repeatable = true
            if (verb !== Verb.ENQUEUE) call.requestId = randomBytes(REQUEST_ID_BYTES).toString('latin1')
          }
          break
        default:
          if (!readCommon(call, name, value) && !(verb === Verb.ENQUEUE && readJobOption(call, name, value))) {
            throw unknownOption(call, name, allowedFor(verb))
          }
      }
    }
  }
  if (call.jobKey === '' && (verb === Verb.ENQUEUE || verb === Verb.DEQUEUE)) throw noJobKey(call)
  // Whatever else was said of it: the first one may have run to its end, and then its key is free again.
  if (call.atMostOnce) call.repeatable = false
  return extras
}

/** Options of what is not a worker's method and goes to servers: all of them, or `host`. Returns that. */
export function readServerOptions(call: Call, options: unknown): string {
  let at = 'all'
  if (options === undefined) return at
  const bag = asBag(options, call)
  for (const name in bag) {
    const value = bag[name]
    if (value === undefined) continue
    if (name === 'host') at = host(call, value)
    else if (!readCommon(call, name, value)) throw unknownOption(call, name, FOR_SERVERS)
  }
  return at
}

/** Options of everything else: a deadline and a signal. */
export function readCommonOptions(call: Call, options: unknown): void {
  if (options === undefined) return
  const bag = asBag(options, call)
  for (const name in bag) {
    const value = bag[name]
    if (value !== undefined && !readCommon(call, name, value)) throw unknownOption(call, name, FOR_ALL)
  }
}

/** What calls may have in common: a deadline (-1 for none) and a signal. */
export function readRequestOptions(
  options: unknown,
  whose: string,
): { signal: AbortSignal | undefined; timeout: number } {
  const { signal, timeout, ...unknown } = asBag(options, whose)
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) {
    throw new InvalidArgument(`${whose} has no option ${show(extra)}: allowed are ${FOR_ALL}`)
  }
  if (signal !== undefined && !isSignal(signal)) {
    throw new InvalidArgument(`signal of ${whose} is ${show(signal)}: it has to be an AbortSignal`)
  }
  return { signal, timeout: timeout === undefined ? -1 : timeoutOf(timeout, `timeout of ${whose}`) }
}

/** One entry of `enqueueMany`, without its worker and method. */
export function readJob(call: Call, bag: Record<string, unknown>, at: string): void {
  let hasArg = false
  for (const name in bag) {
    const value = bag[name]
    if (value === undefined || name === 'worker' || name === 'workerKey' || name === 'method') continue
    if (name === 'arg' || name === 'args') {
      if (hasArg) throw invalid(call, `${at} has both arg and args, which are two names of one option`)
      hasArg = true
      call.payload = encodeValue(value, `${at}.${name}`)
    } else if (name === 'jobKey') call.jobKey = jobKey(call, value)
    else if (!readJobOption(call, name, value)) {
      const allowed =
        'worker, workerKey, method, arg (or args), jobKey, scheduledAt, expiresAt, runTimeout, priority, attempts, uniqueness, atMostOnce'
      throw unknownOption(call, `${at}.${name}`, allowed)
    }
  }
  if (call.jobKey === '') throw noJobKey(call, at)
}

/** A text that must be there: the name of a worker, of a method, a key; `of` is what it is a part of. */
export function text(value: unknown, what: string, of = ''): string {
  if (typeof value === 'string' && value !== '' && value.length <= LONGEST_KEY) return value
  throw new InvalidArgument(
    `${of === '' ? '' : `${of}.`}${what} is ${show(value)}: it has to be text of 1 to ${LONGEST_KEY} characters`,
  )
}

/** `whose` is named in the error: a call is asked for its title only then. */
export function asBag(options: unknown, whose: string | { readonly title: string }): Record<string, unknown> {
  if (typeof options === 'object' && options !== null && !Array.isArray(options))
    return options as Record<string, unknown>
  throw new InvalidArgument(
    `${typeof whose === 'string' ? whose : whose.title} takes one bag of options, such as { arg: 42 }, and not ${show(options)}`,
  )
}

export function timeoutOf(value: unknown, what: string): number {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMEOUT) return Math.ceil(value)
  throw new InvalidArgument(
    `${what} is ${show(value)}: it has to be a number of milliseconds over 0, at most ${LONGEST_TIMEOUT}`,
  )
}

export function isSignal(value: unknown): value is AbortSignal {
  return value instanceof AbortSignal
}

/** A value as it stands in a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? 'an invalid Date' : `the date ${value.toISOString()}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

function readCommon(call: Call, name: string, value: unknown): boolean {
  if (name === 'timeout') call.limit = timeoutOf(value, `timeout of ${call.title}`)
  else if (name === 'signal') {
    if (!isSignal(value)) throw wrong(call, name, value, 'an AbortSignal')
    call.signal = value
  } else return false
  return true
}

function readJobOption(call: Call, name: string, value: unknown): boolean {
  switch (name) {
    case 'scheduledAt':
      call.runAt = timeOf(call, name, value)
      return true
    case 'expiresAt':
      call.expiresAt = timeOf(call, name, value)
      return true
    case 'runTimeout':
      call.runTimeout = timeoutOf(value, `runTimeout of ${call.title}`)
      return true
    case 'priority':
      if (!isWholeWithin(value, -0x8000_0000, 0x7fff_ffff)) {
        throw wrong(call, name, value, 'a whole number within 32 bits; the highest runs first')
      }
      call.priority = value
      return true
    case 'attempts':
      if (!isWholeWithin(value, 1, MOST_ATTEMPTS))
        throw wrong(call, name, value, `a whole number from 1 to ${MOST_ATTEMPTS}`)
      call.attempts = value
      return true
    case 'uniqueness':
      call.whenTaken = uniqueness(call, value)
      return true
    case 'atMostOnce':
      call.atMostOnce = boolean(call, name, value)
      return true
    default:
      return false
  }
}

/** A time as an option may say it, in milliseconds since 1970. */
export function timeOf(call: Call, name: string, value: unknown): number {
  let at = Number.NaN
  if (value instanceof Date) at = value.getTime()
  else if (typeof value === 'number') at = Math.round(value)
  else if (typeof value === 'string' && ISO_TIME.test(value)) at = Date.parse(value)
  if (at >= EARLIEST && at <= LATEST_TIME) return at
  const allowed =
    'a Date, an ISO time with its zone such as "2030-01-31T08:00:00Z", or milliseconds since 1970; ' +
    'in the years 2000 to 9999'
  throw wrong(call, name, value, allowed)
}

function uniqueness(call: Call, value: unknown): number {
  if (value === 'reject') return WhenTaken.KEEP
  if (value === 'replace') return WhenTaken.REPLACE
  if (value === 'debounce') return WhenTaken.DEBOUNCE
  throw wrong(call, 'uniqueness', value, "'reject', 'replace' or 'debounce'")
}

function host(call: Call, value: unknown): string {
  if (typeof value === 'string') return value
  throw wrong(call, 'host', value, `'all', 'local' or the address of a server`)
}

function jobKey(call: Call, value: unknown): string {
  if (typeof value === 'string' && value.length <= LONGEST_KEY) {
    if (value !== '') return value
    if (call.verb === Verb.ENQUEUE || call.verb === Verb.DEQUEUE) throw noJobKey(call)
  }
  throw wrong(call, 'jobKey', value, `text of 1 to ${LONGEST_KEY} characters`)
}

function boolean(call: Call, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(call, name, value, 'true or false')
}

function isWholeWithin(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

function allowedFor(verb: number): string {
  return verb === Verb.ENQUEUE ? FOR_ENQUEUE : verb === Verb.DEQUEUE ? FOR_DEQUEUE : FOR_CALL
}

function noJobKey(call: Call, at = ''): NoJobKey {
  const what = call.verb === Verb.DEQUEUE ? 'Removing a job from' : 'Adding a job to'
  return new NoJobKey(
    `${at === '' ? '' : `${at}: `}${what} the queue of ${call.title} needs a jobKey, which names the job; nothing was sent`,
  )
}

function wrong(call: Call, name: string, value: unknown, allowed: string): InvalidArgument {
  return invalid(call, `${name} is ${show(value)}: it has to be ${allowed}`)
}

function unknownOption(call: Call, name: string, allowed: string): InvalidArgument {
  return invalid(call, `there is no option ${show(name)}: allowed are ${allowed}`)
}

function invalid(call: Call, what: string): InvalidArgument {
  return new InvalidArgument(`in the call to ${call.title}, ${what}`)
}
