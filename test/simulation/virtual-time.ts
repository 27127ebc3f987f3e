/**
 * Time that passes only when it is told to. While installed it takes the place of `setTimeout`, so that what
 * waits for a second without work (the idle batch) does so in virtual time, too. `setImmediate` stays real: its
 * order is that of the calls.
 */
interface Timer {
  readonly at: number
  readonly run: () => void
  ref(): Timer
  unref(): Timer
}

export class VirtualTime {
  /** Milliseconds since 1970. */
  now: number
  #timers = new Set<Timer>()
  #real: PropertyDescriptor[] = []

  constructor(now: number) {
    this.now = now
  }

  install(): void {
    this.#real = [descriptor('setTimeout'), descriptor('clearTimeout')]
    const setTimer = (work: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) => {
      const timer: Timer = {
        at: this.now + ms,
        run: () => work(...args),
        ref: () => timer,
        unref: () => timer,
      }
      this.#timers.add(timer)
      return timer
    }
    replace('setTimeout', setTimer)
    replace('clearTimeout', (timer: Timer) => this.#timers.delete(timer))
  }

  uninstall(): void {
    const [set, clear] = this.#real
    if (set !== undefined) Object.defineProperty(globalThis, 'setTimeout', set)
    if (clear !== undefined) Object.defineProperty(globalThis, 'clearTimeout', clear)
  }

  advance(ms: number): void {
    const end = this.now + ms
    for (;;) {
      let next: Timer | undefined
      for (const timer of this.#timers) if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
      if (next === undefined) break
      this.#timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.run()
    }
    this.now = end
  }
}

function descriptor(name: string): PropertyDescriptor {
  return Object.getOwnPropertyDescriptor(globalThis, name) ?? {}
}

function replace(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true })
}
