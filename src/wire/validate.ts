/**
 * The strict CBOR profile of docs/PROTOCOL.md, checked on the bytes before anything is built from them.
 *
 * One pass, recursion bounded by MAX_DEPTH, no allocation on the way (two scratch arrays grow once; text of
 * 512 bytes and more gets a view, for the native UTF-8 check).
 */
import { isUtf8 } from 'node:buffer'
import { ProtocolError } from '../errors.js'
import { elementSize, MAX_BIGNUM, MAX_DEPTH, MAX_ITEMS, Tag } from './codec-tags.js'
import { checkUnique, KEY_OTHER, KEY_TEXT, openKeys, pushKey, resetKeys } from './validate-keys.js'
import { utf8End } from './validate-utf8.js'

/** Text from this many bytes on is checked by the native function: a view costs about as much as 200 bytes here. */
const NATIVE_UTF8_FROM = 512

const ERROR_NAME = [0x65, 0x45, 0x72, 0x72, 0x6f, 0x72] // "Error"
const ARRAY_BUFFER_NAME = [0x6b, 0x41, 0x72, 0x72, 0x61, 0x79, 0x42, 0x75, 0x66, 0x66, 0x65, 0x72] // "ArrayBuffer"

const PROTO_NAME = [0x5f, 0x5f, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x5f, 0x5f] // "__proto__"

/** The largest argument of majors 0 and 1: what stands for 2^53 - 1 and for -(2^53 - 1). */
const MAX_WHOLE = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1]

/** Items that the value under check may still have. */
let itemsLeft = 0

/** Offset after the head that `argument` read last. */
let bodyAt = 0

/**
 * Checks the CBOR item that begins at `start` and returns the offset after it; what follows is not looked at.
 * Throws `ProtocolError` (code `PROTOCOL`) naming the rule that is broken and the offset.
 */
export function validate(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  itemsLeft = MAX_ITEMS - 1
  resetKeys()
  return item(bytes, start, end, 0)
}

function item(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (at >= end) throw refuse('the bytes end inside an item', at)
  const head = bytes[at]!
  const major = head >> 5
  if (major === 7) return simple(head, at, end)
  const value = argument(bytes, at, end)
  if (major < 2) {
    if (value > MAX_WHOLE[major]!) {
      throw refuse('a whole number beyond ±(2^53 - 1) as an integer (send it as a big number, tag 2 or 3)', at)
    }
    return bodyAt
  }
  if (major === 3) return text(bytes, bodyAt, value, end)
  if (major === 5) return map(bytes, at, bodyAt, value, end, depth, false)
  if (major === 4) return array(bytes, at, bodyAt, value, end, depth)
  if (major === 2) return byteString(bodyAt, value, end)
  return tagged(bytes, at, bodyAt, value, end, depth)
}

/** The number in a head: a value, a length, a count or a tag. Leaves `bodyAt` behind the head. */
function argument(bytes: Uint8Array, at: number, end: number): number {
  const info = bytes[at]! & 0x1f
  if (info < 24) {
    bodyAt = at + 1
    return info
  }
  if (info > 27) {
    throw refuse(info === 31 ? 'an indefinite length (or a break)' : `the reserved additional information ${info}`, at)
  }
  const width = 1 << (info - 24)
  bodyAt = at + 1 + width
  if (bodyAt > end) throw refuse('the bytes end inside a head', at)
  let value = bytes[at + 1]!
  for (let i = 2; i <= width; i++) value = value * 256 + bytes[at + i]!
  return value
}

function simple(head: number, at: number, end: number): number {
  if (head >= 0xf4 && head <= 0xf7) return at + 1
  if (head >= 0xf9 && head <= 0xfb) {
    const next = at + 1 + (1 << (head - 0xf8))
    if (next > end) throw refuse('the bytes end inside a float', at)
    return next
  }
  if (head === 0xff) throw refuse('an indefinite length (or a break)', at)
  throw refuse('a simple value other than false, true, null and undefined', at)
}

