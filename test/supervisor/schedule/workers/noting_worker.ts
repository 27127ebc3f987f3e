/** Writes each call into the file RECORD, a line of JSON. */
import { appendFileSync } from 'node:fs'
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

  _note(method: string, arg: unknown) {
    const { jobKey, persistentJob } = this
    const line = { method, arg, jobKey, id: persistentJob?.id, at: Date.now() }
    appendFileSync(process.env.RECORD ?? '/dev/null', `\n${JSON.stringify(line)}\n`)
  }
}
