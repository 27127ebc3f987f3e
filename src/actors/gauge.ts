/**
 * What the supervisor may know of a host at any moment, also when it is blocked or gone: a few words of memory
 * that outlives the host, written by the host alone.
 *
 * | bytes | type | meaning                                                                            |
 * |-------|------|------------------------------------------------------------------------------------|
 * | 0     | i32  | TURN frames that were taken from the queue, in the order of arrival; wraps around  |
 * | 8     | f64  | recent mean milliseconds between the ends of turns while there was work; 0 unknown |
 *
 * Where the words are is another matter: threads share memory, processes share a file (hosts/gauge-file.ts).
 */
export const GAUGE_BYTES = 16

const TAKEN_AT = 0
const MEAN_AT = 8

/** How fast the mean follows: each measurement counts this much. */
const WEIGHT = 0.25

/** The words of one gauge, as one side sees them. */
export interface GaugeMemory {
  readonly buffer: ArrayBufferLike
  /** For the host: what it has written into these bytes is known from now on, whatever happens to it next. */
  publish(start: number, end: number): void
  /** For the supervisor: these bytes become what the host last published. */
  refresh(start: number, end: number): void
}

/** Threads of one process: each store is seen at once, and stays when the thread is gone. */
export function sharedMemory(buffer: SharedArrayBuffer): GaugeMemory {
  return { buffer, publish: nothing, refresh: nothing }
}

export class Gauge {
  readonly #memory: GaugeMemory
  readonly #words: Int32Array
  readonly #mean: Float64Array
  #taken = 0

  constructor(memory: GaugeMemory) {
    this.#memory = memory
    this.#words = new Int32Array(memory.buffer, TAKEN_AT, 1)
    this.#mean = new Float64Array(memory.buffer, MEAN_AT, 1)
  }

  /** For the supervisor. */
  get taken(): number {
    this.#memory.refresh(TAKEN_AT, TAKEN_AT + 4)
    return Atomics.load(this.#words, 0)
  }

  /** For the supervisor. */
  get meanTurn(): number {
    this.#memory.refresh(MEAN_AT, MEAN_AT + 8)
    return this.#mean[0]!
  }

  /** For the host: before anything of the message is looked at. */
  take(): void {
    this.#taken = (this.#taken + 1) | 0
    Atomics.store(this.#words, 0, this.#taken)
    this.#memory.publish(TAKEN_AT, TAKEN_AT + 4)
  }

  /** For the host: so many milliseconds of work ended so many turns. */
  measured(milliseconds: number, turns: number): void {
    const sample = milliseconds / turns
    const mean = this.#mean[0]!
    this.#mean[0] = mean === 0 ? sample : mean + (sample - mean) * WEIGHT
    this.#memory.publish(MEAN_AT, MEAN_AT + 8)
  }
}

function nothing(): void {
  // Shared memory needs no help.
}
