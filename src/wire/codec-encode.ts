/**
 * Writes a JavaScript value as CBOR, in one walk that finds what cannot be sent on its way: every getter is
 * read once, so what was checked is what is written. `codec.ts` has the table of what becomes what.
 */
import { CannotEncode } from '../errors.js'
import { describeKind, isAnyArrayBuffer, isDate, isError, isMap, isPlain, isSet, typedArrayTag } from './codec-kinds.js'
import { describePath, SAME } from './codec-path.js'
import { MAX_BIGNUM, MAX_DEPTH, MAX_ITEMS, Tag } from './codec-tags.js'

/** Bytes of a slab. Small values share one; each slab is filled once and never written again. */
const SLAB = 16 * 1024
/** A value begins in a fresh slab when less than this is left of the old one. */
const ROOM_TO_START = 1024
/** Text up to this many UTF-16 units is written here; longer text by the native function. */
const SHORT_TEXT = 48
/** Text from here on is measured first: room for three bytes a unit would be too much to set aside. */
const MEASURED_TEXT = 4096

let slab: Buffer = Buffer.allocUnsafeSlow(SLAB)
let start = 0
let pos = 0
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
  if (slab.length - pos < ROOM_TO_START) {
    slab = Buffer.allocUnsafeSlow(SLAB)
    pos = 0
  }
  start = pos
  itemsLeft = MAX_ITEMS - 1
  depthNow = 0
  try {
    write(value, 0)
    const bytes = slab.subarray(start, pos)
    // A grown slab belongs to its one value.
    if (slab.length > SLAB) pos = slab.length
    return bytes
  } catch (error) {
    pos = start
    throw named(error, value, rootName)
  } finally {
    busy = false
  }
}

/** A getter of a value that is being written called for another: that one gets a slab and a path of its own. */
function encodeInside(value: unknown, rootName: string): Uint8Array {
  const outer = { slab, start, pos, itemsLeft, path, depthNow }
  slab = Buffer.allocUnsafeSlow(ROOM_TO_START)
  pos = 0
  path = new Array(MAX_DEPTH).fill('')
  busy = false
  try {
    return encodeValue(value, rootName)
  } finally {
    ;({ slab, start, pos, itemsLeft, path, depthNow } = outer)
    busy = true
  }
}

/** Carries the reason to `encodeValue`, which knows where the walk was. */
class Refused {
  constructor(readonly reason: string) {}
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
    byteString(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength)
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
    byteString(value, 0, value.byteLength)
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
  head(0x40, length)
  room(length)
  pos += slab.write(hex, pos, 'hex')
}

function number(value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0) head(0, value)
    else head(0x20, -1 - value)
    return
  }
  room(9)
  if (value - value !== 0 || value === 0) {
    // NaN, the infinities and -0 have the same bits in every width.
    slab[pos] = 0xf9
    slab[pos + 1] = Number.isNaN(value) ? 0x7e : value === 0 ? 0x80 : value > 0 ? 0x7c : 0xfc
    slab[pos + 2] = 0
    pos += 3
    return
  }
  slab[pos] = 0xfb
  slab.writeDoubleBE(value, pos + 1)
  pos += 9
}

function byte(value: number): void {
  room(1)
  slab[pos++] = value
}

function head(major: number, value: number): void {
  room(9)
  pos = headAt(pos, major, value)
}

function headAt(at: number, major: number, value: number): number {
  if (value < 24) {
    slab[at] = major | value
    return at + 1
  }
  if (value < 0x100) {
    slab[at] = major | 24
    slab[at + 1] = value
    return at + 2
  }
  if (value < 0x1_0000) {
    slab[at] = major | 25
    slab[at + 1] = value >>> 8
    slab[at + 2] = value
    return at + 3
  }
  if (value < 0x1_0000_0000) {
    slab[at] = major | 26
    return slab.writeUInt32BE(value, at + 1)
  }
  slab[at] = major | 27
  slab.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1)
  return slab.writeUInt32BE(value >>> 0, at + 5)
}

function headBytes(value: number): number {
  return value < 24 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : value < 0x1_0000_0000 ? 5 : 9
}

function text(value: string): void {
  const length = value.length
  if (length > SHORT_TEXT || !shortText(value, length)) longText(value)
}

/** Writes ASCII; false, with nothing written, when it meets anything else. */
function shortText(value: string, length: number): boolean {
  room(length + 2)
  const bytes = slab
  const from = length < 24 ? pos + 1 : pos + 2
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0x7f) return false
    bytes[from + i] = unit
  }
  if (length < 24) bytes[pos] = 0x60 | length
  else {
    bytes[pos] = 0x78
    bytes[pos + 1] = length
  }
  pos = from + length
  return true
}

function longText(value: string): void {
  if (!value.isWellFormed()) throw new Refused('is text with half a surrogate pair, which')
  const length = value.length
  if (length > MEASURED_TEXT) {
    const bytes = Buffer.byteLength(value)
    head(0x60, bytes)
    room(bytes)
    pos += slab.write(value, pos)
    return
  }
  room(9 + 3 * length)
  // The head is as wide as ASCII text needs it; when the text turns out longer, it moves.
  const guess = headBytes(length)
  const written = slab.write(value, pos + guess)
  const width = headBytes(written)
  if (width !== guess) slab.copyWithin(pos + width, pos + guess, pos + guess + written)
  headAt(pos, 0x60, written)
  pos += width + written
}

function byteString(buffer: ArrayBufferLike, offset: number, length: number): void {
  head(0x40, length)
  room(length)
  slab.set(new Uint8Array(buffer, offset, length), pos)
  pos += length
}

function room(bytes: number): void {
  if (pos + bytes > slab.length) grow(bytes)
}

/** Moves the value on hand to a slab that is large enough, which it then has for itself. */
function grow(bytes: number): void {
  const written = pos - start
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * SLAB, 2 * written, written + bytes + SLAB))
  larger.set(slab.subarray(start, pos))
  slab = larger
  start = 0
  pos = written
}
