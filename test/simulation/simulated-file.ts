/**
 * One file of the simulated disk: what programs read (the page cache), what is certainly on the disk, and the
 * changes between the two. A power cut keeps any mixture of them, sector by sector.
 */
import type { Prng } from './prng.js'

/** What a disk writes in one piece, as a rule. */
const SECTOR_BYTES = 512

type Change = { readonly at: number; readonly bytes: Buffer } | { readonly size: number }

/** Bytes that can grow; behind their end the memory is zeros. */
class Bytes {
  #memory: Buffer
  size: number

  constructor(memory: Buffer, size: number) {
    this.#memory = memory
    this.size = size
  }

  get all(): Buffer {
    return this.#memory.subarray(0, this.size)
  }

  copy(): Bytes {
    return new Bytes(Buffer.from(this.#memory), this.size)
  }

  resize(size: number): void {
    this.#reserve(size)
    if (size < this.size) this.#memory.fill(0, size, this.size)
    this.size = size
  }

  write(at: number, bytes: Uint8Array): void {
    const end = at + bytes.length
    this.#reserve(end)
    this.#memory.set(bytes, at)
    if (end > this.size) this.size = end
  }

  /** Applies a change to the bytes from `from` to `to` only, and leaves the size as it is. */
  changeWithin(change: Change, from: number, to: number): void {
    this.#reserve(to)
    if ('size' in change) {
      if (change.size < to) this.#memory.fill(0, Math.max(from, change.size), to)
      return
    }
    const start = Math.max(from, change.at)
    const end = Math.min(to, change.at + change.bytes.length)
    if (start < end) this.#memory.set(change.bytes.subarray(start - change.at, end - change.at), start)
  }

  /** Ends here, whatever `changeWithin` did to the memory behind. */
  cut(size: number): void {
    this.#reserve(size)
    this.#memory.fill(0, size)
    this.size = size
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#memory.length) return
    const memory = Buffer.alloc(Math.max(bytes, this.#memory.length * 2, 1024))
    this.#memory.copy(memory)
    this.#memory = memory
  }
}

export class SimulatedFile {
  #current: Bytes
  #durable: Bytes
  #changes: Change[]

  constructor(
    current = new Bytes(Buffer.alloc(0), 0),
    durable = new Bytes(Buffer.alloc(0), 0),
    changes: Change[] = [],
  ) {
    this.#current = current
    this.#durable = durable
    this.#changes = changes
  }

  get size(): number {
    return this.#current.size
  }

  /** As programs see it now. */
  get bytes(): Buffer {
    return this.#current.all
  }

  get unsynced(): number {
    return this.#changes.length
  }

  write(at: number, bytes: Buffer): void {
    this.#current.write(at, bytes)
    this.#changes.push({ at, bytes })
  }

  truncate(size: number): void {
    this.#current.resize(size)
    this.#changes.push({ size })
  }

  sync(): void {
    for (const change of this.#changes) apply(this.#durable, change)
    this.#changes = []
  }

  /**
   * The disk reports an error, and what was to be written is lost or not. Its pages count as clean from now on:
   * they read back well, and no later sync writes them.
   */
  failSync(random: Prng): void {
    this.#durable = this.#mixture(random)
    this.#changes = []
  }

  /** The power is cut: what is not synced is kept in part. */
  cutPower(random: Prng): void {
    this.#durable = this.#mixture(random)
    this.#changes = []
    this.#current = this.#durable.copy()
  }

  /** Bits that change by themselves, on the disk and so in memory; the same mask again makes it undone. */
  rot(at: number, mask: number): void {
    for (const bytes of [this.#current, this.#durable]) {
      const byte = bytes.all[at]
      if (byte !== undefined) bytes.write(at, Uint8Array.of(byte ^ mask))
    }
  }

  copy(): SimulatedFile {
    return new SimulatedFile(this.#current.copy(), this.#durable.copy(), [...this.#changes])
  }

  #mixture(random: Prng): Bytes {
    const kept = this.#durable.copy()
    const changes = this.#changes
    if (changes.length === 0) return kept
    switch (random.int(4)) {
      case 0:
        return kept
      case 1:
        for (const change of changes) apply(kept, change)
        return kept
      case 2:
        return this.#inOrder(kept, random)
      default:
        return this.#bySector(kept, random)
    }
  }

  /** Some of the changes, in their order, and a part of the next one. */
  #inOrder(kept: Bytes, random: Prng): Bytes {
    const whole = random.int(this.#changes.length)
    for (const change of this.#changes.slice(0, whole)) apply(kept, change)
    const last = this.#changes[whole]!
    if ('size' in last) return kept
    if (random.chance(0.5)) kept.write(last.at, last.bytes.subarray(0, random.int(last.bytes.length + 1)))
    else {
      // The end of a write can reach the disk before its beginning.
      const from = random.int(last.bytes.length)
      kept.write(last.at + from, last.bytes.subarray(from))
    }
    return kept
  }

  /** Each sector as it was after any number of the changes; the size, too. */
  #bySector(kept: Bytes, random: Prng): Bytes {
    const changes = this.#changes
    const sizes = [kept.size]
    for (const change of changes) {
      const before = sizes.at(-1)!
      sizes.push('size' in change ? change.size : Math.max(before, change.at + change.bytes.length))
    }
    const largest = Math.max(...sizes)
    const favourOld = random.next()
    for (let from = 0; from < largest; from += SECTOR_BYTES) {
      const to = Math.min(from + SECTOR_BYTES, largest)
      const touching = changes.filter((change) => touches(change, from, to))
      if (touching.length === 0 || random.chance(favourOld)) continue
      const count = random.between(1, touching.length)
      // Now and then not even a sector is written in one piece.
      const end = random.chance(0.05) ? random.between(from, to) : to
      for (const change of touching.slice(0, count)) kept.changeWithin(change, from, end)
    }
    kept.cut(random.pick(sizes)!)
    return kept
  }
}

function apply(bytes: Bytes, change: Change): void {
  if ('size' in change) bytes.resize(change.size)
  else bytes.write(change.at, change.bytes)
}

function touches(change: Change, from: number, to: number): boolean {
  return 'size' in change ? change.size < to : change.at < to && change.at + change.bytes.length > from
}
