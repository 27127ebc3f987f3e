/** Sync calls through a worker thread, beside a bare echo through one. */
import { MiddleMan } from 'offstage/middleman'
import { argumentFor } from '../argument.js'
import { FloorClient } from '../floors/client.js'
import { alternate, type Contender, keepInFlight, timeEach } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { type Context, startFloor, startOffstage } from './context.js'

const P50 = 'sync call, 1 in flight, p50'
const P99 = 'sync call, 1 in flight, p99'
const IN_FLIGHT = [64, 256] as const
const inFlight = (lanes: number) => `sync call, ${lanes} in flight`

export async function callRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const latency = [P50, P99].some(selected)
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlight(lanes)))
  if (!latency && lanesSelected.length === 0) return []

  const server = await startOffstage(`${folder}/calls`)
  const middleMan = await MiddleMan.connect({ client: `127.0.0.1:${server.port}` })
  const worker = middleMan.worker<BenchWorker>('bench_worker')
  const floorServer = await startFloor('echo_server.js')
  const floor = await FloorClient.connect(floorServer.port)

  const ours = checked((arg) => worker.echo({ arg }))
  const bare = checked((arg) => floor.call(arg))
  const results: Result[] = []
  if (latency) {
    const measured = await alternate(
      contenders((call, ms) => timeEach(ms, call)),
      plan,
    )
    results.push(compare(P50, 'µs', 'p50', measured), compare(P99, 'µs', 'p99', measured))
  }
  for (const lanes of lanesSelected) {
    const measured = await alternate(
      contenders(async (call, ms) => ({ rate: await keepInFlight(lanes, ms, call) })),
      plan,
    )
    results.push(compare(inFlight(lanes), '/s', 'rate', measured))
  }

  floor.close()
  await middleMan.close()
  await Promise.all([floorServer.stop(), server.stop()])
  return results.filter(({ row }) => selected(row))

  function contenders(measure: (call: () => Promise<void>, ms: number) => ReturnType<Contender['round']>): Contender[] {
    return [
      { name: OURS, round: (ms) => measure(ours, ms) },
      { name: 'bare echo', round: (ms) => measure(bare, ms) },
    ]
  }
}

/** A call with a new argument each time, which fails unless exactly that comes back. */
export function checked(echo: (argument: string) => Promise<unknown>): () => Promise<void> {
  let next = 0
  return async () => {
    const argument = argumentFor(next++)
    const answer = await echo(argument)
    if (answer !== argument) throw new Error(`sent ${argument}, got ${String(answer)}`)
  }
}
