/** Reads the jobs of salvaged records back, of which only the place was kept. */
import type { JournalFs } from '../file-system.js'
import { readAt } from './read-segment.js'
import { type RecordedJob, readBody, readHead } from './record.js'
import type { SalvagedJob } from './salvage-jobs.js'
import type { OpenSegment } from './view.js'

/** Jobs are mostly asked for in the order in which they stand: one read gives many of them. */
const WINDOW_BYTES = 1024 * 1024

export class JobSource {
  readonly #system: JournalFs
  readonly #segments: readonly OpenSegment[]
  #window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #index = -1
  #start = 0
  #length = 0

  /** `segments`: what the places of the jobs are counted in. */
  constructor(system: JournalFs, segments: readonly OpenSegment[]) {
    this.#system = system
    this.#segments = segments
  }

  /** Valid until the next call. The record's CRC held when it was found. */
  read({ id, place }: SalvagedJob): RecordedJob {
    const inside = place.index === this.#index && place.at >= this.#start && place.end <= this.#start + this.#length
    if (!inside) this.#load(place.index, place.at, place.end - place.at)
    const at = place.at - this.#start
    const head = readHead(this.#window, at, Math.min(this.#length, place.end - this.#start))
    const body = head && readBody(this.#window, head)
    if (head?.jobId !== id || (body?.type !== 'ENQ' && body?.type !== 'FULL')) {
      throw new Error(`job ${id} was changed in ${this.#segments[place.index]!.path} while it was salvaged`)
    }
    return body.job
  }

  #load(index: number, at: number, needed: number): void {
    if (needed > this.#window.length) this.#window = Buffer.allocUnsafeSlow(needed)
    const segment = this.#segments[index]!
    this.#index = index
    this.#start = at
    this.#length = 0
    // The rest of a window may stand where the disk cannot read.
    for (const wanted of [this.#window.length, needed]) {
      if (this.#length < needed) this.#length = this.#tryLoad(segment, at, wanted, wanted === needed)
    }
  }

  #tryLoad(segment: OpenSegment, at: number, wanted: number, last: boolean): number {
    let done = 0
    try {
      while (done < wanted) {
        const read = readAt(this.#system, segment, this.#window.subarray(done, wanted), at + done)
        if (read === 0) break
        done += read
      }
    } catch (error) {
      if (last) throw error
    }
    return done
  }
}
