/**
 * A chunk: shared memory that the main thread appends records to and the journal thread writes from, without
 * a message or a copy in between. Its two words say how far it is filled and whether more will come.
 */
import { availableParallelism } from 'node:os'

const WORDS_BYTES = 64

const PUBLISHED = 0
const SEALED = 1

export class Chunk {
  readonly shared: SharedArrayBuffer
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #words: Int32Array

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared
    this.#words = new Int32Array(shared, 0, 2)
    this.bytes = new Uint8Array(shared, WORDS_BYTES)
    this.view = new DataView(shared, WORDS_BYTES)
  }

  static of(bytes: number): Chunk {
    return new Chunk(new SharedArrayBuffer(WORDS_BYTES + bytes))
  }

  /** Whole records up to here may be written. */
  get published(): number {
    return Atomics.load(this.#words, PUBLISHED)
  }

  publish(end: number): void {
    Atomics.store(this.#words, PUBLISHED, end)
  }

  /** Nothing more will be published: the next chunk goes on. */
  get sealed(): boolean {
    return Atomics.load(this.#words, SEALED) === 1
  }

  seal(): void {
    Atomics.store(this.#words, SEALED, 1)
  }

  /** For the next use, once the journal thread has left it. */
  reset(): void {
    this.publish(0)
    Atomics.store(this.#words, SEALED, 0)
  }
}

/**
 * A sleeping thread takes some 50 µs to run again (measured, 2 virtual cores), a third of a fast fdatasync. So while wakes
 * come at intervals below this, the thread looks for the next one instead of sleeping; where there is a core for that.
 */
const BRIEF_MS = availableParallelism() > 1 ? 0.3 : 0

/** The words that wake and stop the journal thread. */
export class Control {
  readonly shared: SharedArrayBuffer
  readonly #words: Int32Array
  /** The last wait was. */
  #brief = false

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.shared = shared
    this.#words = new Int32Array(shared)
  }

  /** Tells the thread to look again. */
  wake(): void {
    Atomics.add(this.#words, 0, 1)
    Atomics.notify(this.#words, 0)
  }

  /** Read before looking for work, and given to `wait`: a wake in between is then not missed. */
  get wakes(): number {
    return Atomics.load(this.#words, 0)
  }

  /** False when the time (ms) was over without a wake. */
  wait(wakes: number, timeout: number): boolean {
    const from = performance.now()
    if (this.#brief && this.#spin(wakes, from + BRIEF_MS)) return true
    const woken = Atomics.wait(this.#words, 0, wakes, timeout) !== 'timed-out'
    this.#brief = performance.now() - from < BRIEF_MS
    return woken
  }

  #spin(wakes: number, until: number): boolean {
    do {
      if (this.wakes !== wakes) return true
    } while (performance.now() < until)
    return false
  }

  stop(): void {
    Atomics.store(this.#words, 1, 1)
    this.wake()
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, 1) === 1
  }

  /** Somebody waits for what is published now to be written, not only for its sync. */
  wantWritten(): void {
    Atomics.store(this.#words, 2, 1)
  }

  takeWantWritten(): boolean {
    return Atomics.exchange(this.#words, 2, 0) === 1
  }

  /** Segments below this number are no longer needed: everything that replaces them is durable. */
  get firstNeeded(): number {
    return Atomics.load(this.#words, 3)
  }

  needFrom(segment: number): void {
    Atomics.store(this.#words, 3, segment)
  }
}
