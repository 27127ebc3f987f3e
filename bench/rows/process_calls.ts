/** Sync calls through a worker process, beside the same through a worker thread of the same server. */
import { fileURLToPath } from 'node:url'
import { MiddleMan } from 'offstage/middleman'
import { alternate, type Contender, keepInFlight, timeEach } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { checked } from './calls.js'
import { type Context, startOffstage } from './context.js'

const WORKERS = fileURLToPath(new URL('../process_workers/', import.meta.url))
const P50 = 'sync call through a process, 1 in flight, p50'
const IN_FLIGHT = [64, 256] as const
const inFlight = (lanes: number) => `sync call through a process, ${lanes} in flight`

export async function processCallRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlight(lanes)))
  if (!selected(P50) && lanesSelected.length === 0) return []

  const server = await startOffstage(`${folder}/process-calls`, { workers: WORKERS })
  const middleMan = await MiddleMan.connect({ client: `127.0.0.1:${server.port}` })
  const inProcess = middleMan.worker<BenchWorker>('process_worker')
  const inThread = middleMan.worker<BenchWorker>('thread_worker')
  const contenders = (measure: (call: () => Promise<void>, ms: number) => ReturnType<Contender['round']>) => [
    {
      name: OURS,
      round: (ms: number) =>
        measure(
          checked((arg) => inProcess.echo({ arg })),
          ms,
        ),
    },
    {
      name: 'thread host',
      round: (ms: number) =>
        measure(
          checked((arg) => inThread.echo({ arg })),
          ms,
        ),
    },
  ]
  const results: Result[] = []
  if (selected(P50)) {
    const measured = await alternate(
      contenders((call, ms) => timeEach(ms, call)),
      plan,
    )
    results.push(compare(P50, 'µs', 'p50', measured))
  }
  for (const lanes of lanesSelected) {
    const measured = await alternate(
      contenders(async (call, ms) => ({ rate: await keepInFlight(lanes, ms, call) })),
      plan,
    )
    results.push(compare(inFlight(lanes), '/s', 'rate', measured))
  }
  await middleMan.close()
  await server.stop()
  return results
}
