/** Writes which call it ran, in which process, into the file RUNS: at the cost of one small write. */
import { openSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { MetaWorker } from 'offstage'

const runs = openSync(process.env.RUNS ?? '/dev/null', 'a')

export default class CountingWorker extends MetaWorker {
  static override workerName = 'counting_worker'
  static override concurrency = 32

  #left = Number.POSITIVE_INFINITY

  /** Returns the process that ran it. */
  async count(n: number): Promise<number> {
    // The line break in front and the point keep it apart from a line that a kill cut off.
    writeSync(runs, `\n${process.pid} ${n}.`)
    if (--this.#left === 0) process.kill(process.pid, 'SIGKILL')
    await setImmediate()
    return process.pid
  }

  /** After so many further calls the server is killed, at a moment when calls have run and are not answered. */
  killAfter(calls: number): void {
    this.#left = calls
  }
}
