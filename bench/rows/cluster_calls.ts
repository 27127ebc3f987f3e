/** Sync calls of one client that gives them to four servers in turn, beside the same over one of them. */
import { MiddleMan } from 'offstage/middleman'
import { alternate, keepInFlight, timeEach } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { checked } from './calls.js'
import { type Context, startOffstage } from './context.js'

const SERVERS = 4
const P50 = 'sync call over four servers, 1 in flight, p50'
const IN_FLIGHT = [64, 256] as const
const inFlight = (lanes: number) => `sync call over four servers, ${lanes} in flight`

export async function clusterCallRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlight(lanes)))
  if (!selected(P50) && lanesSelected.length === 0) return []

  const servers = await Promise.all(
    Array.from({ length: SERVERS }, (_, i) => startOffstage(`${folder}/cluster-calls-${i}`)),
  )
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`)
  const clients = new Map([
    [OURS, await MiddleMan.connect({ client: addresses.join(',') })],
    ['one server', await MiddleMan.connect({ client: addresses[0]! })],
  ])
  const contenders = [...clients].map(([name, middleMan]) => {
    const worker = middleMan.worker<BenchWorker>('bench_worker')
    return { name, call: checked((arg) => worker.echo({ arg })) }
  })
  const results: Result[] = []
  if (selected(P50)) {
    const measured = await alternate(
      contenders.map(({ name, call }) => ({ name, round: (ms) => timeEach(ms, call) })),
      plan,
    )
    results.push(compare(P50, 'µs', 'p50', measured))
  }
  for (const lanes of lanesSelected) {
    const measured = await alternate(
      contenders.map(({ name, call }) => ({
        name,
        round: async (ms) => ({ rate: await keepInFlight(lanes, ms, call) }),
      })),
      plan,
    )
    results.push(compare(inFlight(lanes), '/s', 'rate', measured))
  }

  await Promise.all([...clients.values()].map((middleMan) => middleMan.close()))
  await Promise.all(servers.map((server) => server.stop()))
  return results
}
