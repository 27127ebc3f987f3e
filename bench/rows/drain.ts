/**
 * Draining a full queue of no-op jobs. All jobs of a round are enqueued for one moment that comes when the
 * last one is on disk; then the server claims, runs and finishes them with nobody asking for anything. The
 * worker counts and notes when its first and its last job started: jobs per second between these two. (The
 * last completion's way to the disk is not in it: a few ms of a round.)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import { type DrainMethods, drainWorkerName } from '../drain_worker.js'
import { alternate } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import { type Context, startOffstage } from './context.js'
import { countJobs } from './journal.js'

const CONCURRENCIES = [1, 10, 100] as const
const rowOf = (concurrency: number) => `drain no-op jobs, concurrency ${concurrency}`
/** Jobs for each ms that a round is meant to take. */
const JOBS_PER_MS = 40
const FIRST_ALLOWANCE = 150
const PATIENCE_MS = 60_000

export async function drainRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const wanted = CONCURRENCIES.filter((concurrency) => selected(rowOf(concurrency)))
  if (wanted.length === 0) return []
  const data = `${folder}/drain`
  const server = await startOffstage(data)
  const middleMan = await MiddleMan.connect({ client: `127.0.0.1:${server.port}` })
  const results: Result[] = []
  for (const concurrency of wanted) {
    const name = drainWorkerName(concurrency)
    const worker = middleMan.worker<DrainMethods>(name)
    /** µs that enqueueing a job may take before the round's jobs are due. */
    let allowance = FIRST_ALLOWANCE
    const drain = async (ms: number) => {
      const jobs = Math.ceil(ms * JOBS_PER_MS)
      while (!(await enqueueInTime(jobs))) {
        // The server began before it had everything: this round says nothing, the next gets more time.
        await drained(jobs)
        allowance *= 2
      }
      return { rate: await drained(jobs) }
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
    const enqueue = async (jobs: number, scheduledAt: number) => {
      const bulk = Array.from({ length: jobs }, (_, n) => {
        return { worker: name, method: 'noop', arg: argumentFor(n), jobKey: `drain-${n}`, scheduledAt }
      })
      // Only a job that is still unfinished could hold a key of the last round.
      const answers = await middleMan.enqueueMany(bulk)
      if (!answers.every(({ created }) => created)) throw new Error('a job of the last round was never finished')
    }
    const drained = async (jobs: number) => {
      const patience = Date.now() + PATIENCE_MS
      for (;;) {
        const seen = await worker.drained()
        if (seen.jobs >= jobs) {
          if (seen.jobs > jobs || seen.sum !== (jobs * (jobs - 1)) / 2) throw new Error('a job ran twice, or never')
          return ((jobs - 1) * 1000) / seen.ms
        }
        if (Date.now() > patience) throw new Error(`${seen.jobs} of ${jobs} jobs ran within ${PATIENCE_MS} ms`)
        await sleep(20)
      }
    }
    const measured = await alternate([{ name: OURS, round: drain }], plan)
    results.push(compare(rowOf(concurrency), '/s', 'rate', measured))
  }
  await middleMan.close()
  await server.stop()
  const left = await countJobs(data)
  if (left !== 0) throw new Error(`${left} drained jobs are still on disk as unfinished`)
  return results
}
