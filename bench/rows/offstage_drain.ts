/**
 * Our side of the drain rows. All jobs of a round are enqueued for one moment that comes when the last one is on
 * disk; then the server claims, runs and finishes them with nobody asking for anything. The worker counts and notes
 * when its first and its last job started: jobs per second between these two. (The last completion's way to the
 * disk is not in it: a few ms of a round.)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import { drainRate } from '../drain_counter.js'
import { type DrainMethods, drainWorkerName } from '../drain_worker.js'
import type { Contender } from '../measure.js'
import type { ServerProcess } from '../processes.js'
import { OURS } from '../result.js'
import { startOffstage } from './context.js'
import { countJobs } from './journal.js'

export const drainRow = (concurrency: number) => `drain no-op jobs, concurrency ${concurrency}`

/** Jobs for each ms that a round is meant to take. */
const JOBS_PER_MS = 40
const FIRST_ALLOWANCE = 150
const PATIENCE_MS = 60_000

export class OffstageDrain {
  readonly #data: string
  readonly #server: ServerProcess
  readonly #middleMan: MiddleMan

  private constructor(data: string, server: ServerProcess, middleMan: MiddleMan) {
    this.#data = data
    this.#server = server
    this.#middleMan = middleMan
  }

  static async start(data: string): Promise<OffstageDrain> {
    const server = await startOffstage(data)
    return new OffstageDrain(data, server, await MiddleMan.connect({ client: `127.0.0.1:${server.port}` }))
  }

  contender(concurrency: number): Contender {
    const name = drainWorkerName(concurrency)
    const worker = this.#middleMan.worker<DrainMethods>(name)
    /** µs that enqueueing a job may take before the round's jobs are due. */
    let allowance = FIRST_ALLOWANCE
    const enqueue = async (jobs: number, scheduledAt: number) => {
      const bulk = Array.from({ length: jobs }, (_, n) => {
        return { worker: name, method: 'noop', arg: argumentFor(n), jobKey: `drain-${n}`, scheduledAt }
      })
      // Only a job that is still unfinished could hold a key of the last round.
      const answers = await this.#middleMan.enqueueMany(bulk)
      if (!answers.every(({ created }) => created)) throw new Error('a job of the last round was never finished')
    }
    const enqueueInTime = async (jobs: number) => {
      await worker.reset()
      const before = Date.now()
      const due = before + 200 + (jobs * allowance) / 1000
      await enqueue(jobs, due)
      const now = Date.now()
      if (now >= due) return false
      allowance = Math.max(allowance / 2, (2000 * (now - before)) / jobs)
      return true
    }
    const drained = async (jobs: number) => {
      const patience = Date.now() + PATIENCE_MS
      for (;;) {
        const seen = await worker.drained()
        if (seen.jobs >= jobs) return drainRate(seen, jobs)
        if (Date.now() > patience) throw new Error(`${seen.jobs} of ${jobs} jobs ran within ${PATIENCE_MS} ms`)
        await sleep(20)
      }
    }
    return {
      name: OURS,
      async round(ms) {
        const jobs = Math.ceil(ms * JOBS_PER_MS)
        while (!(await enqueueInTime(jobs))) {
          // The server began before it had everything: this round says nothing, the next gets more time.
          await drained(jobs)
          allowance *= 2
        }
        return { rate: await drained(jobs) }
      },
    }
  }

  /** Stops the server; no job may be left on the disk. */
  async close(): Promise<void> {
    await this.#middleMan.close()
    await this.#server.stop()
    const left = await countJobs(this.#data)
    if (left !== 0) throw new Error(`${left} drained jobs are still on disk as unfinished`)
  }
}
