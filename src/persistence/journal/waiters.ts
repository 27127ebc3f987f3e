/**
 * Calls that wait for their records to be written or durable, in the order of their records. When the time
 * comes the events are committed and the call is answered.
 */
import { StoreError } from '../../errors.js'

const NOTHING: readonly number[] = []

/** Whose events they are: the queue's, or those of the compaction. */
interface Owner {
  /** The event of this job is stored. */
  commit(id: number, now: number): void
  /** It never happened. */
  abort(id: number): void
}

interface Waiter {
  /** Answered when the records up to this one are stored. */
  readonly seq: number
  /** Other calls' records that the answer relies on; none is later than `seq`. */
  readonly relies: readonly number[]
  readonly owner: Owner
  /** The jobs whose events these are. */
  readonly ids: readonly number[]
  /** Its records bring jobs or move them: without room they can be refused where others are not. */
  readonly adds: boolean
  readonly answer: unknown
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

export interface Wait<T> {
  readonly seq: number
  readonly owner: Owner
  readonly ids: readonly number[]
  readonly answer: T
  readonly adds?: boolean
  readonly relies?: readonly number[]
}

export class Waiters {
  #waiting: Waiter[] = []
  /** Those before it are answered: shifting a long list one by one would be slow. */
  #head = 0
  #storedUpTo = 0

  get empty(): boolean {
    return this.#head === this.#waiting.length
  }

  add<T>({ seq, owner, ids, answer, adds = false, relies = NOTHING }: Wait<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ seq, relies, owner, ids, adds, answer, resolve, reject })
    })
  }

  /** All records up to `seq` are stored. */
  stored(seq: number, now: number): void {
    this.#storedUpTo = seq
    const waiting = this.#waiting
    while (this.#head < waiting.length) {
      const { seq: own, owner, ids, answer, resolve } = waiting[this.#head]!
      if (own > seq) break
      this.#head++
      for (const id of ids) owner.commit(id, now)
      resolve(answer as never)
    }
    this.#trim()
  }

  /**
   * The records up to `seq` that are not stored never will be; with `onlyAdds`, only those that bring jobs or move
   * them. Those after it may still.
   */
  refused(seq: number, error: Error, now: number, onlyAdds = false): void {
    const waiting = this.#waiting.slice(this.#head)
    this.#waiting = []
    this.#head = 0
    const refused = (record: number) => record > this.#storedUpTo && record <= seq
    for (const waiter of waiting) {
      const own = refused(waiter.seq)
      if ((onlyAdds && !waiter.adds) || !(own || waiter.relies.some(refused))) {
        this.#waiting.push(waiter)
        continue
      }
      if (own || waiter.ids.length === 0) {
        waiter.reject(error)
        for (let i = waiter.ids.length - 1; i >= 0; i--) waiter.owner.abort(waiter.ids[i]!)
      } else {
        // Its own records come later and will be stored: only the answer is over.
        waiter.reject(partlyStored(error))
        this.#waiting.push({ ...waiter, relies: NOTHING, resolve: ignore, reject: ignore })
      }
    }
    this.stored(this.#storedUpTo, now)
  }

  /** Nobody knows what became of them. */
  failed(error: Error): void {
    const waiting = this.#waiting.slice(this.#head)
    this.#waiting = []
    this.#head = 0
    for (const { reject } of waiting) reject(error)
  }

  #trim(): void {
    if (this.#head === this.#waiting.length) {
      this.#waiting = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }
}

function partlyStored(cause: Error): StoreError {
  const message = `the job that has a key of this call was not stored; others of the call may be: ${cause.message}`
  return new StoreError('STORE_FULL', message, { executed: 'maybe', retryable: true, cause })
}

function ignore(): void {}
