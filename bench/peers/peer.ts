import type { Observed } from '../lateness.js'

/** Another job queue, running here with durability on. */
export interface Peer {
  readonly name: string
  /** Bulk calls in flight: as many as serve it best. */
  readonly bulkInFlight: number
  /** Jobs that it can drain in a ms, roughly: how many a round is given. */
  readonly drainJobsPerMs: number
  /** Versions, and settings as the running server tells them. Rejects when one of them is not durable. */
  describe(): Promise<string>
  /** Takes job number `n` into the queue of the enqueue rows, which nobody drains. Resolves when it is on disk. */
  enqueue(n: number): Promise<void>
  /** The same for `count` jobs from `first` on, in the peer's own bulk call. */
  enqueueBulk(first: number, count: number): Promise<void>
  /** Jobs in the queue of the enqueue rows. */
  held(): Promise<number>
  /** Fills the queue of the drain row with the jobs 0 to `jobs - 1`. */
  fill(jobs: number): Promise<void>
  /** Runs them all in a worker process, at most `concurrency` at a time. Resolves with jobs per second. */
  drain(jobs: number, concurrency: number): Promise<number>
  /** Jobs in the queue of the drain row. */
  undrained(): Promise<number>
  /**
   * Takes each job n for the time `due[n]` (ms since 1970) and runs them as their times come, 10 at a time. `lead`: the ms
   * until the first of these times.
   */
  runScheduled(due: readonly number[], lead: number): Promise<Observed>
  /** Ends its client, its worker process and its server. */
  stop(): Promise<void>
}

/** Where a peer finds its packages and keeps its data. */
export interface PeerFolders {
  /** Given to `installPackages` and to `debianProgram`. */
  readonly installed: string
  /** Exists, is empty, on the disk that is to be measured. */
  readonly data: string
}

/** Calls `put(first, count)` until all of `jobs` were put, `size` at a time. */
export async function inBatches(jobs: number, size: number, put: (first: number, count: number) => Promise<void>) {
  for (let first = 0; first < jobs; first += size) await put(first, Math.min(size, jobs - first))
}
