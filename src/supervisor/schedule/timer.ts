/**
 * Rings at the times of schedules, by the wall clock, whatever that does. It looks at it every second by the
 * monotonic clock, rather than to wait for one far-off time: that would be wrong after every jump.
 *
 * After a jump, forward or back, the next times are computed anew and what lies between is left out, but that whoever
 * wants to is told. A time that has come while the program was busy still rings, once and late.
 */

import { type Cancelable, type Clock, systemClock } from '../../actors/clock.js'

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
  /** Up to this time it does not ring, also when the clock was set back. Looked at whenever its next time is computed. */
  readonly after?: () => number
}

interface Line extends Rings {
  next: number
}

export class ScheduleTimer {
  readonly #lines = new Set<Line>()
  readonly #onJump: (ms: number) => void
  readonly #clock: Clock
  readonly #wall: () => number
  #timer: Cancelable | undefined
  #started = false
  /** Of the wall clock to the monotonic one. */
  #distance = 0

  /** `onJump` hears by how many milliseconds the wall clock has jumped. */
  constructor(onJump: (ms: number) => void, clock: Clock = systemClock, wall: () => number = Date.now) {
    this.#onJump = onJump
    this.#clock = clock
    this.#wall = wall
  }

  /** Returns what ends it. */
  add(rings: Rings): () => void {
    const line = { ...rings, next: nextOf(rings, this.#wall()) }
    this.#lines.add(line)
    if (this.#started) this.#arm()
    return () => this.#lines.delete(line)
  }

  start(): void {
    this.#started = true
    this.#distance = this.#apart()
    this.#planAll(this.#wall())
    this.#arm()
  }

  stop(): void {
    this.#started = false
    this.#timer?.cancel()
    this.#lines.clear()
  }

  #arm(): void {
    this.#timer?.cancel()
    if (!this.#started || this.#lines.size === 0) return
    const next = Math.min(...[...this.#lines].map((line) => line.next))
    this.#timer = this.#clock.after(Math.min(Math.max(next - this.#wall(), 1), LOOK), () => this.#look())
  }

  #look(): void {
    const before = this.#distance
    this.#distance = this.#apart()
    const jumped = this.#distance - before
    const now = this.#wall()
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

  #apart(): number {
    return this.#wall() - this.#clock.now()
  }

  #planAll(now: number): void {
    for (const line of this.#lines) line.next = nextOf(line, now)
  }
}

/** The first time after now. */
function nextOf({ times, after }: Rings, now: number): number {
  return times(Math.max(now, after?.() ?? now)) ?? Number.POSITIVE_INFINITY
}