function byteString(at: number, length: number, end: number): number {
  if (length > end - at) throw refuse(`a byte string of ${length} bytes where ${end - at} are left`, at)
  return at + length
}

function text(bytes: Uint8Array, at: number, length: number, end: number): number {
  if (length > end - at) throw refuse(`a text of ${length} bytes where ${end - at} are left`, at)
  const next = at + length
  if (length >= NATIVE_UTF8_FROM) {
    if (!isUtf8(bytes.subarray(at, next))) throw refuse('text that is not valid UTF-8', at)
    return next
  }
  for (let i = at; i < next; i++) {
    if (bytes[i]! > 0x7f) {
      const valid = utf8End(bytes, i, next)
      if (valid !== next) throw refuse('text that is not valid UTF-8', valid)
      return next
    }
  }
  return next
}

function array(bytes: Uint8Array, at: number, body: number, count: number, end: number, depth: number): number {
  enter(at, count, end - body, depth)
  let next = body
  for (let i = 0; i < count; i++) next = item(bytes, next, end, depth + 1)
  return next
}

function map(
  bytes: Uint8Array,
  at: number,
  body: number,
  count: number,
  end: number,
  depth: number,
  anyKey: boolean,
): number {
  enter(at, 2 * count, end - body, depth)
  const base = openKeys(count)
  let next = body
  for (let i = 0; i < count; i++) {
    const keyAt = next
    const head = keyAt < end ? bytes[keyAt]! : 0x60
    if (head >> 5 === 3) {
      next = item(bytes, keyAt, end, depth + 1)
      const length = head < 0x78 ? head - 0x60 : textLength(bytes, keyAt)
      if (length === PROTO_NAME.length && !anyKey && startsWith(bytes, next - length, end, PROTO_NAME)) {
        throw refuse('the key "__proto__" in an object', keyAt)
      }
      pushKey(next - length, length, KEY_TEXT)
    } else {
      if (!anyKey) throw refuse('a key that is not text, outside of tag 259', keyAt)
      if (!isPrimitiveHead(head)) throw refuse('a key of a Map that is an array, a map or bytes', keyAt)
      next = item(bytes, keyAt, end, depth + 1)
      if (!isShortest(bytes, keyAt, next)) throw refuse('a key of a Map that is not in its shortest form', keyAt)
      pushKey(keyAt, next - keyAt, KEY_OTHER)
    }
    next = item(bytes, next, end, depth + 1)
  }
  const duplicate = checkUnique(bytes, base)
  if (duplicate >= 0) throw refuse('a key that stands twice in one map', duplicate)
  return next
}

function textLength(bytes: Uint8Array, at: number): number {
  return argument(bytes, at, bytes.length)
}

/** Whole numbers, simple values and floats, and the bignums of tags 2 and 3. */
function isPrimitiveHead(head: number): boolean {
  const major = head >> 5
  return major < 2 || major === 7 || head === 0xc2 || head === 0xc3
}

/**
 * Whether a primitive key is written the one way the codec's table has for it; with more than one way, two keys
 * of different bytes would be one key of a JavaScript Map. The item has been checked.
 */
function isShortest(bytes: Uint8Array, at: number, end: number): boolean {
  const head = bytes[at]!
  if (head < 0x40) return isShortHead(bytes, at, end)
  if (head === 0xc2 || head === 0xc3) {
    const length = argument(bytes, at + 1, end)
    return isShortHead(bytes, at + 1, end) && (length === 0 || bytes[bodyAt] !== 0)
  }
  if (head === 0xf9) return bytes[at + 2] === 0 && [0x7e, 0x7c, 0xfc].includes(bytes[at + 1]!)
  if (head === 0xfb) {
    const value = new DataView(bytes.buffer, bytes.byteOffset + at + 1, 8).getFloat64(0)
    return Number.isFinite(value) && !Number.isSafeInteger(value)
  }
  return head >= 0xf4 && head <= 0xf7
}

