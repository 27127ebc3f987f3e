/**
 * A binary heap whose items know their place in it, so that any of them can leave without a search.
 *
 * An item is in at most one heap at a time: `slot` is its index there, or -1.
 */
export interface HeapItem {
  slot: number
}

export class Heap<T extends HeapItem> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  /** `before` says which of two items leaves first; it must be a total order. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#items.push(item)
    this.#rise(item, this.#items.length - 1)
  }

  pop(): T | undefined {
    const first = this.#items[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Takes out an item that is in this heap. */
  remove(item: T): void {
    const items = this.#items
    const at = item.slot
    const last = items.pop()!
    item.slot = -1
    if (last === item) return
    if (at > 0 && this.#before(last, items[(at - 1) >> 1]!)) this.#rise(last, at)
    else this.#sink(last, at)
  }

  #rise(item: T, from: number): void {
    const items = this.#items
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = items[up]!
      if (!this.#before(item, parent)) break
      items[at] = parent
      parent.slot = at
      at = up
    }
    items[at] = item
    item.slot = at
  }

  #sink(item: T, from: number): void {
    const items = this.#items
    const size = items.length
    let at = from
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && this.#before(items[down + 1]!, items[down]!)) down++
      const child = items[down]!
      if (!this.#before(child, item)) break
      items[at] = child
      child.slot = at
      at = down
    }
    items[at] = item
    item.slot = at
  }
}
