/**
 * A real supervisor under real load that is killed with SIGKILL again and again, and started again each time; in the
 * end it is left alone until all jobs are done, and the history of it all is judged.
 */
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { JobInfo } from '#offstage/persistence/store.js'
import { checkFromOutside } from '../history/checker.js'
import type { HistoryEvent } from '../history/events.js'
import type { Violation } from '../history/timeline.js'
import { Server } from '../support/server.js'
import { LONGEST_DELAY, Load } from './load.js'
import { Recorder } from './recorder.js'
import { readRunLog } from './run-log.js'

const WORKERS = join(import.meta.dirname, 'workers')
/** One kill in so many comes while the supervisor starts. */
const STARTING = 4
/** Nothing has run for so long: whatever is scheduled or waits for its next attempt has come by then. */
const QUIET_MS = LONGEST_DELAY + 1000
/** How often it is stopped and looked at in the end, before what still waits counts as stranded. */
const LOOKS = 5

export interface TortureOptions {
  /** For the journal and the log of the runs. */
  readonly folder: string
  /** How long it is killed. */
  readonly seconds: number
  /** Mean time between the first answer of a life and its kill, in ms. */
  readonly killEvery: number
  /** It goes on, up to three times as long, until so many jobs were acknowledged. */
  readonly jobs: number
}

/** `accepting`: it takes calls, and nobody has heard an answer yet. */
type Phase = 'loading' | 'recovered' | 'accepting' | 'working'

export interface TortureResult {
  readonly history: readonly HistoryEvent[]
  readonly violations: readonly Violation[]
  /** By what the supervisor had come to. */
  readonly kills: Readonly<Record<Phase, number>>
  /** Acknowledged as new. */
  readonly jobs: number
}

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const recorder = new Recorder()
  const runs = join(options.folder, 'runs')
  writeFileSync(runs, '')
  const env = { RUNS: runs, OFFSTAGE_RETRY_DELAY: '0.05', OFFSTAGE_RETRY_MAX_DELAY: '0.2' }
  const server = { data: join(options.folder, 'data'), workers: WORKERS, env }
  const kills = { loading: 0, recovered: 0, accepting: 0, working: 0 }
  const started = performance.now()
  /** How long the last start took, in ms. */
  let startTime = 500
  const goesOn = () => {
    const seconds = (performance.now() - started) / 1000
    return seconds < options.seconds || (recorder.created < options.jobs && seconds < 3 * options.seconds)
  }
  for (let life = 1; goesOn(); life++) {
    recorder.opened()
    const spawned = performance.now()
    const process = Server.spawn(server)
    const over = process.ended()
    let load: Load | undefined
    const work = async () => {
      const { address } = await process.line((line) => typeof line.address === 'string')
      load = await Load.start(String(address), recorder)
      await Promise.race([load.answered, over])
      if (!process.running) return phaseOf(process)
      startTime = performance.now() - spawned
      await Promise.race([sleep(2 * Math.random() * options.killEvery), over])
      return 'working' as const
    }
    const anywhere = async () => {
      await sleep(Math.random() * startTime)
      return phaseOf(process)
    }
    const working = work().catch(() => phaseOf(process))
    kills[await (life % STARTING === 0 ? Promise.race([anywhere(), working]) : working)]++
    await kill(process)
    await working
    await load?.stop(0)
  }
  recorder.healed()
  await drain(server, runs, recorder)
  const history = recorder.history(readRunLog(runs))
  return { history, violations: checkFromOutside(history), kills, jobs: recorder.created }

  async function kill(process: Server): Promise<void> {
    if (!process.running) throw new Error(`the supervisor ended by itself: ${process.errors}`)
    await process.kill()
    recorder.crashed()
  }
}

/** How far it has come, but for answers. */
function phaseOf({ lines }: Server): Exclude<Phase, 'working'> {
  if (lines.some(({ address }) => typeof address === 'string')) return 'accepting'
  return lines.some(({ msg }) => msg === 'journal opened') ? 'recovered' : 'loading'
}

/** Lets it run until nothing happens any more, and looks at what is left. */
async function drain(options: Parameters<typeof Server.spawn>[0], runs: string, recorder: Recorder): Promise<void> {
  for (let look = 1; ; look++) {
    recorder.opened()
    const server = await Server.start(options)
    const over = server.ended()
    for (let size = -1; size !== statSync(runs).size; ) {
      size = statSync(runs).size
      if (!server.running) break
      await Promise.race([sleep(QUIET_MS), over])
    }
    const status = await server.stop()
    if (status !== 0) throw new Error(`the supervisor ended with status ${status}: ${server.errors}`)
    const jobs = await jobsIn(options.data)
    if (look < LOOKS && jobs.some(({ state }) => state !== 'dead')) continue
    recorder.looked(jobs)
    return
  }
}

async function jobsIn(dir: string): Promise<JobInfo[]> {
  const store = await openJournal({ dir })
  const jobs = await store.inspect({ limit: Number.MAX_SAFE_INTEGER })
  await store.close()
  return jobs
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
