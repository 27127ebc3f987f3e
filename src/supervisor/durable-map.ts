/**
 * A few entries that have to survive the supervisor, in one small JSON file. It is replaced as a whole, so that it is there
 * or not.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

export class DurableMap<V> {
  readonly #file: string
  readonly #entries: Map<string, V>
  #writing: Promise<void> | undefined
  #changed = false

  /** Throws when the file is there and cannot be read, or one of its values does not pass `check`. */
  constructor(file: string, check: (value: V) => boolean) {
    this.#file = file
    this.#entries = new Map(existsSync(file) ? read(file, check) : [])
  }

  get keys(): readonly string[] {
    return [...this.#entries.keys()]
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  /** Resolves when it is durable; changes that come together are written together. */
  set(key: string, value: V | undefined): Promise<void> {
    if (value === undefined) this.#entries.delete(key)
    else this.#entries.set(key, value)
    this.#changed = true
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    mkdirSync(dirname(this.#file), { recursive: true })
    while (this.#changed) {
      this.#changed = false
      const text = `${JSON.stringify(Object.fromEntries(this.#entries), null, 2)}\n`
      const next = `${this.#file}.new`
      const file = await open(next, 'w', 0o600)
      try {
        await file.writeFile(text)
        await file.datasync()
      } finally {
        await file.close()
      }
      await rename(next, this.#file)
      const folder = await open(dirname(this.#file), 'r')
      await folder.sync().finally(() => folder.close())
    }
  }
}

function read<V>(file: string, check: (value: V) => boolean): [string, V][] {
  const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, V>)
  const wrong = entries.find(([, value]) => !check(value))
  if (wrong !== undefined) throw new Error(`the entry ${JSON.stringify(wrong[0])} is not what belongs there`)
  return entries
}
