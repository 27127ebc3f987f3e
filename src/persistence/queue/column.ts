/**
 * One attribute of all jobs: numbers in pages of a fixed size, so that a longer table costs a new page and never a
 * copy of the old ones. A class per width, because the engine then knows what each access reads.
 */
const PAGE_BITS = 13
export const PAGE_ROWS = 1 << PAGE_BITS
const ROW_MASK = PAGE_ROWS - 1

export class F64Column {
  readonly #pages: Float64Array[] = []

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & ROW_MASK]!
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & ROW_MASK] = value
  }

  grow(): void {
    this.#pages.push(new Float64Array(PAGE_ROWS))
  }

  shrink(pages: number): void {
    this.#pages.length = pages
  }
}

export class U32Column {
  readonly #pages: Uint32Array[] = []

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & ROW_MASK]!
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & ROW_MASK] = value
  }

  grow(): void {
    this.#pages.push(new Uint32Array(PAGE_ROWS))
  }

  shrink(pages: number): void {
    this.#pages.length = pages
  }
}

export class I32Column {
  readonly #pages: Int32Array[] = []

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & ROW_MASK]!
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & ROW_MASK] = value
  }

  grow(): void {
    this.#pages.push(new Int32Array(PAGE_ROWS))
  }

  shrink(pages: number): void {
    this.#pages.length = pages
  }
}

export class U16Column {
  readonly #pages: Uint16Array[] = []

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & ROW_MASK]!
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & ROW_MASK] = value
  }

  grow(): void {
    this.#pages.push(new Uint16Array(PAGE_ROWS))
  }

  shrink(pages: number): void {
    this.#pages.length = pages
  }
}

export class U8Column {
  readonly #pages: Uint8Array[] = []

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & ROW_MASK]!
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & ROW_MASK] = value
  }

  grow(): void {
    this.#pages.push(new Uint8Array(PAGE_ROWS))
  }

  shrink(pages: number): void {
    this.#pages.length = pages
  }
}
