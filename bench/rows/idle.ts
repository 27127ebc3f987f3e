/** What a server costs that has a million jobs for tomorrow and nothing to do, beside one that has none. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { summarize } from '../measure.js'
import { MeasuredServer } from '../measured_process.js'
import { compare, OURS, type Result } from '../result.js'
import { type Context, WORKERS } from './context.js'
import { countJobs, expectOnDisk, fillJournal, indexed } from './journal.js'

const WORKER = 'bench_worker'
const DAY_MS = 86_400_000
/** Half a minute after its last work V8 has done with collecting garbage; so the median tells of a server at rest. */
const WINDOWS = 5

export async function idleRow({ folder, size, selected }: Context): Promise<Result[]> {
  const { jobs, ms } = size.idle
  const row = `idle with ${jobs.toLocaleString('en')} scheduled jobs, CPU of the process`
  if (!selected(row)) return []

  const data = path.join(folder, 'idle')
  mkdirSync(data)
  await fillJournal(data, WORKER, jobs, DAY_MS)
  const servers = [
    await MeasuredServer.start(WORKERS, data),
    await MeasuredServer.start(WORKERS, path.join(folder, 'idle-empty')),
  ]
  await indexed(data)

  const shares: number[][] = servers.map(() => [])
  let before = await Promise.all(servers.map((server) => server.ask('cpu')))
  for (let window = 0; window < WINDOWS; window++) {
    await sleep(ms)
    const after = await Promise.all(servers.map((server) => server.ask('cpu')))
    for (const [i, { cpu, wall }] of after.entries()) {
      shares[i]!.push((100 * (cpu - before[i]!.cpu)) / (wall - before[i]!.wall))
    }
    before = after
  }
  await Promise.all(servers.map((server) => server.stop()))
  expectOnDisk('offstage', jobs, await countJobs(data))

  const [ours, empty] = shares.map((share) => new Map([['cpu', summarize(share)]]))
  const measured = new Map([
    [OURS, ours!],
    ['no jobs', empty!],
  ])
  const note = `of one core, in all threads of the process; ${WINDOWS} times ${ms / 1000} s, both at once; in the first ones V8 collects what the start has left`
  return [{ ...compare(row, '%', 'cpu', measured), note }]
}
