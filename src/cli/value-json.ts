/**
 * Values of calls as JSON, and back. What JSON has no word for is an object with one key that begins with `$`; an object
 * that has just such a key itself gets another `$` in front of it (docs/CLI.md).
 */
import { InvalidArgument } from '../errors.js'

/** For `JSON.stringify`. */
export function toJson(value: unknown): unknown {
  if (value === undefined) return { $undefined: true }
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { $number: shown(value) }
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Array.from(value, toJson)
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (value instanceof Map) return { $map: [...value].map(([key, item]) => [toJson(key), toJson(item)]) }
  if (value instanceof Set) return { $set: [...value].map(toJson) }
  if (value instanceof Error) return { $error: { name: value.name, message: value.message } }
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString('base64') }
  if (ArrayBuffer.isView(value)) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  }
  const entries = Object.entries(value)
  const [first] = entries
  if (entries.length === 1 && first![0].startsWith('$')) return { [`$${first![0]}`]: toJson(first![1]) }
  return Object.fromEntries(entries.map(([key, item]) => [key, toJson(item)]))
}

/** The value that was parsed JSON stands for. Throws `InvalidArgument` for a form that there is not. */
export function fromJson(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map(fromJson)
  const entries = Object.entries(json)
  const [first] = entries
  if (entries.length === 1 && first![0].startsWith('$')) return fromForm(...first!)
  return Object.fromEntries(entries.map(([key, item]) => [key, fromJson(item)]))
}

function fromForm(form: string, content: unknown): unknown {
  if (form.startsWith('$$')) return Object.fromEntries([[form.slice(1), fromJson(content)]])
  const revive = REVIVERS.get(form)
  if (revive === undefined) {
    throw new InvalidArgument(
      `there is no form ${form}: there are ${[...REVIVERS.keys()].join(', ')}; for an object with that key write "$${form}"`,
    )
  }
  const value = revive(content)
  if (value === WRONG) throw new InvalidArgument(`${JSON.stringify(content)} is no content for ${form}`)
  return value
}

const WRONG = Symbol('wrong')

const REVIVERS = new Map<string, (content: unknown) => unknown>([
  ['$undefined', () => undefined],
  ['$number', (text) => NUMBERS.get(text) ?? WRONG],
  ['$bigint', (text) => (typeof text === 'string' && /^-?\d+$/.test(text) ? BigInt(text) : WRONG)],
  ['$date', dateOf],
  ['$bytes', (text) => (typeof text === 'string' && BASE64.test(text) ? Buffer.from(text, 'base64') : WRONG)],
  ['$map', mapOf],
  ['$set', (items) => (Array.isArray(items) ? new Set(items.map(fromJson)) : WRONG)],
  ['$error', errorOf],
])

const ISO_TIME = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/

function dateOf(text: unknown): unknown {
  if (text === null) return new Date(Number.NaN)
  const ms = typeof text === 'string' && ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? WRONG : new Date(ms)
}

function mapOf(pairs: unknown): unknown {
  const sound = Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2)
  return sound ? new Map(fromJson(pairs) as [unknown, unknown][]) : WRONG
}

function errorOf(facts: unknown): unknown {
  const { name, message } = (facts ?? {}) as { name?: unknown; message?: unknown }
  if (typeof name !== 'string' || typeof message !== 'string') return WRONG
  return Object.defineProperty(new Error(message), 'name', { value: name })
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const NUMBERS = new Map<unknown, number>(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0].map((number) => [shown(number), number]),
)

function shown(number: number): string {
  return Object.is(number, -0) ? '-0' : String(number)
}
