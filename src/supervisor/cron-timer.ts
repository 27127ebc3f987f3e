/**
 * Rings at the times of cron lines, by the wall clock, whatever that does. It looks at it every second by the
 * monotonic clock, rather than to wait for one far-off time: that would be wrong after every jump.
 *
 * After a jump, forward or back, the next times are computed anew and what lies between is left out. A time that
 * has come while the program was busy still rings, once and late.
 */
import { createTask, type ScheduledTask } from 'node-cron'

/** Milliseconds from one look at the wall clock to the next, at most. */
const LOOK = 1_000

/** Milliseconds by which the two clocks have to part between two looks for that to be a jump. */
const JUMP = 1_000

interface Line {
  /** Knows the times; it is never started. */
  readonly task: ScheduledTask
  readonly ring: (at: Date) => void
  next: Date
}

export class CronTimer {
  readonly #lines: Line[] = []
  readonly #onJump: (ms: number) => void
  #timer: NodeJS.Timeout | undefined
  /** Of the wall clock to the monotonic one. */
  #distance = 0

  /** `onJump` hears by how many milliseconds the wall clock has jumped. */
  constructor(onJump: (ms: number) => void) {
    this.#onJump = onJump
  }

  /** `ring` hears the time that it rings for. `timezone` is an IANA name; by default the machine's. */
  add(expression: string, timezone: string | undefined, ring: (at: Date) => void): void {
    const task = createTask(expression, () => {}, timezone === undefined ? {} : { timezone })
    this.#lines.push({ task, ring, next: nextOf(task) })
  }

  start(): void {
    if (this.#lines.length === 0) return
    this.#distance = distance()
    this.#planAll()
    this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const { task } of this.#lines.splice(0)) void task.destroy()
  }

  #arm(): void {
    const next = Math.min(...this.#lines.map((line) => line.next.getTime()))
    this.#timer = setTimeout(() => this.#look(), Math.min(Math.max(next - Date.now(), 1), LOOK))
  }

  #look(): void {
    const before = this.#distance
    this.#distance = distance()
    const jumped = this.#distance - before
    if (Math.abs(jumped) >= JUMP) {
      this.#onJump(jumped)
      this.#planAll()
    } else this.#ringAll(Date.now())
    this.#arm()
  }

  #ringAll(now: number): void {
    for (const line of this.#lines) {
      const { next } = line
      if (next.getTime() > now) continue
      line.next = nextOf(line.task)
      line.ring(next)
    }
  }

  #planAll(): void {
    for (const line of this.#lines) line.next = nextOf(line.task)
  }
}

/** The first time after now. */
function nextOf(task: ScheduledTask): Date {
  return task.getNextRuns(1)[0]!
}

function distance(): number {
  return Date.now() - performance.now()
}
