/**
 * `addTimer` and `addPeriodicTimer` of a worker: when one is due it takes its place in the queue of turns, so
 * it never runs beside a message. A periodic timer that is still waiting or running when it falls due again
 * lets that one pass.
 */
import { InvalidArgument } from '../errors.js'
import type { Cancelable, Clock } from './clock.js'

export interface TimerInfo {
  readonly seconds: number
  readonly periodic: boolean
}

type Enqueue = (periodic: boolean, run: () => unknown, ended: () => void) => void

interface Entry extends TimerInfo {
  readonly fn: () => unknown
  due: number
  busy: boolean
  armed: Cancelable | undefined
}

export class WorkerTimers {
  readonly #clock: Clock
  readonly #enqueue: Enqueue
  readonly #entries = new Set<Entry>()
  #stopped = false

  constructor(clock: Clock, enqueue: Enqueue) {
    this.#clock = clock
    this.#enqueue = enqueue
  }

  get pending(): TimerInfo[] {
    return [...this.#entries].map(({ seconds, periodic }) => ({ seconds, periodic }))
  }

  add(seconds: number, fn: () => unknown, periodic: boolean): Cancelable {
    const name = periodic ? 'addPeriodicTimer' : 'addTimer'
    if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 0 || (periodic && seconds === 0)) {
      throw new InvalidArgument(`${name} takes a number of seconds ${periodic ? 'above' : 'from'} 0, not ${seconds}`)
    }
    if (typeof fn !== 'function') throw new InvalidArgument(`${name} takes a function as its second argument`)
    const entry: Entry = {
      seconds,
      periodic,
      fn,
      due: this.#clock.now() + seconds * 1000,
      busy: false,
      armed: undefined,
    }
    if (!this.#stopped) {
      this.#entries.add(entry)
      this.#arm(entry)
    }
    return { cancel: () => this.#cancel(entry) }
  }

  /** None fires any more, also none added from now on. */
  stop(): void {
    this.#stopped = true
    for (const entry of this.#entries) this.#cancel(entry)
  }

  #cancel(entry: Entry): void {
    this.#entries.delete(entry)
    entry.armed?.cancel()
  }

  #arm(entry: Entry): void {
    entry.armed = this.#clock.after(Math.max(0, entry.due - this.#clock.now()), () => this.#fire(entry))
  }

  #fire(entry: Entry): void {
    if (entry.periodic) {
      const period = entry.seconds * 1000
      // A blocked thread must not be followed by a burst of the firings that it missed.
      entry.due = Math.max(entry.due + period, this.#clock.now())
      this.#arm(entry)
    } else this.#entries.delete(entry)
    if (entry.busy) return
    entry.busy = true
    const run = () => (this.#stopped || (entry.periodic && !this.#entries.has(entry)) ? undefined : entry.fn())
    this.#enqueue(entry.periodic, run, () => {
      entry.busy = false
    })
  }
}
