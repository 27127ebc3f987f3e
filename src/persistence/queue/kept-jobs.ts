/**
 * The finished jobs whose results are kept, oldest first: a list through their rows, so that one costs no memory besides
 * its row. The oldest is forgotten when there are too many, when they have too many bytes, or when its time is over.
 *
 * Nothing is recorded of that: whoever reads the history again comes to the same list by the same limits.
 */
import { NONE, State } from './job-columns.js'
import type { QueueState } from './queue-state.js'

export interface KeepLimits {
  /** How long a result is kept, in ms. */
  readonly ms: number
  /** How many. */
  readonly entries: number
  /** What they take altogether where they are kept; a single one that takes more is not kept. */
  readonly bytes: number
}

export const KEEP_NOTHING: KeepLimits = { ms: 0, entries: 0, bytes: 0 }

/** `entries` is at most this: as many as the index of a segment knows. */
export const MOST_KEPT = 100_000

export class KeptJobs {
  readonly #state: QueueState
  readonly #limits: KeepLimits
  #oldest = NONE
  #newest = NONE
  #entries = 0
  #bytes = 0

  /** Takes over the finished jobs that `state` has. */
  constructor(state: QueueState, limits: KeepLimits) {
    this.#state = state
    this.#limits = limits
    const { jobs } = state
    const rows: number[] = []
    if (state.total[State.finished] === 0) return
    for (let row = 0; row < jobs.end; row++) if (jobs.state.get(row) === State.finished) rows.push(row)
    rows.sort((a, b) => jobs.runAt.get(a) - jobs.runAt.get(b) || jobs.id.get(a) - jobs.id.get(b))
    for (const row of rows) this.add(row)
  }

  /** Can a result of so many bytes be kept at all? */
  takes(bytes: number): boolean {
    const { ms, entries, bytes: most } = this.#limits
    return ms > 0 && entries > 0 && bytes <= most
  }

  /** The job in this row is finished now, `runAt` says when. */
  add(row: number): void {
    const { slot } = this.#state.jobs
    slot.set(row, NONE)
    if (this.#newest === NONE) this.#oldest = row
    else slot.set(this.#newest, row)
    this.#newest = row
    this.#entries++
    this.#bytes += this.#state.bodies.bytes(row)
    while (this.#entries > this.#limits.entries || this.#bytes > this.#limits.bytes) this.#forgetOldest()
  }

  /** Forgets those whose time is over. */
  sweep(now: number): void {
    const { runAt } = this.#state.jobs
    while (this.#oldest !== NONE && runAt.get(this.#oldest) + this.#limits.ms <= now) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const row = this.#oldest
    this.#oldest = this.#state.jobs.slot.get(row)
    if (this.#oldest === NONE) this.#newest = NONE
    this.#entries--
    this.#bytes -= this.#state.bodies.bytes(row)
    this.#state.forget(row)
  }
}
