/** The bodies of jobs as the objects that they came in. */
import type { JobBodies, JobBody } from '../queue/job-bodies.js'
import type { JobFailure, NewJob } from '../store.js'

interface Kept extends JobBody {
  failure?: JobFailure
  /** What replaces its argument, and when it came. */
  value?: Uint8Array
  endedAt?: number
}

export class MemoryBodies implements JobBodies {
  readonly #kept = new Map<number, Kept>()
  readonly #replacing = new Map<number, Kept>()

  add(row: number, job: NewJob, now: number): void {
    this.#kept.set(row, bodyOf(job, now))
  }

  stored(): void {}

  replacing(row: number, job: NewJob, now: number): void {
    this.#replacing.set(row, bodyOf(job, now))
  }

  replaced(row: number, done: boolean): void {
    if (done) this.#kept.set(row, this.#replacing.get(row)!)
    this.#replacing.delete(row)
  }

  finishing(row: number, _attempt: number, at: number, value: Uint8Array | undefined): boolean {
    if (value === undefined) return false
    Object.assign(this.#kept.get(row)!, { value, endedAt: at })
    return true
  }

  finished(row: number): number {
    const { value, endedAt, ...job } = this.#kept.get(row)!
    this.#kept.set(row, { ...job, payload: value! })
    return endedAt!
  }

  bytes(row: number): number {
    return this.#kept.get(row)!.payload.length
  }

  failed(row: number, failure: JobFailure): void {
    this.#kept.get(row)!.failure = failure
  }

  forget(row: number): void {
    this.#kept.delete(row)
  }

  hasKey(row: number, jobKey: string): boolean {
    return this.#kept.get(row)?.jobKey === jobKey
  }

  read(row: number): JobBody | undefined {
    return this.#kept.get(row)
  }

  failure(row: number): JobFailure | undefined {
    return this.#kept.get(row)?.failure
  }
}

function bodyOf({ method, jobKey, payload, expiresAt = 0, timeout = 0 }: NewJob, enqueuedAt: number): Kept {
  return { method, jobKey, payload, enqueuedAt, expiresAt, timeout }
}
