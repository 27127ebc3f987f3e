/**
 * A server that was killed with a million jobs due: from its start to the moment its first job's method runs,
 * beside the bare reading of its files.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { alternate, type Contender, type Plan } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import { type Context, startOffstage } from './context.js'
import { fillJournal } from './journal.js'

const WORKER = 'restart_worker'
const WORKERS = fileURLToPath(new URL('../restart_workers/', import.meta.url))
const PATIENCE_MS = 60_000
/** A round lasts as long as the restart does; the first one warms nothing up that the others would use. */
const ROUNDS: Plan = { warmUpMs: 0, roundMs: 0, rounds: 3 }

export async function restartRows({ folder, size, selected }: Context): Promise<Result[]> {
  const many = size.restart.toLocaleString('en')
  const warmRow = `restart with ${many} queued jobs`
  const coldRow = `restart with ${many} queued jobs, page cache cold`
  if (![warmRow, coldRow].some(selected)) return []

  const data = path.join(folder, 'restart')
  mkdirSync(data)
  await fillJournal(data, WORKER, size.restart)
  const ours: Contender = { name: OURS, round: () => restart(data, folder) }
  const reading: Contender = { name: 'reading its files', round: async () => ({ ms: read(data), cpu: 0 }) }

  const results: Result[] = []
  let state = ''
  const measure = async (row: string, prepare: () => void) => {
    const prepared = ({ name, round }: Contender): Contender => ({
      name,
      round(ms) {
        prepare()
        state = cached(data)
        return round(ms)
      },
    })
    const measured = await alternate([prepared(ours), prepared(reading)], ROUNDS)
    const cpu = measured.get(OURS)!.get('cpu')!.median
    const note = `page cache ${state}; ${cpu} ms of CPU until the first job; killed again after each round`
    results.push({ ...compare(row, 'ms', 'ms', measured), note })
  }
  if (selected(warmRow)) await measure(warmRow, () => read(data))
  if (selected(coldRow)) await measure(coldRow, () => dropCache(data))
  return results
}

/**
 * From the start of the process to the start of the first job's method: `ms`, and `cpu`, what the process used of
 * the CPU, in ms. Kills the server afterwards.
 */
async function restart(data: string, folder: string): Promise<{ ms: number; cpu: number }> {
  const file = path.join(folder, 'first-start')
  rmSync(file, { force: true })
  const before = Date.now()
  const server = await startOffstage(data, { workers: WORKERS, env: { BENCH_FIRST_START: file } })
  for (const patience = before + PATIENCE_MS; ; await sleep(5)) {
    if (existsSync(file)) {
      await server.kill()
      const [started, cpu] = readFileSync(file, 'utf8').split(' ').map(Number)
      return { ms: started! - before, cpu: cpu! }
    }
    if (Date.now() > patience) throw new Error(`no job ran within ${PATIENCE_MS} ms of a restart`)
  }
}

/** ms to read every segment once, from front to back. */
function read(data: string): number {
  const buffer = Buffer.allocUnsafe(1024 * 1024)
  const start = performance.now()
  for (const file of segments(data)) {
    const fd = openSync(file, 'r')
    while (readSync(fd, buffer) > 0);
    closeSync(fd)
  }
  return performance.now() - start
}

function segments(data: string): string[] {
  const names = readdirSync(data).filter((name) => name.endsWith('.seg'))
  return names.sort().map((name) => path.join(data, name))
}

/** Asks the kernel to forget the pages of these files: dd tells it so (posix_fadvise) when it is to copy nothing. */
function dropCache(data: string): void {
  for (const file of segments(data)) {
    // Only clean pages can go.
    spawnSync('sync', [file])
    spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
  }
}

/** Which share of the files is in the page cache, by fincore of util-linux. */
function cached(data: string): string {
  const options = ['--bytes', '--raw', '--noheadings', '--output', 'RES,SIZE']
  const { status, stdout } = spawnSync('fincore', [...options, ...segments(data)], { encoding: 'utf8' })
  if (status !== 0) return 'share unknown, as there is no fincore'
  let [resident, bytes] = [0, 0]
  for (const line of stdout.trim().split('\n')) {
    const [pages, size] = line.trim().split(/\s+/).map(Number)
    resident += pages!
    bytes += size!
  }
  return `${((resident / bytes) * 100).toFixed(0)} % of ${(bytes / 1e6).toFixed(0)} MB`
}
