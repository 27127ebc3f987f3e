/**
 * Writes a JavaScript value as CBOR, in one walk that finds what cannot be sent on its way: every getter is
 * read once, so what was checked is what is written. `codec.ts` has the table of what becomes what.
 */
import { CannotEncode } from '../errors.js'
import { describeKind, isAnyArrayBuffer, isDate, isError, isMap, isPlain, isSet, typedArrayTag } from './codec-kinds.js'
import { describePath, SAME } from './codec-path.js'
import { MAX_BIGNUM, MAX_DEPTH, MAX_ITEMS, Tag } from './codec-tags.js'
import { begin, byte, byteString, finish, head, number, Refused, stepAside, stepBack, text } from './codec-writer.js'

let itemsLeft = 0
let busy = false
/** The key taken in each open container; what lies behind the current depth is stale. */
let path: unknown[] = new Array(MAX_DEPTH).fill('')
/** The depth of the item being written, for the path of an error. */
let depthNow = 0

/**
 * The value as CBOR. `rootName` begins the path in an error's message: `argument.user.items[3].callback`.
 * The bytes are the caller's and never change; small ones share a slab of 16 KiB with their neighbours, so
 * whoever keeps them for long copies them.
 */
export function encodeValue(value: unknown, rootName = 'value'): Uint8Array {
  if (busy) return encodeInside(value, rootName)
  busy = true
  begin()
  itemsLeft = MAX_ITEMS - 1
  depthNow = 0
  try {
    write(value, 0)
    return finish()
  } catch (error) {
    throw named(error, value, rootName)
  } finally {
    busy = false
  }
}

/** A getter of a value that is being written called for another: that one gets a slab and a path of its own. */
function encodeInside(value: unknown, rootName: string): Uint8Array {
  const outer = { itemsLeft, path, depthNow }
  const writer = stepAside()
  path = new Array(MAX_DEPTH).fill('')
  busy = false
  try {
    return encodeValue(value, rootName)
  } finally {
    stepBack(writer)
    ;({ itemsLeft, path, depthNow } = outer)
    busy = true
  }
}

function named(error: unknown, root: unknown, rootName: string): CannotEncode {
  const at = describePath(root, rootName, path.slice(0, depthNow))
  const details = { path: at.text }
  if (!(error instanceof Refused)) {
    const message = error instanceof Error ? error.message : String(error)
    return new CannotEncode(`${at.text} cannot be read: ${message}`, { cause: error, details })
  }
  const reason = at.cycle === undefined ? error.reason : `is ${at.cycle} again: a value that contains itself`
  return new CannotEncode(`${at.text} ${reason} cannot be sent`, { details })
}

function write(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      text(value)
      return
    case 'number':
      number(value)
      return
    case 'boolean':
      byte(value ? 0xf5 : 0xf4)
      return
    case 'undefined':
      byte(0xf7)
      return
    case 'object':
      if (value === null) byte(0xf6)
      else if (Array.isArray(value)) array(value, depth)
      else object(value, depth)
      return
    case 'bigint':
      bigint(value)
      return
    default:
      throw new Refused(`is ${describeKind(value)}, which`)
  }
}

function object(value: object, depth: number): void {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Object.prototype || isPlain(prototype)) plain(value as Record<string, unknown>, depth)
  else special(value, depth)
}

function plain(value: Record<string, unknown>, depth: number): void {
  const keys = Object.keys(value)
  enter(2 * keys.length, depth)
  head(0xa0, keys.length)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    path[depth] = key
    depthNow = depth + 1
    if (key === '__proto__') throw new Refused('is a key that could change the prototype of an object, which')
    text(key)
    write(value[key], depth + 1)
  }
  depthNow = depth
}

function array(value: readonly unknown[], depth: number): void {
  const length = value.length
  enter(length, depth)
  head(0x80, length)
  for (let i = 0; i < length; i++) {
    path[depth] = i
    depthNow = depth + 1
    write(value[i], depth + 1)
  }
  depthNow = depth
}

function special(value: object, depth: number): void {
  const tag = typedArrayTag(value)
  if (tag !== 0) {
    const view = value as Uint8Array
    if (!Buffer.isBuffer(value)) tagged(tag)
    byteString(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  } else if (isDate(value)) date(value)
  else if (isMap(value)) map(value, depth)
  else if (isSet(value)) {
    tagged(Tag.SET)
    array([...Set.prototype.values.call(value)], depth)
  } else if (isAnyArrayBuffer(value)) {
    tagged(Tag.OBJECT)
    enter(2, depth)
    head(0x80, 2)
    text('ArrayBuffer')
    byteString(new Uint8Array(value))
  } else if (isError(value)) failure(value, depth)
  else throw new Refused(`is ${describeKind(value)}, which has no rule and`)
}

function date(value: Date): void {
  const seconds = Date.prototype.getTime.call(value) / 1000
  tagged(Tag.EPOCH)
  number(seconds)
}

function map(value: Map<unknown, unknown>, depth: number): void {
  tagged(Tag.MAP)
  // A copy: a getter among the values could change the Map under the walk, after its size was written.
  const entries = [...Map.prototype.entries.call(value)]
  enter(2 * entries.length, depth)
  head(0xa0, entries.length)
  for (let i = 0; i < entries.length; i++) {
    const [key, item] = entries[i]!
    path[depth] = key
    depthNow = depth + 1
    if (typeof key === 'object' && key !== null) throw new Refused('has an object as its key in a Map, which')
    write(key, depth + 1)
    write(item, depth + 1)
  }
  depthNow = depth
}

function failure(error: Error, depth: number): void {
  tagged(Tag.OBJECT)
  const facts: Record<string, unknown> = {
    name: String(error.name).toWellFormed(),
    message: String(error.message).toWellFormed(),
  }
  const code: unknown = 'code' in error ? error.code : undefined
  if (typeof code === 'string' || typeof code === 'number') facts.code = code
  const stack: unknown = error.stack
  if (typeof stack === 'string') facts.stack = stack.toWellFormed()
  if (Object.hasOwn(error, 'cause')) facts.cause = error.cause
  enter(2, depth)
  head(0x80, 2)
  text('Error')
  path[depth] = SAME
  plain(facts, depth + 1)
}

function enter(count: number, depth: number): void {
  if (depth >= MAX_DEPTH) throw new Refused(`lies deeper than ${MAX_DEPTH} objects inside each other, which`)
  itemsLeft -= count
  if (itemsLeft < 0) throw new Refused(`brings the value over ${MAX_ITEMS} items, which`)
}

function tagged(tag: number): void {
  if (--itemsLeft < 0) throw new Refused(`brings the value over ${MAX_ITEMS} items, which`)
  head(0xc0, tag)
}

function bigint(value: bigint): void {
  const negative = value < 0n
  let hex = (negative ? -1n - value : value).toString(16)
  if (hex === '0') hex = ''
  if (hex.length % 2 === 1) hex = `0${hex}`
  const length = hex.length / 2
  if (length > MAX_BIGNUM) throw new Refused(`is a bigint of more than ${MAX_BIGNUM} bytes, which`)
  tagged(negative ? Tag.NEGATIVE_BIGNUM : Tag.POSITIVE_BIGNUM)
  byteString(Buffer.from(hex, 'hex'))
}
