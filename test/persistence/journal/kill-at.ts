/** Kills the scripted process at the Nth call of a kind, with strace, and looks at the journal that it leaves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, cpSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { JobInfo } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { noStrace, straced } from '../../support/strace.js'
import { journalFolder } from './folder.js'
import { allJobs } from './journals.js'
import { Ledger } from './ledger.js'

const SCRIPTED = fileURLToPath(new URL('./scripted.js', import.meta.url))

/** Options of a test that starts a process for each call: on a busy machine that takes its time. */
export const WITH_STRACE = { skip: noStrace, timeout: 280_000 }

/** `KILL_EVERY=5 npm test` tries one call in five: for the second run of the suite, on another version of Node. */
const EVERY = Number(process.env.KILL_EVERY ?? 1)

interface Ended {
  killed: boolean
  /** What it wrote on its stdout: see ledger.ts. */
  said: string
}

/** Runs the script on the journal in `dir`, and kills it at its Nth call of this kind. */
export async function killAt(dir: string, run: string, call: string, nth: number, paths: string[] = []) {
  const said = `${dir}-said`
  const command = [process.execPath, SCRIPTED, dir, run]
  const how = `signal=SIGKILL:when=${nth}`
  const [program, ...args] = straced(command, { call, how, paths, log: `${dir}-strace` })
  const { NODE_V8_COVERAGE: _, ...env } = process.env
  const stdout = openSync(said, 'w')
  const child = spawn(program!, args, { stdio: ['ignore', stdout, 'inherit'], env })
  closeSync(stdout)
  const [code, signal] = await once(child, 'exit')
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the script ended with status ${code}`)
  return { killed: signal === 'SIGKILL', said: readFileSync(said, 'utf8') } satisfies Ended
}

/** A journal as a kill leaves it: a torn batch at the end, and a file that was being made. */
export async function killedImage(t: Test): Promise<{ dir: string; said: string }> {
  const dir = journalFolder(t)
  const { said } = await killAt(dir, '1', 'pwritev', 22)
  const segment = readdirSync(dir).findLast((name) => name.endsWith('.seg'))
  appendFileSync(`${dir}/${segment}`, 'OFTB and not much more')
  writeFileSync(`${dir}/0000000000000099-0000000000000001.seg.tmp`, 'half')
  return { dir, said }
}

/**
 * Kills the script at its first, second, … call of this kind, each time on a new copy of the image, and compares
 * what is found with what it had said. Returns how many calls there are, or a few more with `KILL_EVERY`.
 */
export async function killAtEach(t: Test, call: string, paths: (dir: string) => string[] = () => []): Promise<number> {
  const { dir, said } = await killedImage(t)
  const copy = `${dir}-copy`
  for (let nth = 1; ; nth += EVERY) {
    cpSync(dir, copy, { recursive: true })
    const ledger = new Ledger()
    ledger.read(said)
    const ended = await killAt(copy, '2', call, nth, paths(copy))
    ledger.read(ended.said)
    const store = await openJournal({ dir: copy, reserveBytes: 4096 })
    const problems = ledger.compare(await allJobs(store))
    if (problems.length > 0) t.fail(`killed at ${call} number ${nth}`, { problems })
    // It can be gone on with, too.
    await store.enqueue([newJob('after')])
    await store.close()
    rmSync(copy, { recursive: true })
    if (!ended.killed) return nth - 1
  }
}

/** Opens and closes the journal, and returns the jobs that it has. */
export async function jobsIn(dir: string): Promise<JobInfo[]> {
  const store = await openJournal({ dir, reserveBytes: 4096 })
  const found = await allJobs(store)
  await store.close()
  return found
}
