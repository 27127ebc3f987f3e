/** Collects the jobs that arrive during one event-loop turn and stores them in one go. */
import { OffstageError } from '../errors.js'
import type { Enqueued, JobStore, NewJob } from '../persistence/store.js'

/** Hears what became of a job, once for each `add`. */
export interface EnqueueSink {
  stored(tag: number, job: Enqueued): void
  refuse(tag: number, error: OffstageError): void
}

export class Enqueuer {
  readonly #store: JobStore
  readonly #onScheduled: (runAt: number) => void
  #jobs: NewJob[] = []
  #sinks: EnqueueSink[] = []
  #tags: number[] = []

  /** `onScheduled` hears the time of the earliest job of a batch that is not due yet. */
  constructor(store: JobStore, onScheduled: (runAt: number) => void) {
    this.#store = store
    this.#onScheduled = onScheduled
  }

  add(job: NewJob, sink: EnqueueSink, tag: number): void {
    if (this.#jobs.length === 0) setImmediate(() => this.#flush())
    this.#jobs.push(job)
    this.#sinks.push(sink)
    this.#tags.push(tag)
  }

  /** Stores jobs that arrived together. */
  async many(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    const stored = await this.#store.enqueue(jobs)
    const now = Date.now()
    let earliest = Number.POSITIVE_INFINITY
    for (const { runAt } of jobs) if (runAt > now && runAt < earliest) earliest = runAt
    if (earliest !== Number.POSITIVE_INFINITY) this.#onScheduled(earliest)
    return stored
  }

  #flush(): void {
    const jobs = this.#jobs
    const sinks = this.#sinks
    const tags = this.#tags
    this.#jobs = []
    this.#sinks = []
    this.#tags = []
    this.many(jobs).then(
      (stored) => {
        for (let i = 0; i < stored.length; i++) sinks[i]!.stored(tags[i]!, stored[i]!)
      },
      (cause: unknown) => {
        const error = asOffstageError(cause)
        for (let i = 0; i < jobs.length; i++) sinks[i]!.refuse(tags[i]!, error)
      },
    )
  }
}

/** A part of the supervisor fails with its own errors; any other is a defect, and the caller has to hear of it. */
export function asOffstageError(cause: unknown): OffstageError {
  if (cause instanceof OffstageError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new OffstageError('INTERNAL', `the supervisor failed: ${message}`, { executed: 'maybe', cause })
}
