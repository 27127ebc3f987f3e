import { renameSync, writeFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'

/** File into which the first job writes when it started, in ms since 1970, and what the process had used of the CPU, in ms. */
const FIRST_START = process.env.BENCH_FIRST_START

/** Whose jobs wait over a restart. */
export default class RestartWorker extends MetaWorker {
  #started = false

  noop(_argument: string): void {
    if (this.#started || FIRST_START === undefined) return
    this.#started = true
    const now = Date.now()
    const { user, system } = process.cpuUsage()
    const text = `${now} ${Math.round((user + system) / 1000)}`
    writeFileSync(`${FIRST_START}.tmp`, text)
    renameSync(`${FIRST_START}.tmp`, FIRST_START)
  }
}
