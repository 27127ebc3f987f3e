/** The segments as the main thread knows them: how long they are, and how much in them is still needed. */
import { placeSegment } from './place.js'

export interface LiveSegment {
  readonly segment: number
  readonly firstSeq: number
  /** Length of the file, without zeros written ahead. */
  bytes: number
  /** Unfinished and dead jobs, and kept results, whose newest full record is here. */
  jobs: number
}

export class SegmentTable {
  /** Oldest first. */
  readonly #segments = new Map<number, LiveSegment>()
  #disk = 0
  #live = 0
  #newest = 0

  /** Bytes of all segments. */
  get disk(): number {
    return this.#disk
  }

  /** Bytes of the newest full record of every job, and of the kept results. */
  get live(): number {
    return this.#live
  }

  get(segment: number): LiveSegment | undefined {
    return this.#segments.get(segment)
  }

  /** The one that is written to. */
  get newest(): LiveSegment | undefined {
    return this.#segments.get(this.#newest)
  }

  /** The oldest one, unless it is also the one that is written to. */
  oldestSealed(): LiveSegment | undefined {
    const [oldest] = this.#segments.values()
    return oldest === undefined || oldest.segment === this.#newest ? undefined : oldest
  }

  /** The segment ends at `bytes` now; it is new when it was not known. */
  grown(segment: number, firstSeq: number, bytes: number): void {
    let known = this.#segments.get(segment)
    if (known === undefined) {
      known = { segment, firstSeq, bytes: 0, jobs: 0 }
      this.#segments.set(segment, known)
      this.#newest = segment
    }
    this.#disk += bytes - known.bytes
    known.bytes = bytes
  }

  /** A job's record of this length is there, and counts from now on. */
  added(place: number, length: number): void {
    this.#segments.get(placeSegment(place))!.jobs++
    this.#live += length
  }

  removed(place: number, length: number): void {
    this.#segments.get(placeSegment(place))!.jobs--
    this.#live -= length
  }

  drop(segment: number): void {
    this.#disk -= this.#segments.get(segment)?.bytes ?? 0
    this.#segments.delete(segment)
  }
}
