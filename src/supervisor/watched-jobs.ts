/** Who waits for which job, and what jobs that run have said of their progress. All of it is in memory, and gone with the process. */
import type { JobStore } from '../persistence/store.js'

/** How a job ended of which the store may have kept nothing. `value` is CBOR; undefined for nothing. */
export type Ending = { readonly value: Uint8Array | undefined } | 'cancelled'

/** A job that its method is done with. */
export interface Done {
  readonly id: number
  readonly value: Uint8Array | undefined
}

export interface Progress {
  /** CBOR; a Buffer travels as a plain byte string. */
  readonly value: Buffer
  /** Another one with each that is told. */
  readonly number: number
}

/** Progress of more jobs, or of more bytes, is not remembered: that which was told first is forgotten. */
const MOST_PROGRESS = 10_000
const MOST_PROGRESS_BYTES = 16 * 1024 * 1024

interface Watched {
  readonly lookers: Set<() => void>
  readonly end: () => void
  ending: Ending | undefined
  due: boolean
}

export class WatchedJobs {
  readonly #store: Pick<JobStore, 'watch'>
  readonly #watched = new Map<number, Watched>()
  /** What the store is being told. */
  readonly #ending = new Set<readonly Done[]>()
  /** The one that was told last comes last. */
  readonly #progress = new Map<number, Progress>()
  #progressBytes = 0
  /** Not from 1: whoever has seen the progress of a job before a restart has to see another number after it. */
  #lastNumber = Date.now() * 1000

  constructor(store: Pick<JobStore, 'watch'>) {
    this.#store = store
  }

  /** Calls `look` after what happens to the job, until the function is called that this returns. */
  add(id: number, look: () => void): () => void {
    const watched = this.#watched.get(id) ?? this.#begin(id)
    watched.lookers.add(look)
    return () => {
      watched.lookers.delete(look)
      if (watched.lookers.size > 0 || this.#watched.get(id) !== watched) return
      watched.end()
      this.#watched.delete(id)
    }
  }

  /**
   * The store is being told that these have ended, until the function is called that this returns. Of many it commits some
   * before others, and whoever looks then has to find how they ended.
   */
  ending(jobs: readonly Done[]): () => void {
    this.#ending.add(jobs)
    return () => this.#ending.delete(jobs)
  }

  /** The job has ended like this, and the store says so. Told before those who wait look. */
  ended(id: number, ending: Ending): void {
    if (this.#watched.size === 0) return
    const watched = this.#watched.get(id)
    if (watched === undefined) return
    watched.ending = ending
    this.#changed(watched)
  }

  /** While somebody waits for the job. */
  endingOf(id: number): Ending | undefined {
    const known = this.#watched.get(id)?.ending
    if (known !== undefined) return known
    for (const jobs of this.#ending) {
      const done = jobs.find((job) => job.id === id)
      if (done !== undefined) return done
    }
    return undefined
  }

  progressed(id: number, value: Buffer): void {
    this.#forgetProgress(id)
    this.#progress.set(id, { value, number: ++this.#lastNumber })
    this.#progressBytes += value.length
    for (const first of this.#progress.keys()) {
      if (this.#progress.size <= MOST_PROGRESS && this.#progressBytes <= MOST_PROGRESS_BYTES) break
      this.#forgetProgress(first)
    }
    const watched = this.#watched.get(id)
    if (watched !== undefined) this.#changed(watched)
  }

  progressOf(id: number): Progress | undefined {
    return this.#progress.get(id)
  }

  #forgetProgress(id: number): void {
    this.#progressBytes -= this.#progress.get(id)?.value.length ?? 0
    this.#progress.delete(id)
  }

  #begin(id: number): Watched {
    const end = this.#store.watch(id, () => this.#changed(watched))
    const watched: Watched = { lookers: new Set(), end, ending: undefined, due: false }
    this.#watched.set(id, watched)
    return watched
  }

  /** Not at once: the store is in the middle of it, and whoever ended the job says then how. */
  #changed(watched: Watched): void {
    if (watched.due) return
    watched.due = true
    setImmediate(() => {
      watched.due = false
      for (const look of [...watched.lookers]) look()
    })
  }
}
