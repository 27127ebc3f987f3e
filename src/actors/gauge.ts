/**
 * What the supervisor may know of a host at any moment, also when its thread is blocked or gone: a few words
 * of shared memory, written by the host alone.
 *
 * | bytes | type | meaning                                                                            |
 * |-------|------|------------------------------------------------------------------------------------|
 * | 0     | i32  | TURN frames that were taken from the queue, in the order of arrival; wraps around  |
 * | 8     | f64  | recent mean milliseconds between the ends of turns while there was work; 0 unknown |
 */
export const GAUGE_BYTES = 16

/** How fast the mean follows: each measurement counts this much. */
const WEIGHT = 0.25

export class Gauge {
  readonly #words: Int32Array
  readonly #mean: Float64Array
  #taken = 0

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, 2)
    this.#mean = new Float64Array(memory, 8, 1)
  }

  /** For the supervisor. */
  get taken(): number {
    return Atomics.load(this.#words, 0)
  }

  /** For the supervisor. */
  get meanTurn(): number {
    return this.#mean[0]!
  }

  /** For the host: before anything of the message is looked at. */
  take(): void {
    this.#taken = (this.#taken + 1) | 0
    Atomics.store(this.#words, 0, this.#taken)
  }

  /** For the host: so many milliseconds of work ended so many turns. */
  measured(milliseconds: number, turns: number): void {
    const sample = milliseconds / turns
    const mean = this.#mean[0]!
    this.#mean[0] = mean === 0 ? sample : mean + (sample - mean) * WEIGHT
  }
}
