/**
 * What the supervisor may know of a host at any moment, also when it is blocked or gone: a piece of memory that
 * outlives the host, written by the host alone. Times are those of `monotonic()`.
 *
 * | bytes | type       | meaning                                                                               |
 * |-------|------------|---------------------------------------------------------------------------------------|
 * | 0     | i32        | TURN frames that were taken from the queue, in the order of arrival; wraps around     |
 * | 4     | i32        | what was called last and may run still: n > 0 message n - 1, < 0 a `Task`; 0 nothing, |
 * |       |            | because the event loop has turned since                                               |
 * | 8     | f64        | recent mean milliseconds between the ends of turns while there was work; 0 unknown    |
 * | 16    | f64        | when that was called                                                                  |
 * | 24    | f64        | when the event loop was last seen to turn; 0 before it began                          |
 * | 32    | 1024 × f64 | when the message with sequence s was taken, at place s modulo 1024, in workers with   |
 * |       |            | limits for their methods                                                              |
 *
 * A mailbox has at most `WINDOW_MESSAGES` messages in a host, so a place is free again before it is used again.
 * Where the memory is is another matter: threads share it, processes share a file (hosts/gauge-file.ts).
 */
export const WINDOW_MESSAGES = 1024

const HEAD_BYTES = 32

const TIME_BYTES = 8

export const GAUGE_BYTES = HEAD_BYTES + WINDOW_MESSAGES * TIME_BYTES

/** How fast the mean follows: each measurement counts this much. */
const WEIGHT = 0.25

/** Turns that are not messages. */
export const Task = { CREATE: -1, TIMER: -2, PERIODIC_TIMER: -3, SOCKET: -4 } as const

/** The memory of one gauge, as one side sees it. */
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

/** A host at one moment. */
export interface Progress {
  /** Messages that were taken, modulo 2^32. */
  readonly taken: number
  /** n > 0 message n - 1, < 0 a `Task`, 0 nothing known. */
  readonly running: number
  readonly runningSince: number
  /** 0 before it began. */
  readonly lastBeat: number
  /** Of a message with a limit that was taken and has not ended. */
  takenAt(sequence: number): number
}

/** Of a host that is not there. */
export const NO_PROGRESS: Progress = { taken: 0, running: 0, runningSince: 0, lastBeat: 0, takenAt: () => 0 }

export class Gauge {
  readonly #memory: GaugeMemory
  readonly #words: Int32Array
  readonly #times: Float64Array
  readonly #starts: Float64Array
  #taken = 0

  constructor(memory: GaugeMemory) {
    this.#memory = memory
    this.#words = new Int32Array(memory.buffer, 0, 2)
    this.#times = new Float64Array(memory.buffer, 8, 3)
    this.#starts = new Float64Array(memory.buffer, HEAD_BYTES, WINDOW_MESSAGES)
  }

  /** For the supervisor. */
  look(): Progress {
    this.#memory.refresh(0, HEAD_BYTES)
    return {
      taken: Atomics.load(this.#words, 0),
      running: Atomics.load(this.#words, 1),
      runningSince: this.#times[1]!,
      lastBeat: this.#times[2]!,
      takenAt: (sequence) => {
        const place = sequence & (WINDOW_MESSAGES - 1)
        const at = HEAD_BYTES + place * TIME_BYTES
        this.#memory.refresh(at, at + TIME_BYTES)
        return this.#starts[place]!
      },
    }
  }

  /** For the supervisor. */
  get taken(): number {
    return this.look().taken
  }

  /** For the supervisor. */
  get meanTurn(): number {
    this.#memory.refresh(0, HEAD_BYTES)
    return this.#times[0]!
  }

  /** For the host: it takes this message, before it looks at anything of it. `limited`: its worker has limits. */
  take(index: number, now: number, limited: boolean): void {
    if (limited) {
      const place = this.#taken & (WINDOW_MESSAGES - 1)
      const at = HEAD_BYTES + place * TIME_BYTES
      this.#starts[place] = now
      this.#memory.publish(at, at + TIME_BYTES)
    }
    this.#taken = (this.#taken + 1) | 0
    this.#times[1] = now
    Atomics.store(this.#words, 1, index + 1)
    Atomics.store(this.#words, 0, this.#taken)
    this.#memory.publish(0, HEAD_BYTES)
  }

  /** For the host: it calls this `Task`. */
  begin(task: number, now: number): void {
    this.#times[1] = now
    Atomics.store(this.#words, 1, task)
    this.#memory.publish(0, HEAD_BYTES)
  }

  /** For the host: the worker's code has given back control. So many milliseconds of work ended so many turns. */
  beat(now: number, milliseconds = 0, turns = 0): void {
    if (turns > 0) {
      const sample = milliseconds / turns
      const mean = this.#times[0]!
      this.#times[0] = mean === 0 ? sample : mean + (sample - mean) * WEIGHT
    }
    this.#times[2] = now
    Atomics.store(this.#words, 1, 0)
    this.#memory.publish(0, HEAD_BYTES)
  }
}

function nothing(): void {
  // Shared memory needs no help.
}
