/** Our side of the lateness rows. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import { latenessContender, type Observed } from '../lateness.js'
import type { Contender } from '../measure.js'
import type { ServerProcess } from '../processes.js'
import { OURS } from '../result.js'
import type LatenessWorker from '../workers/lateness_worker.js'
import { startOffstage } from './context.js'
import { countJobs } from './journal.js'

const WORKER = 'lateness_worker'
const PATIENCE_MS = 60_000

export class OffstageLateness {
  readonly #data: string
  readonly #server: ServerProcess
  readonly #middleMan: MiddleMan

  private constructor(data: string, server: ServerProcess, middleMan: MiddleMan) {
    this.#data = data
    this.#server = server
    this.#middleMan = middleMan
  }

  static async start(data: string): Promise<OffstageLateness> {
    const server = await startOffstage(data)
    return new OffstageLateness(data, server, await MiddleMan.connect({ client: `127.0.0.1:${server.port}` }))
  }

  /** One that starts early fails the bench. */
  contender(): Contender {
    const { name, round } = latenessContender(OURS, (due) => this.#run(due))
    return {
      name,
      async round(ms) {
        const figures = await round(ms)
        if (figures.early !== 0) throw new Error(`${figures.early} scheduled jobs started early`)
        return figures
      },
    }
  }

  /** Stops the server; no job may be left on the disk. */
  async close(): Promise<void> {
    await this.#middleMan.close()
    await this.#server.stop()
    const left = await countJobs(this.#data)
    if (left !== 0) throw new Error(`${left} scheduled jobs ran and are still on disk as unfinished`)
  }

  async #run(due: readonly number[]): Promise<Observed> {
    const worker = this.#middleMan.worker<LatenessWorker>(WORKER)
    await worker.reset()
    const jobs = due.map((scheduledAt, n) => {
      return { worker: WORKER, method: 'noop', arg: argumentFor(n), jobKey: `lateness-${n}`, scheduledAt }
    })
    await this.#middleMan.enqueueMany(jobs)
    const storedAt = Date.now()
    // Nobody asks before: an answer would take a turn of the worker.
    await sleep(Math.max(...due) - storedAt)
    for (const patience = Date.now() + PATIENCE_MS; ; await sleep(20)) {
      const starts = await worker.starts()
      if (starts.length >= due.length) return { due, starts, storedAt }
      if (Date.now() > patience) throw new Error(`${starts.length} of ${due.length} jobs ran ${PATIENCE_MS} ms late`)
    }
  }
}
