/** Four real servers as separate processes, each killed and started again in turn, under load that never pauses. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Executed, MiddleMan, type OffstageError } from 'offstage/middleman'
import t from 'tap'
import { Server } from '../support/server.js'
import { Lateness } from './lateness.js'
import type CountingWorker from './workers/counting_worker.js'

const SERVERS = 4
const CALLS = 100_000
const AT_A_TIME = 128
/** Milliseconds from when a server listens to when it has answered a call. */
const BACK_WITHIN = 2_000

/** Every third call may run twice. */
const mayRepeat = (n: number) => n % 3 === 0

t.test('100,000 calls in turn, while each of four servers is killed and comes back', async (t) => {
  const folder = t.testdir({})
  const record = (i: number) => join(folder, `runs-${i}`)
  const options = (i: number) => ({
    data: join(folder, `data-${i}`),
    workers: join(import.meta.dirname, 'workers'),
    env: { RUNS: record(i) },
  })
  const servers = await Promise.all(Array.from({ length: SERVERS }, (_, i) => Server.start(options(i))))
  t.teardown(() => Promise.all(servers.map((server) => server.kill())))
  const addresses = servers.map(({ address }) => address)
  const middleMan = await MiddleMan.connect({ client: addresses.join(',') })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  const worker = middleMan.worker<CountingWorker>('counting_worker')

  /** What each call came to, by its number, and the process that has answered it. */
  const outcomes: (Executed | OffstageError)[] = []
  const answeredBy: number[] = []
  /** When each process answered its first call. */
  const firstAnswers = new Map<number, number>()
  let onAnswer: () => void = () => undefined
  /** Resolves at the first answer after which the condition holds. */
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      onAnswer = () => condition() && resolve()
    })

  let quarters = 0
  const lane = async () => {
    while (outcomes.length < CALLS || quarters < SERVERS) {
      const n = outcomes.push('maybe') - 1
      try {
        const pid = await worker.count({ arg: n, idempotent: mayRepeat(n) })
        outcomes[n] = 'yes'
        answeredBy[n] = pid
        if (!firstAnswers.has(pid)) firstAnswers.set(pid, performance.now())
      } catch (error) {
        outcomes[n] = error as OffstageError
      }
      onAnswer()
    }
  }
  const lanes = Promise.all(Array.from({ length: AT_A_TIME }, lane))

  /** Which servers have their worker running, as the client sees it; null for one that is down. */
  const seen = async () => {
    const infos = await middleMan.allWorkerInfo()
    t.same(Object.keys(infos), addresses)
    return Object.values(infos).map((info) => info?.map(({ worker, status }) => `${worker} ${status}`) ?? null)
  }
  const allBut = (down: number) => addresses.map((_, i) => (i === down ? null : ['counting_worker running']))
  const late = new Lateness()
  t.teardown(() => late.stop())

  for (const [i, { port }] of servers.entries()) {
    t.same(await seen(), allBut(-1), 'allWorkerInfo has all of them')
    const from = outcomes.length
    await until(() => outcomes.length >= Math.max(from + 2_000, (i + 0.5) * (CALLS / SERVERS)))
    t.same(outOfTurn(answeredBy, from), [], 'with all of them up, four calls in a row go to four servers')

    await worker.killAfter({ arg: 500 + i, host: addresses[i]! })
    await servers[i]!.ended()
    t.same(await seen(), allBut(i), `allWorkerInfo has null for server ${i}, as soon as it is dead`)
    const without = outcomes.length
    await until(() => outcomes.length >= without + 2_000)
    t.same(await seen(), allBut(i), 'and as long as it is')
    const failed = outcomes.slice(without).filter((outcome) => typeof outcome !== 'string')
    t.same(failed, [], 'nobody is the worse for a server that is down')

    const starting = Server.spawn({ ...options(i), port })
    servers[i] = starting
    await starting.line(({ address }) => typeof address === 'string')
    const listening = performance.now()
    const lateBefore = late.total
    await until(() => firstAnswers.has(starting.child.pid!))
    const took = firstAnswers.get(starting.child.pid!)! - listening
    const machine = late.total - lateBefore
    t.ok(
      took - machine <= BACK_WITHIN,
      `server ${i} takes its turns ${took.toFixed(0)} ms after it listens, of which timers were late by ${machine.toFixed(0)}`,
    )
    quarters++
  }
  await lanes
  t.same(await seen(), allBut(-1), 'allWorkerInfo has all of them in the end')

  const runs = new Map<number, number>()
  for (const n of addresses.flatMap((_, i) => ran(record(i)))) runs.set(n, (runs.get(n) ?? 0) + 1)
  const unknown = outcomes.flatMap((outcome, n) => (typeof outcome === 'string' ? [] : [runs.get(n) ?? 0]))
  const twice = [...runs.values()].filter((times) => times > 1).length
  t.comment(`${twice} ran twice; of ${unknown.length} lost ${unknown.filter((times) => times > 0).length} had run`)
  const wrong = outcomes.flatMap((outcome, n) => {
    const times = runs.get(n) ?? 0
    const executed = typeof outcome === 'string' ? outcome : outcome.executed
    const least = executed === 'yes' ? 1 : 0
    const most = executed === 'no' ? 0 : mayRepeat(n) ? 2 : 1
    return times >= least && times <= most ? [] : [{ n, outcome, times }]
  })
  t.same(wrong, [], `each of ${outcomes.length} calls ran as its outcome says`)
  t.notOk(outcomes.includes('maybe'), 'and each has an outcome')
  const failed = outcomes.flatMap((outcome, n) => (typeof outcome === 'string' ? [] : [{ n, code: outcome.code }]))
  t.ok(failed.length > 0 && failed.length <= SERVERS * AT_A_TIME, `${failed.length} were lost with a server`)
  t.ok(
    failed.every(({ n, code }) => code === 'OUTCOME_UNKNOWN' && !mayRepeat(n)),
    'only calls that had been sent, and may not run twice',
  )
})

/** The first calls of which two among four in a row were answered by the same process. */
function outOfTurn(answeredBy: readonly number[], from: number): number[][] {
  const rows = answeredBy.slice(from).map((_, i) => answeredBy.slice(from + i, from + i + SERVERS))
  const answered = (row: number[]) => row.filter((pid) => pid !== undefined)
  return rows.filter((row) => new Set(answered(row)).size < answered(row).length).slice(0, 3)
}

function ran(file: string): number[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => /^\d+ (\d+)\.$/.exec(line)?.[1] ?? [])
    .map(Number)
}
