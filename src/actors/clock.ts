/** Time as the actors see it, so that a test can run it by hand. */

export interface Cancelable {
  cancel(): void
}

export interface Clock {
  /** Milliseconds that never go backwards. */
  now(): number
  /** Calls `fn` once, `ms` from now. */
  after(ms: number, fn: () => void): Cancelable
}

/** `setTimeout` takes at most this many milliseconds (about 25 days); anything longer waits in steps. */
const LONGEST_TIMEOUT = 0x7fff_ffff

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    let left = ms
    let timer: NodeJS.Timeout
    const arm = () => {
      const step = Math.min(left, LONGEST_TIMEOUT)
      left -= step
      timer = setTimeout(() => (left > 0 ? arm() : fn()), step)
    }
    arm()
    return { cancel: () => clearTimeout(timer) }
  },
}
