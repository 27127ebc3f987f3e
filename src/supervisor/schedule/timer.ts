/**
 * Rings at the times of schedules, by the wall clock, whatever that does. It looks at it every second by the
 * monotonic clock, rather than to wait for one far-off time: that would be wrong after every jump.
 *
 * After a jump, forward or back, the next times are computed anew and what lies between is left out, but that whoever
 * wants to is told. A time that has come while the program was busy still rings, once and late.
 */

/** Milliseconds from one look at the wall clock to the next, at most. */
const LOOK = 1_000

/** Milliseconds by which the two clocks have to part between two looks for that to be a jump. */
const JUMP = 1_000

/** When something happens: the first time after another, both in milliseconds since 1970; undefined: never again. */
export type Times = (after: number) => number | undefined

export interface Rings {
  readonly times: Times
  /** Hears the time that it rings for. */
  readonly ring: (at: number) => void
  /** Hears the first time that a jump forward went over. */
  readonly missed?: (at: number) => void
}

interface Line extends Rings {
  next: number
}

export class ScheduleTimer {
  readonly #lines = new Set<Line>()
  readonly #onJump: (ms: number) => void
  #timer: NodeJS.Timeout | undefined
  #started = false
  /** Of the wall clock to the monotonic one. */
  #distance = 0

  /** `onJump` hears by how many milliseconds the wall clock has jumped. */
  constructor(onJump: (ms: number) => void) {
    this.#onJump = onJump
  }

  /** Returns what ends it. */
  add(rings: Rings): () => void {
    const line = { ...rings, next: nextOf(rings, Date.now()) }
    this.#lines.add(line)
    if (this.#started) this.#arm()
    return () => this.#lines.delete(line)
  }

  start(): void {
    this.#started = true
    this.#distance = distance()
    this.#planAll(Date.now())
    this.#arm()
  }

  stop(): void {
    this.#started = false
    clearTimeout(this.#timer)
    this.#lines.clear()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (!this.#started || this.#lines.size === 0) return
    const next = Math.min(...[...this.#lines].map((line) => line.next))
    this.#timer = setTimeout(() => this.#look(), Math.min(Math.max(next - Date.now(), 1), LOOK))
  }

  #look(): void {
    const before = this.#distance
    this.#distance = distance()
    const jumped = this.#distance - before
    const now = Date.now()
    if (Math.abs(jumped) >= JUMP) {
      this.#onJump(jumped)
      const over = [...this.#lines].filter(({ next }) => next <= now)
      for (const { missed, next } of over) missed?.(next)
      this.#planAll(now)
    } else this.#ringAll(now)
    this.#arm()
  }

  #ringAll(now: number): void {
    for (const line of this.#lines) {
      const { next } = line
      if (next > now) continue
      line.next = nextOf(line, now)
      line.ring(next)
    }
  }

  #planAll(now: number): void {
    for (const line of this.#lines) line.next = nextOf(line, now)
  }
}

/** The first time after now. */
function nextOf({ times }: Rings, now: number): number {
  return times(now) ?? Number.POSITIVE_INFINITY
}

function distance(): number {
  return Date.now() - performance.now()
}
