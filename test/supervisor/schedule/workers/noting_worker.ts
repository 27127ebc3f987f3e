/** Writes each call into the file RECORD, a line of JSON. */
import { appendFileSync, existsSync } from 'node:fs'
import { MetaWorker } from 'offstage'

export default class NotingWorker extends MetaWorker {
  static override workerName = 'noting_worker'

  first(arg: unknown) {
    this._note('first', arg)
  }

  second(arg: unknown) {
    this._note('second', arg)
  }

  third(arg: unknown) {
    this._note('third', arg)
  }

  tick() {
    this._note('tick', undefined)
  }

  fails(arg: string) {
    throw new Error(arg)
  }

  leave() {
    process.exit(0)
  }

  /** Until the file is there. */
  async waits(gate: string) {
    this._note('waits', gate)
    while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  _note(method: string, arg: unknown) {
    const { jobKey, persistentJob } = this
    const line = { method, arg, jobKey, id: persistentJob?.id, at: Date.now() }
    appendFileSync(process.env.RECORD ?? '/dev/null', `\n${JSON.stringify(line)}\n`)
  }
}
