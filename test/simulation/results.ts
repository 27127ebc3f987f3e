/** What becomes of the results of finished jobs: those that the store keeps must be the ones that it was given. */
import type { KeepLimits } from '#offstage/persistence/queue/kept-jobs.js'
import type { JobStore } from '#offstage/persistence/store.js'

export const KEEP: KeepLimits = { ms: Number.POSITIVE_INFINITY, entries: 60, bytes: 1e6 }

/** Of the acknowledged ones, so many of the newest must be there: others may have ended without an answer. */
const NEWEST = 5

export function resultOf(id: number): Uint8Array {
  return Buffer.alloc(id % 40, id)
}

export class Results {
  #acknowledged: number[] = []
  #excused = false

  finished(ids: readonly number[]): void {
    this.#acknowledged.push(...ids)
  }

  /** The disk was full, or a bit has changed: a result may be missing from here on. */
  excuse(): void {
    this.#excused = true
  }

  /** What is wrong with what the store has, if anything is. */
  async problem(store: JobStore): Promise<string | undefined> {
    const kept = new Map((await store.inspect({ state: 'finished', limit: 1000 })).map((job) => [job.id, job]))
    if (kept.size > KEEP.entries) return `${kept.size} results are kept`
    const must = this.#excused ? [] : this.#acknowledged.slice(-NEWEST)
    const missing = must.find((id) => !kept.has(id))
    if (missing !== undefined) return `the result of job ${missing} is not there`
    for (const id of kept.keys()) {
      const value = (await store.find({ id }))?.value
      if (value === undefined && this.#excused) continue
      if (value === undefined || Buffer.compare(value, resultOf(id)) !== 0)
        return `the result of job ${id} is another one`
    }
    return undefined
  }
}
