/**
 * When schedules have fired last, in one small file beside the journal: what a start needs in order to know what was
 * missed. Replaced as a whole, so that it is there or not.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigurationError } from '../../errors.js'
import type { Target } from './plan.js'

export interface Firing {
  /** Milliseconds since 1970: when it fired; of one with `queued`, the time of its newest job. */
  readonly at: number
  /** Whose job it is. */
  readonly queued?: Target
}

export class Firings {
  readonly #file: string
  readonly #firings: Map<string, Firing>
  #writing: Promise<void> | undefined
  #changed = false

  /** Throws a `ConfigurationError` when the file is there and cannot be read. */
  constructor(file: string) {
    this.#file = file
    this.#firings = new Map(existsSync(file) ? read(file) : [])
  }

  get names(): readonly string[] {
    return [...this.#firings.keys()]
  }

  get(name: string): Firing | undefined {
    return this.#firings.get(name)
  }

  /** Resolves when it is durable; changes that come together are written together. */
  set(name: string, firing: Firing | undefined): Promise<void> {
    if (firing === undefined) this.#firings.delete(name)
    else this.#firings.set(name, firing)
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
      const text = `${JSON.stringify(Object.fromEntries(this.#firings), null, 2)}\n`
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

function read(file: string): [string, Firing][] {
  try {
    const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Firing>)
    if (entries.every(([, { at }]) => Number.isFinite(at))) return entries
    throw new Error('a firing has no time')
  } catch (cause) {
    throw new ConfigurationError(
      `${file}, which tells when schedules have fired last, cannot be read: ${(cause as Error).message}; without that ` +
        'file the supervisor starts, and takes nothing as missed',
      { cause },
    )
  }
}
