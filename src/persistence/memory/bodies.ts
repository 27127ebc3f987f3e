/** The bodies of jobs as the objects that they came in. */
import type { JobBodies, JobBody } from '../queue/job-bodies.js'
import type { JobFailure, NewJob } from '../store.js'

interface Kept extends JobBody {
  failure?: JobFailure
}

export class MemoryBodies implements JobBodies {
  readonly #kept = new Map<number, Kept>()

  add(row: number, { method, jobKey, payload }: NewJob, now: number): void {
    this.#kept.set(row, { method, jobKey, payload, enqueuedAt: now })
  }

  stored(): void {}

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