function isShortHead(bytes: Uint8Array, at: number, end: number): boolean {
  const info = bytes[at]! & 0x1f
  const value = argument(bytes, at, end)
  if (info < 24) return true
  return value >= (info === 24 ? 24 : info === 25 ? 0x100 : info === 26 ? 0x1_0000 : 0x1_0000_0000)
}

function enter(at: number, count: number, room: number, depth: number): void {
  if (depth >= MAX_DEPTH) throw refuse(`more than ${MAX_DEPTH} arrays and maps inside each other`, at)
  if (count > room) throw refuse(`a count of ${count} items where ${room} bytes are left`, at)
  itemsLeft -= count
  if (itemsLeft < 0) throw refuse(`more than ${MAX_ITEMS} items in one value`, at)
}

function tagged(bytes: Uint8Array, at: number, body: number, tag: number, end: number, depth: number): number {
  if (body >= end) throw refuse('the bytes end inside an item', at)
  if (--itemsLeft < 0) throw refuse(`more than ${MAX_ITEMS} items in one value`, at)
  const head = bytes[body]!
  const major = head >> 5
  switch (tag) {
    case Tag.EPOCH:
      if (major > 1 && (head < 0xf9 || head > 0xfb)) throw refuse('a time (tag 1) that is not a number', at)
      return item(bytes, body, end, depth)
    case Tag.POSITIVE_BIGNUM:
    case Tag.NEGATIVE_BIGNUM: {
      if (major !== 2) throw refuse('a big number (tag 2 or 3) that is not a byte string', at)
      const length = argument(bytes, body, end)
      if (length > MAX_BIGNUM) throw refuse(`a big number of more than ${MAX_BIGNUM} bytes`, at)
      return byteString(bodyAt, length, end)
    }
    case Tag.SET:
      if (major !== 4) throw refuse('a set (tag 258) that is not an array', at)
      return item(bytes, body, end, depth)
    case Tag.MAP: {
      if (major !== 5) throw refuse('a Map (tag 259) that is not a map', at)
      const count = argument(bytes, body, end)
      return map(bytes, body, bodyAt, count, end, depth, true)
    }
    case Tag.OBJECT:
      return namedObject(bytes, at, body, end, depth)
  }
  const size = elementSize(tag)
  if (size === 0) throw refuse(`tag ${tag}`, at)
  if (major !== 2) throw refuse(`a typed array (tag ${tag}) that is not a byte string`, at)
  const length = argument(bytes, body, end)
  if (length % size !== 0) throw refuse(`a typed array (tag ${tag}) of ${length} bytes, in elements of ${size}`, at)
  return byteString(bodyAt, length, end)
}

/** Tag 27: `["Error", {…}]` or `["ArrayBuffer", bytes]`. */
function namedObject(bytes: Uint8Array, at: number, body: number, end: number, depth: number): number {
  if (bytes[body] === 0x82) {
    if (startsWith(bytes, body + 1, end - 1, ERROR_NAME) && bytes[body + 1 + ERROR_NAME.length]! >> 5 === 5) {
      return item(bytes, body, end, depth)
    }
    if (
      startsWith(bytes, body + 1, end - 1, ARRAY_BUFFER_NAME) &&
      bytes[body + 1 + ARRAY_BUFFER_NAME.length]! >> 5 === 2
    ) {
      return item(bytes, body, end, depth)
    }
  }
  throw refuse('an object (tag 27) other than ["Error", map] and ["ArrayBuffer", bytes]', at)
}

function startsWith(bytes: Uint8Array, at: number, end: number, expected: number[]): boolean {
  if (end - at < expected.length) return false
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}

function refuse(what: string, at: number): ProtocolError {
  return new ProtocolError(`at byte ${at} of a CBOR value: ${what} is not allowed here`, { details: { offset: at } })
}
