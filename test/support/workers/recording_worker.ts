/** Writes what it runs into the file RECORD, a line of JSON for each start, so that a test can count. */
import { appendFileSync, readFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'

const file = process.env.RECORD ?? '/dev/null'

export default class RecordingWorker extends MetaWorker {
  static override workerName = 'recording_worker'

  record(arg: unknown) {
    this._write('record', arg)
  }

  async recordSlowly(arg: { gate: string }) {
    this._write('recordSlowly', arg)
    while (!readFileSync(arg.gate, 'utf8').includes('open')) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  failUntil(arg: { attempt: number }) {
    this._write('failUntil', arg)
    if ((this.persistentJob?.attempt ?? 0) < arg.attempt) throw new Error(`not before attempt ${arg.attempt}`)
  }

  async finishThenThrow() {
    this._write('finishThenThrow', await this.persistentJob?.finish())
    throw new Error('after finish')
  }

  async releaseOnce(arg: { mark: string }) {
    const before = readFileSync(arg.mark, 'utf8')
    this._write('releaseOnce', before)
    if (before === '') {
      appendFileSync(arg.mark, 'released')
      await this.persistentJob?.release()
    }
  }

  die(arg: unknown) {
    this._write('die', arg)
    process.exit(3)
  }

  killSupervisor(arg: unknown) {
    this._write('killSupervisor', arg)
    process.kill(process.pid, 'SIGKILL')
  }

  _write(method: string, arg: unknown) {
    const { jobKey, persistentJob } = this
    const line = { method, arg, jobKey, id: persistentJob?.id, attempt: persistentJob?.attempt, at: Date.now() }
    // The line break in front keeps it apart from a line that a kill cut off.
    appendFileSync(file, `\n${JSON.stringify(line)}\n`)
  }
}
