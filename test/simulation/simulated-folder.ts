/** A folder of the simulated disk: its names as programs see them, and which of them are on the disk for certain. */
import type { Prng } from './prng.js'
import { SimulatedFile } from './simulated-file.js'

export type Entry = SimulatedFile | SimulatedFolder

/** `to` has the entry from now on, `from` has none: a new name has only `to`, a removed one only `from`. */
interface NameChange {
  readonly from: string | undefined
  readonly to: string | undefined
  readonly entry: Entry
}

export class SimulatedFolder {
  #names: Map<string, Entry>
  #durable: Map<string, Entry>
  #changes: NameChange[]

  constructor(names = new Map<string, Entry>(), durable = new Map<string, Entry>(), changes: NameChange[] = []) {
    this.#names = names
    this.#durable = durable
    this.#changes = changes
  }

  get names(): ReadonlyMap<string, Entry> {
    return this.#names
  }

  add(name: string, entry: Entry): void {
    this.#change({ from: undefined, to: name, entry })
  }

  remove(name: string, entry: Entry): void {
    this.#change({ from: name, to: undefined, entry })
  }

  rename(from: string, to: string, entry: Entry): void {
    this.#change({ from, to, entry })
  }

  sync(): void {
    this.#durable = new Map(this.#names)
    this.#changes = []
  }

  /**
   * The power is cut. Of the changes that are not synced, any subset is kept: nothing promises that they reach
   * the disk in their order (Pillai et al., ALICE, OSDI 2014).
   */
  cutPower(random: Prng): void {
    const kind = random.int(4)
    const inOrder = random.int(this.#changes.length + 1)
    for (const [index, change] of this.#changes.entries()) {
      if (kind === 0) break
      if (kind === 2 && index >= inOrder) break
      if (kind === 3 && random.chance(0.5)) continue
      // A rename replaces its target at once, but the old name may be there still.
      const lingers = change.from !== undefined && change.to !== undefined && random.chance(0.1)
      apply(this.#durable, lingers ? { ...change, from: undefined } : change)
    }
    this.#changes = []
    this.#names = new Map(this.#durable)
  }

  /** With copies of all that is in it; `copies` keeps entries with two names one. */
  copy(copies = new Map<Entry, Entry>()): SimulatedFolder {
    const copyOf = (entry: Entry): Entry => {
      const known = copies.get(entry)
      if (known !== undefined) return known
      const copy = entry instanceof SimulatedFile ? entry.copy() : entry.copy(copies)
      copies.set(entry, copy)
      return copy
    }
    const copyAll = (names: Map<string, Entry>) => new Map([...names].map(([name, entry]) => [name, copyOf(entry)]))
    const changes = this.#changes.map((change) => ({ ...change, entry: copyOf(change.entry) }))
    return new SimulatedFolder(copyAll(this.#names), copyAll(this.#durable), changes)
  }

  #change(change: NameChange): void {
    apply(this.#names, change)
    this.#changes.push(change)
  }
}

function apply(names: Map<string, Entry>, { from, to, entry }: NameChange): void {
  if (from !== undefined) names.delete(from)
  if (to !== undefined) names.set(to, entry)
}
