/**
 * Two million queued jobs: what a job takes of the server's memory, and how late its event loop is while they come
 * and while most of them go again, so that the journal gives space back.
 */
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import { segmentFiles } from '#offstage/persistence/journal/segment.js'
import { argumentFor } from '../argument.js'
import type { Delays } from '../loop_delays.js'
import { IdleProcess, MeasuredServer } from '../measured_process.js'
import { type Result, single } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { type Context, WORKERS } from './context.js'
import { BULK } from './enqueuer.js'
import { countJobs, expectOnDisk, indexed } from './journal.js'

const WORKER = 'bench_worker'
const DAY = 86_400_000
/**
 * Of all jobs, this share comes before the first look at the memory: buffers and code are there then, the cache of 32 MiB
 * is full (some 200,000 jobs), and neither is the queued jobs'.
 */
const WARM_UP = 0.2
const BULK_IN_FLIGHT = 4
const DEQUEUES_IN_FLIGHT = 1024
/** One job in so many stays, spread over all segments. */
const KEPT = 10

export async function memoryRows({ folder, size, selected }: Context): Promise<Result[]> {
  const jobs = size.memory
  const many = jobs.toLocaleString('en')
  const rows = {
    rss: `memory per queued job, ${many} jobs, of the process`,
    heap: `memory per queued job, ${many} jobs, of the heap`,
    enqueueP99: `memory: event loop delay, ${many} jobs enqueued, p99`,
    enqueueMax: `memory: event loop delay, ${many} jobs enqueued, max`,
    compactP99: `memory: event loop delay, compaction of ${many} jobs, p99`,
    compactMax: `memory: event loop delay, compaction of ${many} jobs, max`,
  }
  if (!Object.values(rows).some(selected)) return []

  const data = `${folder}/memory`
  const server = await MeasuredServer.start(WORKERS, data)
  const idle = await IdleProcess.start()
  const takeDelays = async () => ({ ours: await server.ask('delays'), idle: await idle.delays() })
  const middleMan = await MiddleMan.connect({ client: `127.0.0.1:${server.port}` })
  const enqueue = (first: number, end: number) => enqueueRange(middleMan, first, end)

  const first = Math.round(WARM_UP * jobs)
  const memory = async () => {
    await indexed(data)
    return server.ask('memory')
  }

  await enqueue(0, first)
  const before = await memory()
  await takeDelays()
  await enqueue(first, jobs)
  const enqueuing = await takeDelays()
  const full = describeDisk(data)
  const after = await memory()
  await takeDelays()

  const removed = await dequeueMost(middleMan, jobs)
  const compacting = await takeDelays()
  const left = describeDisk(data)
  await middleMan.close()
  await Promise.all([server.stop(), idle.stop()])
  expectOnDisk('offstage', jobs - removed, await countJobs(data))

  const results: Result[] = [
    {
      ...single(rows.rss, 'B', (after.rss - before.rss) / (jobs - first)),
      note: `from ${first.toLocaleString('en')} jobs on; resident: ${megabytes(before.rss)} before, ${megabytes(after.rss)} after; on disk ${full}`,
    },
    single(rows.heap, 'B', (after.heap - before.heap) / (jobs - first)),
    {
      ...single(rows.enqueueP99, 'ms', enqueuing.ours.p99, beside(enqueuing.idle.p99)),
      note: collection(enqueuing.ours),
    },
    single(rows.enqueueMax, 'ms', enqueuing.ours.max, beside(enqueuing.idle.max)),
    {
      ...single(rows.compactP99, 'ms', compacting.ours.p99, beside(compacting.idle.p99)),
      note: `${removed.toLocaleString('en')} of them dequeued; then on disk ${left}; ${collection(compacting.ours)}`,
    },
    single(rows.compactMax, 'ms', compacting.ours.max, beside(compacting.idle.max)),
  ]
  return results.filter(({ row }) => selected(row))
}

/** What the machine alone did in the same time. */
function beside(value: number): { name: string; value: number } {
  return { name: 'an idle process', value }
}

function collection({ collection }: Delays): string {
  return `longest garbage collection ${collection.toFixed(1)} ms`
}

/** Enqueues the jobs `first` to `end - 1`, for tomorrow. */
async function enqueueRange(middleMan: MiddleMan, first: number, end: number): Promise<void> {
  const scheduledAt = new Date(Date.now() + DAY)
  let next = first
  const lane = async () => {
    while (next < end) {
      const from = next
      next = Math.min(end, from + BULK)
      const bulk = Array.from({ length: next - from }, (_, at) => {
        const n = from + at
        return { worker: WORKER, method: 'noop', arg: argumentFor(n), jobKey: `job-${n}`, scheduledAt }
      })
      const answers = await middleMan.enqueueMany(bulk)
      if (!answers.every(({ created }) => created)) throw new Error('a job was there already')
    }
  }
  await Promise.all(Array.from({ length: BULK_IN_FLIGHT }, lane))
}

/** Takes all but one in ten of the jobs 0 to `end - 1` out of the queue. Resolves with how many went. */
async function dequeueMost(middleMan: MiddleMan, end: number): Promise<number> {
  const worker = middleMan.worker<BenchWorker>(WORKER)
  let next = 0
  let removed = 0
  const lane = async () => {
    while (next < end) {
      const n = next++
      if (n % KEPT === 0) continue
      if (!(await worker.deqNoop({ jobKey: `job-${n}` }))) throw new Error(`job ${n} was not in the queue`)
      removed++
    }
  }
  await Promise.all(Array.from({ length: DEQUEUES_IN_FLIGHT }, lane))
  return removed
}

/** The segments of a journal: how many bytes, which of them were removed. */
function describeDisk(folder: string): string {
  const files = segmentFiles(readdirSync(folder))
  const bytes = files.reduce((sum, { name }) => sum + statSync(path.join(folder, name)).size, 0)
  return `${megabytes(bytes)} in ${files.length} segments, ${(files[0]?.segment ?? 1) - 1} removed`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
