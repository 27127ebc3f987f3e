/**
 * `this.logger` of a worker: called like pino's, with fields and a message, or either. A line knows the call
 * that wrote it, and travels to the supervisor's logger.
 */
import { inspect } from 'node:util'
import { encodeValue } from '../wire/codec.js'
import { calls } from './call.js'
import type { Level, LogLine } from './messages.js'

export class WorkerLogger {
  readonly #write: (encodedLine: Uint8Array) => void

  constructor(write: (encodedLine: Uint8Array) => void) {
    this.#write = write
  }

  debug(fields: unknown, message?: string): void {
    this.#line('debug', fields, message)
  }

  info(fields: unknown, message?: string): void {
    this.#line('info', fields, message)
  }

  warn(fields: unknown, message?: string): void {
    this.#line('warn', fields, message)
  }

  error(fields: unknown, message?: string): void {
    this.#line('error', fields, message)
  }

  #line(level: Level, what: unknown, message: string | undefined): void {
    const call = calls.getStore()
    const line: LogLine = { level, fields: fieldsOf(what), method: call?.method ?? '', jobKey: call?.jobKey ?? '' }
    const text = message ?? textOf(what)
    if (text !== undefined) line.message = text.toWellFormed()
    this.#write(encodeLine(line))
  }
}

function fieldsOf(what: unknown): Record<string, unknown> {
  if (what instanceof Error) return { err: what }
  return typeof what === 'object' && what !== null ? (what as Record<string, unknown>) : {}
}

function textOf(what: unknown): string | undefined {
  if (what instanceof Error) return what.message
  if (typeof what === 'object' && what !== null) return undefined
  return String(what)
}

/** A log line is never a reason to fail: what cannot be encoded is written as text. */
function encodeLine(line: LogLine): Uint8Array {
  try {
    return encodeValue(line, 'line')
  } catch {
    // Not swallowed: the field's text says what it was.
    const fields: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(line.fields)) fields[key.toWellFormed()] = sendable(value)
    return encodeValue({ ...line, fields }, 'line')
  }
}

function sendable(value: unknown): unknown {
  try {
    encodeValue(value, 'field')
    return value
  } catch {
    return inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY }).toWellFormed()
  }
}
