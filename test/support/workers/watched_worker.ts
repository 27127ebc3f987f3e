/** Jobs that can be watched: they wait until `go` is called, and say how far they are. */
import { appendFileSync, existsSync } from 'node:fs'
import { MetaWorker } from 'offstage'

export default class WatchedWorker extends MetaWorker {
  static override workerName = 'watched_worker'
  static override concurrency = 8
  static override grace = 500
  readonly #waiting = new Map<string, () => void>()

  /** Tells each value, and goes on with the next when `go` says so. */
  async walk(values: unknown[]) {
    for (const value of values) {
      this.progress(value)
      await this.#wait()
    }
    return { walked: values.length }
  }

  /** Lets the job with this key go on; true when it waits. */
  go(jobKey: string) {
    const go = this.#waiting.get(jobKey)
    this.#waiting.delete(jobKey)
    go?.()
    return go !== undefined
  }

  give(value: unknown) {
    return value
  }

  nothing() {}

  fail(message: string) {
    throw new RangeError(message)
  }

  unsendable() {
    return () => {}
  }

  async finishByHand() {
    await this.persistentJob!.finish()
    return 'not this'
  }

  async untilAborted(file: string) {
    appendFileSync(file, 'started\n')
    await new Promise((_, reject) => this.signal.addEventListener('abort', () => reject(this.signal.reason)))
  }

  async returnsAnyway() {
    this.progress('running')
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve))
    return 'anyway'
  }

  async neverEnds(file: string) {
    appendFileSync(file, 'started\n')
    await new Promise(() => {})
  }

  /** Gives its thread no break until the file is there. */
  block(until: string) {
    this.progress('blocking')
    const sleeper = new Int32Array(new SharedArrayBuffer(4))
    for (let i = 0; !existsSync(until); i++) {
      Atomics.wait(sleeper, 0, 0, 20)
      this.progress(i)
    }
  }

  inPool(until: string) {
    return this.threadPool.defer('block', until)
  }

  tooLong() {
    this.progress('x'.repeat(70_000))
  }

  #wait() {
    return new Promise<void>((resolve) => this.#waiting.set(this.jobKey!, resolve))
  }
}
