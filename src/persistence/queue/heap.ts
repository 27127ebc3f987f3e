/**
 * A binary heap of rows that know their place in it, so that any of them can leave without a search.
 *
 * A row is in at most one heap at a time: its `slot` is its index there, or NONE.
 */
import { type JobColumns, NONE } from './job-columns.js'

const SMALLEST = 16

export class RowHeap {
  readonly #slot: JobColumns['slot']
  readonly #before: (a: number, b: number) => boolean
  #rows = new Uint32Array(SMALLEST)
  #size = 0

  /** `before` says which of two rows leaves first; it must be a total order. */
  constructor(slot: JobColumns['slot'], before: (a: number, b: number) => boolean) {
    this.#slot = slot
    this.#before = before
  }

  /** The row that leaves first, or NONE. */
  peek(): number {
    return this.#size === 0 ? NONE : this.#rows[0]!
  }

  push(row: number): void {
    if (this.#size === this.#rows.length) this.#resize(this.#size * 2)
    this.#rise(row, this.#size++)
  }

  /** Takes out a row that is in this heap. */
  remove(row: number): void {
    const at = this.#slot.get(row)
    const last = this.#rows[--this.#size]!
    this.#slot.set(row, NONE)
    if (last !== row) {
      if (at > 0 && this.#before(last, this.#rows[(at - 1) >> 1]!)) this.#rise(last, at)
      else this.#sink(last, at)
    }
    if (this.#size === 0 && this.#rows.length > SMALLEST) this.#resize(SMALLEST)
  }

  #rise(row: number, from: number): void {
    const rows = this.#rows
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = rows[up]!
      if (!this.#before(row, parent)) break
      this.#put(parent, at)
      at = up
    }
    this.#put(row, at)
  }

  #sink(row: number, from: number): void {
    const rows = this.#rows
    const size = this.#size
    let at = from
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && this.#before(rows[down + 1]!, rows[down]!)) down++
      const child = rows[down]!
      if (!this.#before(child, row)) break
      this.#put(child, at)
      at = down
    }
    this.#put(row, at)
  }

  #put(row: number, at: number): void {
    this.#rows[at] = row
    this.#slot.set(row, at)
  }

  #resize(size: number): void {
    const rows = new Uint32Array(size)
    rows.set(this.#rows.subarray(0, this.#size))
    this.#rows = rows
  }
}
