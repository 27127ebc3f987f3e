/**
 * A hash table of rows. It is split into shards that grow on their own, so that no single insertion has to move
 * millions of rows. They fill evenly, so each grows at another load: else all would in the same moment.
 *
 * Open addressing with linear probing; what leaves is closed up behind, so that there are no tombstones. Whoever
 * searches walks a shard's slots from `hash & mask` up to the first empty one.
 */
const SHARDS = 64
const SMALLEST = 32
/** Of its slots, the share that is used when a shard grows: the first and the last one's. */
const LEAST_LOAD = 0.6
const MOST_LOAD = 0.85

export class Shard {
  /** A row number plus one; 0 is an empty slot. */
  slots = new Uint32Array(SMALLEST)
  mask = SMALLEST - 1
  used = 0
  readonly #load: number

  constructor(load: number) {
    this.#load = load
  }

  get full(): boolean {
    return this.used >= this.#load * this.slots.length
  }
}

export class RowTable {
  readonly #shards = Array.from({ length: SHARDS }, (_, i) => {
    return new Shard(LEAST_LOAD + ((MOST_LOAD - LEAST_LOAD) * i) / (SHARDS - 1))
  })
  readonly #hashOf: (row: number) => number

  /** `hashOf` must give the same 32 bits as long as the row is in the table. */
  constructor(hashOf: (row: number) => number) {
    this.#hashOf = hashOf
  }

  /** The shard where rows with this hash are. */
  shard(hash: number): Shard {
    return this.#shards[hash >>> 26]!
  }

  /** The row must not be there. */
  add(row: number): void {
    const hash = this.#hashOf(row)
    const shard = this.shard(hash)
    if (shard.full) this.#resize(shard, shard.slots.length * 2)
    shard.used++
    put(shard, hash, row)
  }

  /** False when the row is not there. */
  remove(row: number): boolean {
    const hash = this.#hashOf(row)
    const shard = this.shard(hash)
    const { slots, mask } = shard
    let at = hash & mask
    while (slots[at] !== row + 1) {
      if (slots[at] === 0) return false
      at = (at + 1) & mask
    }
    this.#close(shard, at)
    if (--shard.used === 0 && slots.length > SMALLEST) this.#resize(shard, SMALLEST)
    return true
  }

  /** Moves back what a search would no longer reach over the empty slot. */
  #close({ slots, mask }: Shard, from: number): void {
    let hole = from
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const wanted = this.#hashOf(slots[at]! - 1) & mask
      // Distances around the table: can the entry stand in the hole, between its own slot and here?
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue
      slots[hole] = slots[at]!
      hole = at
    }
    slots[hole] = 0
  }

  #resize(shard: Shard, size: number): void {
    const before = shard.slots
    shard.slots = new Uint32Array(size)
    shard.mask = size - 1
    for (const slot of before) if (slot !== 0) put(shard, this.#hashOf(slot - 1), slot - 1)
  }
}

function put({ slots, mask }: Shard, hash: number, row: number): void {
  let at = hash & mask
  while (slots[at] !== 0) at = (at + 1) & mask
  slots[at] = row + 1
}
