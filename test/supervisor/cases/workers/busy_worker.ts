import { setImmediate as nextTurn } from 'node:timers/promises'
import { MetaWorker } from 'offstage'

let touched = 0

class Base extends MetaWorker {
  inherited() {
    touched++
  }
}

/** Many turns beside each other, and a memory of how many there were. */
export default class BusyWorker extends Base {
  static override workerName = 'busy_worker'
  static override concurrency = 10_000
  static override mailboxLimit = 100_000
  static override grace = 0
  #running = 0
  #most = 0
  #release: (() => void)[] = []

  field = () => {
    touched++
  }

  get accessor() {
    touched++
    return () => touched++
  }

  _hidden() {
    touched++
  }

  // biome-ignore lint/suspicious/noThenProperty: that it is refused is what is tested
  then() {
    touched++
  }

  override toString() {
    touched++
    return ''
  }

  toJSON() {
    touched++
  }

  /** How often something ran that clients may not call. */
  touched() {
    return touched
  }

  echo(arg: unknown) {
    return arg
  }

  /** Goes on for some turns of the event loop, whatever its signal says. */
  async goOn(turns: number) {
    this.#begin()
    for (let i = 0; i < turns; i++) await nextTurn()
    this.#running--
  }

  /** Until `release`, whatever its signal says. */
  async hold() {
    this.#begin()
    await new Promise<void>((resolve) => this.#release.push(resolve))
    this.#running--
  }

  release() {
    for (const resolve of this.#release.splice(0)) resolve()
  }

  running() {
    return { now: this.#running, most: this.#most }
  }

  bytes(length: number) {
    return Buffer.alloc(length)
  }

  #begin() {
    this.#running++
    this.#most = Math.max(this.#most, this.#running)
  }
}
