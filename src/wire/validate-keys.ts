/**
 * Finds a key that stands twice in one CBOR map, in linear time whatever the keys are.
 *
 * The keys of all open maps lie on one stack, as spans of the bytes. When a map closes, a few short keys are
 * compared in pairs; more of them go through a hash table. The hash is HalfSipHash-1-3 (Aumasson and
 * Bernstein) with a key drawn at start, so that nobody can choose keys that collide.
 */
import { randomFillSync } from 'node:crypto'

/** A span of text: without its head, since one text can be written with heads of several widths. */
export const KEY_TEXT = 1
/** Any other key: the whole item. */
export const KEY_OTHER = 0

/** Up to here, comparing in pairs costs less than hashing. */
const PAIRS_UP_TO = 12
/** And only for keys of at most so many bytes, which bounds what a pair costs. */
const PAIR_BYTES = 64

let starts = new Uint32Array(256)
/** Length × 2 + kind: a text and a number of the same bytes differ. */
let spans = new Uint32Array(256)
let hashes = new Int32Array(0)
let table = new Int32Array(0)
let top = 0
let longest = 0

const [secret0, secret1] = randomFillSync(new Int32Array(2)) as unknown as [number, number]

export function resetKeys(): void {
  top = 0
  longest = 0
}

/** Makes room for the keys of a map and returns the base to close it with. */
export function openKeys(count: number): number {
  if (top + count > starts.length) {
    const size = Math.max(2 * starts.length, top + count)
    const moreStarts = new Uint32Array(size)
    const moreSpans = new Uint32Array(size)
    moreStarts.set(starts)
    moreSpans.set(spans)
    starts = moreStarts
    spans = moreSpans
  }
  return top
}

export function pushKey(at: number, length: number, kind: number): void {
  starts[top] = at
  spans[top] = 2 * length + kind
  top++
  if (length > longest) longest = length
}

/** Takes the keys from `base` off the stack; returns the offset of one that stands twice, or -1. */
export function checkUnique(bytes: Uint8Array, base: number): number {
  const count = top - base
  top = base
  if (count < 2) return -1
  if (count <= PAIRS_UP_TO && longest <= PAIR_BYTES) return pairs(bytes, base, base + count)
  return hashed(bytes, base, count)
}

function pairs(bytes: Uint8Array, base: number, end: number): number {
  for (let i = base + 1; i < end; i++) {
    const span = spans[i]!
    for (let j = base; j < i; j++)
      if (spans[j] === span && same(bytes, starts[i]!, starts[j]!, span >>> 1)) return starts[i]!
  }
  return -1
}

function hashed(bytes: Uint8Array, base: number, count: number): number {
  let size = 64
  while (size < 2 * count) size *= 2
  if (table.length < size) {
    table = new Int32Array(size)
    hashes = new Int32Array(size)
  } else {
    table.fill(0, 0, size)
  }
  const mask = size - 1
  for (let i = base; i < base + count; i++) {
    const at = starts[i]!
    const span = spans[i]!
    const hash = halfSipHash(bytes, at, span >>> 1)
    let slot = hash & mask
    for (let other = table[slot]!; other !== 0; other = table[slot]!) {
      const j = base + other - 1
      if (hashes[slot] === hash && spans[j] === span && same(bytes, at, starts[j]!, span >>> 1)) return at
      slot = (slot + 1) & mask
    }
    table[slot] = i - base + 1
    hashes[slot] = hash
  }
  return -1
}

function same(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

function halfSipHash(bytes: Uint8Array, at: number, length: number): number {
  let v0 = secret0
  let v1 = secret1
  let v2 = secret0 ^ 0x6c796765
  let v3 = secret1 ^ 0x74656462
  const words = length >> 2
  // Words of the message, then the last bytes with the length, then the three rounds that finish.
  for (let i = 0; i <= words + 3; i++) {
    let m = 0
    if (i < words) {
      const p = at + 4 * i
      m = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)
    } else if (i === words) {
      m = length << 24
      for (let j = (length & 3) - 1; j >= 0; j--) m |= bytes[at + 4 * words + j]! << (8 * j)
    } else if (i === words + 1) {
      v2 ^= 0xff
    }
    v3 ^= m
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= m
  }
  return v1 ^ v3
}
