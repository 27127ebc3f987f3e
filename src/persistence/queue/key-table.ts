/** The unfinished job of every key, for all queues together. */
import type { JobBodies } from './job-bodies.js'
import { type JobColumns, NONE } from './job-columns.js'
import { type KeyHash, mix } from './key-hash.js'
import { RowTable } from './row-table.js'

/** Makes the text of a key when it is needed. */
export interface KeySource {
  keyText(): string
}

export class KeyTable {
  readonly #jobs: JobColumns
  readonly #bodies: JobBodies
  readonly #table: RowTable

  constructor(jobs: JobColumns, bodies: JobBodies) {
    this.#jobs = jobs
    this.#bodies = bodies
    this.#table = new RowTable((row) => slotHash(jobs.queue.get(row), jobs.hashA.get(row)))
  }

  /** The row of the job that holds the key, or NONE. `key` is the hash of `jobKey`, which is made only when it is needed. */
  find(queue: number, key: KeyHash, jobKey: string | KeySource): number {
    const jobs = this.#jobs
    const hash = slotHash(queue, key.a)
    const { slots, mask } = this.#table.shard(hash)
    for (let at = hash & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const row = slots[at]! - 1
      if (jobs.hashB.get(row) !== key.b || jobs.hashA.get(row) !== key.a || jobs.queue.get(row) !== queue) continue
      if (this.#bodies.hasKey(row, typeof jobKey === 'string' ? jobKey : jobKey.keyText())) return row
    }
    return NONE
  }

  /** No job may hold the key. */
  add(row: number): void {
    this.#table.add(row)
  }

  /** False when the job does not hold its key. */
  remove(row: number): boolean {
    return this.#table.remove(row)
  }
}

function slotHash(queue: number, hashA: number): number {
  return mix(hashA ^ Math.imul(queue, 0x9e37_79b1))
}
