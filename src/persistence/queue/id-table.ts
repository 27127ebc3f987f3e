/** The row of every job id. */
import { type JobColumns, NONE } from './job-columns.js'
import { RowTable } from './row-table.js'

export class IdTable {
  readonly #ids: JobColumns['id']
  readonly #table: RowTable

  constructor({ id }: JobColumns) {
    this.#ids = id
    this.#table = new RowTable((row) => hashId(id.get(row)))
  }

  /** The job's row, or NONE. */
  find(id: number): number {
    const hash = hashId(id)
    const { slots, mask } = this.#table.shard(hash)
    for (let at = hash & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const row = slots[at]! - 1
      if (this.#ids.get(row) === id) return row
    }
    return NONE
  }

  add(row: number): void {
    this.#table.add(row)
  }

  remove(row: number): void {
    this.#table.remove(row)
  }
}

/** Ids come one after the other, so groups of 16 stay neighbours: they share a line of the processor's cache. */
function hashId(id: number): number {
  let hash = Math.imul((id / 16) | 0, 0x9e37_79b1)
  hash ^= hash >>> 15
  return (hash & ~15) | (id & 15)
}
