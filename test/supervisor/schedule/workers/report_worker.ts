/** Loaded anew for each firing: `instance` of what it writes says whether it was. */
import { appendFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'

export default class ReportWorker extends MetaWorker {
  static override workerName = 'report_worker'
  static override reloadOnSchedule = true
  #calls = 0
  #data: unknown

  override create(data?: unknown) {
    this.#data = data
  }

  report(arg: unknown) {
    const line = { arg, calls: ++this.#calls, data: this.#data, workerKey: this.workerKey }
    appendFileSync(process.env.RECORD ?? '/dev/null', `${JSON.stringify(line)}\n`)
  }
}
