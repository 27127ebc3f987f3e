/**
 * Calls that wait for their records to be written or durable, in the order of their records. When the time
 * comes the queue's events are committed and the call is answered.
 */
import type { Queue } from '../queue.js'

interface Waiter {
  /** Answered when the records up to this one are stored. */
  readonly seq: number
  /** Another call's record that the answer relies on; 0 for none. */
  readonly relies: number
  /** The jobs whose events these are. */
  readonly ids: readonly number[]
  readonly answer: unknown
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

export class Waiters {
  readonly #queue: Queue
  #waiting: Waiter[] = []
  /** Those before it are answered: shifting a long list one by one would be slow. */
  #head = 0

  constructor(queue: Queue) {
    this.#queue = queue
  }

  get empty(): boolean {
    return this.#head === this.#waiting.length
  }

  add<T>(seq: number, ids: readonly number[], answer: T, relies = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ seq, relies, ids, answer, resolve, reject })
    })
  }

  /** All records up to `seq` are stored. */
  stored(seq: number, now: number): void {
    const waiting = this.#waiting
    while (this.#head < waiting.length) {
      const { seq: own, relies, ids, answer, resolve } = waiting[this.#head]!
      if (own > seq || relies > seq) break
      this.#head++
      for (const id of ids) this.#queue.commit(id, now)
      resolve(answer as never)
    }
    this.#trim()
  }

  /** The records up to `seq` that are not stored never will be. Those after it may still. */
  refused(seq: number, error: Error): void {
    const waiting = this.#waiting.slice(this.#head)
    this.#waiting = []
    this.#head = 0
    for (const waiter of waiting) {
      if (waiter.seq > seq && (waiter.relies === 0 || waiter.relies > seq)) {
        this.#waiting.push(waiter)
        continue
      }
      waiter.reject(error)
      if (waiter.seq <= seq) for (let i = waiter.ids.length - 1; i >= 0; i--) this.#queue.abort(waiter.ids[i]!)
      // Its own records come later and will be stored: only the answer is over.
      else this.#waiting.push({ ...waiter, relies: 0, resolve: ignore, reject: ignore })
    }
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

function ignore(): void {}
