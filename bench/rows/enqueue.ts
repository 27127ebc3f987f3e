/**
 * Durable enqueues of jobs for tomorrow (so that nothing runs meanwhile), beside the fdatasync loop and the
 * bare prototype, in the same folder. In the end both servers are stopped and what lies on the disk is
 * counted: one job fewer than was acknowledged, and the bench fails.
 */
import { readFileSync } from 'node:fs'
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import { FloorClient } from '../floors/client.js'
import { fdatasyncLoop } from '../floors/fdatasync.js'
import { eachFrame } from '../floors/frames.js'
import { alternate, type Contender, keepInFlight } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { type Context, startFloor, startOffstage } from './context.js'
import { countJobs } from './journal.js'

const WORKER = 'bench_worker'
const IN_FLIGHT = [1, 64, 1024] as const
const inFlight = (lanes: number) => `durable enqueue, ${lanes} in flight`
const BULK = 500
/** Bulk calls in flight: the next is encoded while one is on its way to the disk. */
const BULK_IN_FLIGHT = 2
const BULK_ROW = `durable enqueue, ${BULK} a call`

export async function enqueueRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlight(lanes)))
  if (lanesSelected.length === 0 && !selected(BULK_ROW)) return []

  const data = `${folder}/enqueue`
  const server = await startOffstage(data)
  const middleMan = await MiddleMan.connect({ client: `127.0.0.1:${server.port}` })
  const worker = middleMan.worker<BenchWorker>(WORKER)
  const prototypeFile = `${folder}/prototype`
  const prototypeServer = await startFloor('prototype_server.js', prototypeFile)
  const prototype = await FloorClient.connect(prototypeServer.port)
  const loop = fdatasyncLoop(`${folder}/fdatasync`)

  const scheduledAt = new Date(Date.now() + 86_400_000)
  let enqueued = 0
  let appended = 0

  const enqueue = async () => {
    const n = enqueued++
    const { created } = await worker.enqNoop({ arg: argumentFor(n), jobKey: `job-${n}`, scheduledAt })
    if (!created) throw new Error(`job ${n} was not created`)
  }
  const append = async () => {
    const answer = await prototype.call(prototypeJob(appended++))
    if (answer !== 1) throw new Error(`the prototype answered ${String(answer)}`)
  }
  const enqueueBulk = async () => {
    const jobs = Array.from({ length: BULK }, () => {
      const n = enqueued++
      return { worker: WORKER, method: 'noop', arg: argumentFor(n), jobKey: `job-${n}`, scheduledAt }
    })
    const answers = await middleMan.enqueueMany(jobs)
    if (answers.length !== BULK || !answers.every(({ created }) => created)) throw new Error('a bulk call lost jobs')
  }
  const appendBulk = async () => {
    const answer = await prototype.call(Array.from({ length: BULK }, () => prototypeJob(appended++)))
    if (answer !== BULK) throw new Error(`the prototype answered ${String(answer)} to a bulk call`)
  }

  const results: Result[] = []
  for (const lanes of lanesSelected) {
    const contenders: Contender[] = [
      { name: OURS, round: async (ms) => ({ rate: await keepInFlight(lanes, ms, enqueue) }) },
      { name: 'bare prototype', round: async (ms) => ({ rate: await keepInFlight(lanes, ms, append) }) },
    ]
    if (lanes === 1) contenders.splice(1, 0, loop)
    results.push(compare(inFlight(lanes), '/s', 'rate', await alternate(contenders, plan)))
  }
  if (selected(BULK_ROW)) {
    const rate = async (ms: number, call: () => Promise<void>) => BULK * (await keepInFlight(BULK_IN_FLIGHT, ms, call))
    const contenders: Contender[] = [
      { name: OURS, round: async (ms) => ({ rate: await rate(ms, enqueueBulk) }) },
      { name: 'bare prototype', round: async (ms) => ({ rate: await rate(ms, appendBulk) }) },
    ]
    results.push(compare(BULK_ROW, '/s', 'rate', await alternate(contenders, plan)))
  }

  prototype.close()
  loop.close()
  await middleMan.close()
  await Promise.all([prototypeServer.stop(), server.stop()])
  expectOnDisk('offstage', enqueued, await countJobs(data))
  expectOnDisk('the prototype', appended, countAppended(prototypeFile))
  return results
}

function prototypeJob(n: number): Record<string, unknown> {
  return { worker: WORKER, method: 'noop', jobKey: `job-${n}`, arg: argumentFor(n) }
}

/** Messages in the prototype's file are `[n, job]` or `[n, [job…]]`: counted by the keys in them. */
function countAppended(file: string): number {
  let jobs = 0
  eachFrame(readFileSync(file), (bytes, start, end) => {
    for (let at = bytes.indexOf('job-', start); at !== -1 && at < end; at = bytes.indexOf('job-', at + 1)) jobs++
  })
  return jobs
}

function expectOnDisk(who: string, acknowledged: number, found: number): void {
  if (found !== acknowledged) throw new Error(`${who} acknowledged ${acknowledged} jobs, ${found} are on disk`)
}
