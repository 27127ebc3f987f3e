/** A server with 20 workers that crash at random while calls and jobs go on; in the end all of it is accounted for. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiddleMan } from 'offstage/middleman'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { SoakLoad } from './load.js'
import type { Delays } from './loop.js'

const WORKERS = 20

/** No job has ended for so long, in ms: those that still come wait for workers that are backing off. */
const QUIET = 3_000
/** How often the server is started again in the end, before a job that is left counts as stranded. */
const LOOKS = 6

export interface SoakOptions {
  /** For the workers, the journal and the log of the runs. */
  readonly folder: string
  readonly seconds: number
  /** Calls and enqueues a second. */
  readonly rate: number
}

export interface Answers {
  /** Of the event loop, in ms, since the last time this was asked. */
  delays: Delays
  /** Of workers, so far. */
  crashes: number
  /** Bytes, after garbage collections. */
  memory: number
  /** It has stopped in good order. */
  stop: true
}

export type Question = keyof Answers

export interface SoakResult {
  readonly calls: {
    readonly answered: number
    readonly rejected: Readonly<Record<string, number>>
    readonly open: number
  }
  /** Acknowledged, and what became of them. */
  readonly jobs: {
    readonly enqueued: number
    readonly finished: number
    readonly dead: number
    readonly stranded: string[]
  }
  readonly crashes: number
  /** Names of workers that do not run in the end. */
  readonly notRunning: readonly string[]
  readonly delays: Delays
  /** Of a process that had nothing to do in the same time. */
  readonly idle: Delays
  /** MiB of the server's process: after a quarter of the time, and at the end. */
  readonly memory: { readonly quarter: number; readonly end: number }
}

export async function soak({ folder, seconds, rate }: SoakOptions): Promise<SoakResult> {
  const files = prepare(folder)
  const server = await SoakServer.start(files)
  const middleMan = await MiddleMan.connect({ client: server.address })
  const load = new SoakLoad(middleMan, workerNames(), rate)
  const idle = fork(new URL('./idle.js', import.meta.url))
  await next(idle)
  await Promise.all([server.ask('delays'), ask(idle, 'delays')])
  await load.run(seconds / 4)
  await allRun(middleMan)
  const quarter = await server.ask('memory')
  await load.run((seconds * 3) / 4)
  const [delays, idleDelays] = await Promise.all([server.ask('delays'), ask(idle, 'delays')])
  idle.disconnect()
  const open = await load.settled()
  const notRunning = await allRun(middleMan)
  const end = await server.ask('memory')
  const crashes = await server.ask('crashes')
  await middleMan.close()
  await server.stop()
  const jobs = await account(files, load.jobs)
  return {
    calls: { answered: load.answered, rejected: Object.fromEntries(load.rejected), open },
    jobs,
    crashes,
    notRunning,
    delays,
    idle: idleDelays,
    memory: { quarter: quarter / 1024 ** 2, end: end / 1024 ** 2 },
  }
}

interface Files {
  readonly workers: string
  readonly data: string
  readonly config: string
  /** A token for each job that did its work. */
  readonly done: string
}

/** Half of the workers in threads, half in processes. */
function prepare(folder: string): Files {
  const files = {
    workers: join(folder, 'workers'),
    data: join(folder, 'data'),
    done: join(folder, 'done'),
    config: join(folder, 'offstage.yml'),
  }
  mkdirSync(files.workers)
  writeFileSync(files.done, '')
  const hosts: string[] = []
  for (const [i, name] of workerNames().entries()) {
    copyFileSync(new URL('./workers/soak_worker.js', import.meta.url), join(files.workers, `${name}.mjs`))
    hosts.push(`  ${name}: { host: ${i % 2 === 0 ? 'thread' : 'process'} }`)
  }
  writeFileSync(files.config, `workers:\n${hosts.join('\n')}\n`)
  return files
}

function workerNames(): string[] {
  return Array.from({ length: WORKERS }, (_, i) => `soak_${i}`)
}

/** Waits until all workers run, for a while; returns those that do not. */
async function allRun(middleMan: MiddleMan): Promise<string[]> {
  for (let looks = 0; ; looks++) {
    const infos = Object.values(await middleMan.allWorkerInfo()).flatMap((of) => of ?? [])
    const waiting = infos.filter(({ status }) => status !== 'running').map(({ worker }) => worker)
    // Longer than the longest backoff by far.
    if (waiting.length === 0 || looks === 600) return waiting
    await sleep(100)
  }
}

/** Looks at what is left, and lets the server run again until nothing happens any more, as long as there is something to run. */
async function account(files: Files, tokens: readonly string[]): Promise<SoakResult['jobs']> {
  for (let look = 0; ; look++) {
    if (look > 0) await runUntilQuiet(files)
    const store = await openJournal({ dir: files.data })
    const left = await store.inspect({ limit: Number.MAX_SAFE_INTEGER })
    await store.close()
    if (look < LOOKS && left.some(({ state }) => state !== 'dead')) continue
    const dead = new Set(left.filter(({ state }) => state === 'dead').map(({ jobKey }) => jobKey))
    const done = new Set(readFileSync(files.done, 'utf8').split('\n'))
    const stranded = tokens.filter((token) => !done.has(token) && !dead.has(token))
    const unfinished = left.filter(({ state }) => state !== 'dead').map(({ jobKey, state }) => `${jobKey} (${state})`)
    return {
      enqueued: tokens.length,
      finished: tokens.filter((token) => done.has(token) && !dead.has(token)).length,
      dead: tokens.filter((token) => dead.has(token)).length,
      stranded: [...new Set([...stranded, ...unfinished])],
    }
  }
}

async function runUntilQuiet(files: Files): Promise<void> {
  const server = await SoakServer.start(files)
  for (let size = -1; size !== statSync(files.done).size; ) {
    size = statSync(files.done).size
    await sleep(QUIET)
  }
  await server.stop()
}

class SoakServer {
  private constructor(
    readonly child: ChildProcess,
    readonly address: string,
  ) {}

  static async start({ workers, data, config, done }: Files): Promise<SoakServer> {
    const env = { ...process.env, DONE: done, OFFSTAGE_RETRY_DELAY: '0.05', OFFSTAGE_RETRY_MAX_DELAY: '0.2' }
    const program = new URL('./server.js', import.meta.url)
    const child = fork(program, [workers, data, config], { execArgv: ['--expose-gc'], env })
    process.once('exit', () => child.kill('SIGKILL'))
    return new SoakServer(child, await next<string>(child))
  }

  ask<Q extends Question>(question: Q): Promise<Answers[Q]> {
    return ask(this.child, question)
  }

  async stop(): Promise<void> {
    await this.ask('stop')
    const exit = once(this.child, 'exit')
    this.child.disconnect()
    await exit
  }
}

function ask<Q extends Question>(child: ChildProcess, question: Q): Promise<Answers[Q]> {
  const answer = next<Answers[Q]>(child)
  child.send(question)
  return answer
}

async function next<T>(child: ChildProcess): Promise<T> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the server ended by itself (${code ?? signal})`)
  })
  ended.catch(() => undefined) // It ends at last, and by then nobody asks.
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [T]
  return message
}
