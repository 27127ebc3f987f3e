/** First in, first out, in a ring that doubles when full: no element moves, nothing is allocated per item. */
export class Fifo<T> {
  #ring: (T | undefined)[] = new Array(16).fill(undefined)
  #first = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.#length) & (this.#ring.length - 1)] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#ring[this.#first]
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    this.#length--
    return item
  }

  find(wanted: (item: T) => boolean): T | undefined {
    for (let i = 0; i < this.#length; i++) {
      const item = this.#ring[(this.#first + i) & (this.#ring.length - 1)] as T
      if (wanted(item)) return item
    }
    return undefined
  }

  #grow(): void {
    const size = this.#ring.length
    const ring: (T | undefined)[] = new Array(size * 2).fill(undefined)
    for (let i = 0; i < size; i++) ring[i] = this.#ring[(this.#first + i) & (size - 1)]
    this.#ring = ring
    this.#first = 0
  }
}
