/**
 * Parts of the segments that were written or read last, in memory: a queue is mostly emptied in the order in which
 * it was filled, so a job is usually here when it is claimed. Bounded; the block used least recently leaves.
 */
const BLOCK_BYTES = 64 * 1024
const LARGEST_SEGMENT_BLOCKS = 0x1_0000

interface Block {
  readonly bytes: Buffer
  /** What is valid: from here… */
  from: number
  /** …to here. */
  to: number
  /** Read back from the disk, so that its CRCs are still to be checked. */
  fromDisk: boolean
}

/** Bytes that stand at `at` in `bytes`, until the next call of the cache. */
export interface Found {
  readonly bytes: Buffer
  readonly at: number
  readonly fromDisk: boolean
}

/** Reads from a segment's file into `target`; returns how many bytes there were. */
export type ReadSegment = (segment: number, offset: number, target: Uint8Array) => number

export class BlockCache {
  readonly #read: ReadSegment
  readonly #most: number
  /** By segment and block number; the one used least recently comes first. */
  readonly #blocks = new Map<number, Block>()
  #lastKey = -1
  #last: Block | undefined

  constructor(read: ReadSegment, bytes: number) {
    this.#read = read
    this.#most = Math.max(1, Math.floor(bytes / BLOCK_BYTES))
  }

  /** Undefined when the file is shorter. */
  find(segment: number, offset: number, length: number): Found | undefined {
    const start = offset - (offset % BLOCK_BYTES)
    if (offset + length > start + BLOCK_BYTES) return this.#across(segment, offset, length)
    const at = offset - start
    const block = this.#block(segment, start, at, at + length)
    return block === undefined ? undefined : { bytes: block.bytes, at, fromDisk: block.fromDisk }
  }

  /** What was just written to a segment. */
  put(segment: number, offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const start = offset + done - ((offset + done) % BLOCK_BYTES)
      const at = offset + done - start
      const part = Math.min(bytes.length - done, BLOCK_BYTES - at)
      const key = blockKey(segment, start)
      const block = this.#use(key) ?? this.#add(key, { bytes: this.#buffer(), from: at, to: at, fromDisk: false })
      block.bytes.set(done === 0 && part === bytes.length ? bytes : bytes.subarray(done, done + part), at)
      if (at < block.from) block.from = at
      if (at + part > block.to) block.to = at + part
      done += part
    }
  }

  /** Longer than a block, or over the edge of one: rare, so read for this once. */
  #across(segment: number, offset: number, length: number): Found | undefined {
    const bytes = Buffer.allocUnsafe(length)
    return this.#read(segment, offset, bytes) < length ? undefined : { bytes, at: 0, fromDisk: true }
  }

  #block(segment: number, start: number, from: number, to: number): Block | undefined {
    const key = blockKey(segment, start)
    const block = this.#use(key)
    if (block !== undefined && block.from <= from && to <= block.to) return block
    const bytes = block?.bytes ?? this.#buffer()
    const read = this.#read(segment, start, bytes)
    if (block !== undefined) {
      block.from = 0
      block.to = Math.max(read, block.to)
      block.fromDisk = true
      return to <= block.to ? block : undefined
    }
    if (read < to) return undefined
    return this.#add(key, { bytes, from: 0, to: read, fromDisk: true })
  }

  #use(key: number): Block | undefined {
    if (key === this.#lastKey) return this.#last
    const block = this.#blocks.get(key)
    if (block === undefined) return undefined
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    this.#lastKey = key
    this.#last = block
    return block
  }

  #add(key: number, block: Block): Block {
    this.#blocks.set(key, block)
    this.#lastKey = key
    this.#last = block
    return block
  }

  /** Of the block that leaves, when there are enough. */
  #buffer(): Buffer {
    if (this.#blocks.size < this.#most) return Buffer.allocUnsafeSlow(BLOCK_BYTES)
    const [key, block] = this.#blocks.entries().next().value!
    this.#blocks.delete(key)
    if (key === this.#lastKey) this.#lastKey = -1
    return block.bytes
  }
}

function blockKey(segment: number, start: number): number {
  return segment * LARGEST_SEGMENT_BLOCKS + start / BLOCK_BYTES
}
