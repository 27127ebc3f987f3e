/**
 * Our side of the enqueue rows: jobs for tomorrow, so that nothing runs meanwhile. In the end the server is stopped
 * and what lies on the disk is counted: one job fewer than was acknowledged, and the bench fails.
 */
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import type { ServerProcess } from '../processes.js'
import { OURS } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { startOffstage } from './context.js'
import { BULK, type Enqueuer } from './enqueuer.js'
import { countJobs, expectOnDisk } from './journal.js'

const WORKER = 'bench_worker'
const DAY = 86_400_000

export class OffstageEnqueuer implements Enqueuer {
  readonly name = OURS
  readonly bulkInFlight = 2
  readonly #data: string
  readonly #server: ServerProcess
  readonly #middleMan: MiddleMan
  readonly #worker
  readonly #scheduledAt = new Date(Date.now() + DAY)
  #enqueued = 0

  private constructor(data: string, server: ServerProcess, middleMan: MiddleMan) {
    this.#data = data
    this.#server = server
    this.#middleMan = middleMan
    this.#worker = middleMan.worker<BenchWorker>(WORKER)
  }

  /** With its journal in `data`. */
  static async start(data: string): Promise<OffstageEnqueuer> {
    const server = await startOffstage(data)
    return new OffstageEnqueuer(data, server, await MiddleMan.connect({ client: `127.0.0.1:${server.port}` }))
  }

  async enqueue(): Promise<void> {
    const n = this.#enqueued++
    const scheduledAt = this.#scheduledAt
    const { created } = await this.#worker.enqNoop({ arg: argumentFor(n), jobKey: `job-${n}`, scheduledAt })
    if (!created) throw new Error(`job ${n} was not created`)
  }

  async enqueueBulk(): Promise<void> {
    const jobs = Array.from({ length: BULK }, () => {
      const n = this.#enqueued++
      return {
        worker: WORKER,
        method: 'noop',
        arg: argumentFor(n),
        jobKey: `job-${n}`,
        scheduledAt: this.#scheduledAt,
      }
    })
    const answers = await this.#middleMan.enqueueMany(jobs)
    if (answers.length !== BULK || !answers.every(({ created }) => created)) throw new Error('a bulk call lost jobs')
  }

  async close(): Promise<void> {
    await this.#middleMan.close()
    await this.#server.stop()
    expectOnDisk(this.name, this.#enqueued, await countJobs(this.#data))
  }
}
