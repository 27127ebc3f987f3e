/**
 * All jobs as columns: a job is a row number, its attributes are numbers in typed arrays. About 59 bytes a job where
 * an object takes several hundred, nothing for the collector to walk, and what is not a number stays on the disk
 * (see job-bodies.ts).
 */
import { F64Column, I32Column, PAGE_ROWS, U8Column, U16Column, U32Column } from './column.js'

/** No row. */
export const NONE = 0xffff_ffff

/** Where a job stands. `storing` until its enqueue is durable; `free` marks a row without a job. */
export const State = { free: 0, storing: 1, scheduled: 2, ready: 3, active: 4, dead: 5, finished: 6 } as const
export type State = (typeof State)[keyof typeof State]

/** The event of a job that was accepted and is not yet durable. A job has at most one. `keep`: it finishes, and its result is kept. */
export const Pending = { none: 0, enqueue: 1, claim: 2, finish: 3, settle: 4, remove: 5, keep: 6, replace: 7 } as const
export type Pending = (typeof Pending)[keyof typeof Pending]

export const Flag = {
  atMostOnce: 1,
  /** The last attempt ended with its host or with the supervisor. */
  suspect: 2,
  /** An attempt failed, and its failure is kept. */
  failed: 4,
} as const

export class JobColumns {
  readonly id = new F64Column()
  /** Number of its queue: `QueueState.queueOf`. */
  readonly queue = new U32Column()
  /** Of a finished job: when that was. */
  readonly runAt = new F64Column()
  readonly priority = new I32Column()
  readonly maxAttempts = new U16Column()
  /** Starts so far; while active, the number of the current attempt. */
  readonly attempts = new U16Column()
  /** 64 bits of its key: see key-hash.ts. */
  readonly hashA = new U32Column()
  readonly hashB = new U32Column()
  /** Place in its queue's `ready` heap or in the heap of scheduled jobs; of a finished job, the one that finished next. Else NONE. */
  readonly slot = new U32Column()
  readonly state = new U8Column()
  readonly pending = new U8Column()
  readonly flags = new U8Column()
  /** For whoever keeps the rest of the job: where it is, and how long. */
  readonly place = new F64Column()
  readonly length = new U32Column()
  readonly #all = [
    ...[this.id, this.queue, this.runAt, this.priority, this.maxAttempts, this.attempts, this.hashA, this.hashB],
    ...[this.slot, this.state, this.pending, this.flags, this.place, this.length],
  ]
  #rows = 0
  #pages = 0
  #used = 0
  /** Rows that were given back, chained through `slot`. */
  #free = NONE

  /** Rows below this number may hold a job. */
  get end(): number {
    return this.#rows
  }

  /** A row whose attributes are whatever was left there. */
  add(): number {
    this.#used++
    if (this.#free !== NONE) {
      const row = this.#free
      this.#free = this.slot.get(row)
      return row
    }
    if (this.#rows === this.#pages * PAGE_ROWS) {
      for (const column of this.#all) column.grow()
      this.#pages++
    }
    return this.#rows++
  }

  remove(row: number): void {
    this.state.set(row, State.free)
    this.#used--
    if (this.#used === 0) this.#clear()
    else {
      this.slot.set(row, this.#free)
      this.#free = row
    }
  }

  has(row: number, flag: number): boolean {
    return (this.flags.get(row) & flag) !== 0
  }

  setFlag(row: number, flag: number, on: boolean): void {
    const flags = this.flags.get(row)
    this.flags.set(row, on ? flags | flag : flags & ~flag)
  }

  /** The last job has gone: so does the memory, but for one page. */
  #clear(): void {
    this.#rows = 0
    this.#free = NONE
    this.#pages = Math.min(this.#pages, 1)
    for (const column of this.#all) column.shrink(this.#pages)
  }
}
