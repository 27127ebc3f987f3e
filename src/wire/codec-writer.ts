/**
 * Where encoded bytes go: a slab that many small values share, and the items that need no look inside.
 * One value is written at a time; `codec-encode.ts` sees to that.
 */
import { headBytes, writeHead } from './heads.js'

/** Bytes of a slab. Small values share one; each slab is filled once and never written again. */
const SLAB = 16 * 1024
/** A value begins in a fresh slab when less than this is left of the old one. */
const ROOM_TO_START = 1024
/** Text up to this many UTF-16 units is written here; longer text by the native function. */
const SHORT_TEXT = 48
/** Text from here on is measured first: room for three bytes a unit would be too much to set aside. */
const MEASURED_TEXT = 4096

let slab: Buffer = Buffer.allocUnsafeSlow(SLAB)
/** Where the value on hand begins in the slab, and how far it is written. */
let start = 0
let pos = 0

/** Carries the reason to `encodeValue`, which knows where the walk was. */
export class Refused {
  constructor(readonly reason: string) {}
}

export function begin(): void {
  // A grown slab belongs to its one value.
  if (slab.length > SLAB || slab.length - pos < ROOM_TO_START) {
    slab = Buffer.allocUnsafeSlow(SLAB)
    pos = 0
  }
  start = pos
}

/** The bytes of the value, which are never written again. A value that was given up is simply not finished. */
export function finish(): Buffer {
  return slab.subarray(start, pos)
}

export interface Aside {
  slab: Buffer
  start: number
  pos: number
}

/** Leaves the value on hand as it is, to write another one. */
export function stepAside(): Aside {
  const aside = { slab, start, pos }
  slab = Buffer.allocUnsafeSlow(SLAB)
  pos = 0
  return aside
}

export function stepBack(aside: Aside): void {
  ;({ slab, start, pos } = aside)
}

export function number(value: number): void {
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

export function byte(value: number): void {
  room(1)
  slab[pos++] = value
}

export function head(major: number, value: number): void {
  room(9)
  pos = writeHead(slab, pos, major, value)
}

export function text(value: string): void {
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
  writeHead(slab, pos, 0x60, written)
  pos += width + written
}

export function byteString(bytes: Uint8Array): void {
  head(0x40, bytes.length)
  room(bytes.length)
  slab.set(bytes, pos)
  pos += bytes.length
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
