/**
 * The unfinished job of every key: a hash table in typed arrays, for all queues together. A Map of strings
 * costs several times the memory, and the collector has to walk it.
 *
 * Open addressing with linear probing; what leaves is closed up behind, so that there are no tombstones.
 */
import type { Job, JobQueue } from './job.js'
import type { JobTable } from './job-table.js'

const SMALLEST = 1024
/** Of this process, so that nobody can prepare keys that all fall on one slot. No outcome depends on it. */
const SEED = Math.floor(Math.random() * 0x1_0000_0000) | 0

export class KeyTable {
  readonly #jobs: JobTable
  /** Job ids; 0 is an empty slot. */
  #ids = new Float64Array(SMALLEST)
  #hashes = new Int32Array(SMALLEST)
  #mask = SMALLEST - 1
  #used = 0

  constructor(jobs: JobTable) {
    this.#jobs = jobs
  }

  find(queue: JobQueue, jobKey: string): Job | undefined {
    const at = this.#find(hashKey(queue.number, jobKey), queue, jobKey)
    return this.#ids[at] === 0 ? undefined : this.#jobs.get(this.#ids[at]!)
  }

  /** The key must not be there. */
  add(job: Job): void {
    if (this.#used * 3 > this.#ids.length * 2) this.#grow()
    const hash = hashKey(job.queue.number, job.jobKey)
    this.#put(job.id, hash)
    this.#used++
    job.queue.keys++
  }

  /** Does nothing when the key is not there, or is another job's. */
  remove(job: Job): void {
    const at = this.#find(hashKey(job.queue.number, job.jobKey), job.queue, job.jobKey)
    if (this.#ids[at] !== job.id) return
    this.#close(at)
    this.#used--
    job.queue.keys--
  }

  /** The slot of the key, or the empty one where the search ends. */
  #find(hash: number, queue: JobQueue, jobKey: string): number {
    let at = hash & this.#mask
    for (; this.#ids[at] !== 0; at = (at + 1) & this.#mask) {
      if (this.#hashes[at] !== hash) continue
      const job = this.#jobs.get(this.#ids[at]!)
      if (job !== undefined && job.jobKey === jobKey && job.queue === queue) break
    }
    return at
  }

  #put(id: number, hash: number): void {
    let at = hash & this.#mask
    while (this.#ids[at] !== 0) at = (at + 1) & this.#mask
    this.#ids[at] = id
    this.#hashes[at] = hash
  }

  /** Moves back what a search would no longer reach over the empty slot. */
  #close(from: number): void {
    const mask = this.#mask
    let hole = from
    for (let at = (hole + 1) & mask; this.#ids[at] !== 0; at = (at + 1) & mask) {
      const wanted = this.#hashes[at]! & mask
      // Distances around the table: can the entry stand in the hole, between its own slot and here?
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue
      this.#ids[hole] = this.#ids[at]!
      this.#hashes[hole] = this.#hashes[at]!
      hole = at
    }
    this.#ids[hole] = 0
  }

  #grow(): void {
    const ids = this.#ids
    const hashes = this.#hashes
    this.#ids = new Float64Array(ids.length * 2)
    this.#hashes = new Int32Array(ids.length * 2)
    this.#mask = this.#ids.length - 1
    for (let at = 0; at < ids.length; at++) if (ids[at] !== 0) this.#put(ids[at]!, hashes[at]!)
  }
}

/** FNV-1a, with a final mix because only the low bits choose the slot. */
function hashKey(queue: number, jobKey: string): number {
  let hash = SEED ^ queue
  for (let i = 0; i < jobKey.length; i++) hash = Math.imul(hash ^ jobKey.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 12)
}
