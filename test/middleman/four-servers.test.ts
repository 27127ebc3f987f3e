/** Four real servers as separate processes, each killed and started again in turn, under load. */
import { join } from 'node:path'
import { type Executed, MiddleMan, type OffstageError } from 'offstage/middleman'
import t from 'tap'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

const SERVERS = 4
const AT_A_TIME = 32

t.test(
  'each of four servers is killed and comes back: every call is answered, or says truly whether it ran',
  async (t) => {
    const folder = t.testdir(Object.fromEntries(Array.from({ length: SERVERS }, (_, i) => [`record-${i}`, ''])))
    const record = (i: number) => join(folder, `record-${i}`)
    const options = (i: number) => ({ data: join(folder, `data-${i}`), env: { RECORD: record(i) } })
    const servers = await Promise.all(Array.from({ length: SERVERS }, (_, i) => Server.start(options(i))))
    t.teardown(() => Promise.all(servers.map((server) => server.kill())))
    const middleMan = await MiddleMan.connect({ client: servers.map(({ address }) => address).join(',') })
    t.teardown(() => middleMan.close({ timeout: 0 }))
    const worker = middleMan.worker<RecordingWorker>('recording_worker')

    /** What each call came to, by its number; every third may run twice. */
    const outcomes: (Executed | OffstageError)[] = []
    const mayRepeat = (n: number) => n % 3 === 0
    const burst = async (count: number, onAnswer?: (answered: number) => void) => {
      const end = outcomes.length + count
      let answered = 0
      const lane = async () => {
        while (outcomes.length < end) {
          const n = outcomes.push('maybe') - 1
          try {
            await worker.record({ arg: n, idempotent: mayRepeat(n) })
            outcomes[n] = 'yes'
          } catch (error) {
            outcomes[n] = error as OffstageError
          }
          onAnswer?.(++answered)
        }
      }
      await Promise.all(Array.from({ length: AT_A_TIME }, lane))
    }
    const ran = (i: number) => readRecord(record(i)).map(({ arg }) => arg as number)
    /** Which servers are seen as up, until it is as many as asked for. */
    const seen = async (up: number) => {
      for (;;) {
        const infos = Object.values(await middleMan.allWorkerInfo())
        if (infos.filter((info) => info !== null).length === up) return infos.map((info) => info !== null)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const allBut = (down: number) => servers.map((_, i) => i !== down)

    t.same(await seen(SERVERS), allBut(-1))
    for (const [i, { port }] of servers.entries()) {
      let killed: Promise<void> | undefined
      await burst(400, (answered) => {
        if (answered === 100 + 10 * i) killed = servers[i]!.kill()
      })
      await killed
      t.same(await seen(SERVERS - 1), allBut(i), `allWorkerInfo has null for server ${i}`)
      const before = outcomes.length
      const runs = ran(i).length
      const [server] = await Promise.all([Server.start({ ...options(i), port }), burst(200)])
      servers[i] = server
      t.ok(
        outcomes.slice(before).every((outcome) => outcome === 'yes'),
        'nobody is the worse for a server that is down',
      )
      t.same(await seen(SERVERS), allBut(-1), `and an answer when server ${i} is back`)
      await burst(SERVERS)
      t.ok(ran(i).length > runs, `server ${i} takes its turns again`)
    }

    const times = new Map<number, number>()
    for (const n of servers.flatMap((_, i) => ran(i))) times.set(n, (times.get(n) ?? 0) + 1)
    const wrong = outcomes.flatMap((outcome, n) => {
      const runs = times.get(n) ?? 0
      const executed = typeof outcome === 'string' ? outcome : outcome.executed
      const least = executed === 'yes' ? 1 : 0
      const most = executed === 'no' ? 0 : mayRepeat(n) ? SERVERS : 1
      return runs >= least && runs <= most ? [] : [{ n, outcome, runs }]
    })
    t.same(wrong, [], `${outcomes.length} calls`)
    const failed = outcomes.flatMap((outcome, n) => (typeof outcome === 'string' ? [] : [{ n, code: outcome.code }]))
    t.ok(failed.length > 0 && failed.length <= SERVERS * AT_A_TIME, `${failed.length} were lost with a server`)
    t.ok(
      failed.every(({ n, code }) => code === 'OUTCOME_UNKNOWN' && !mayRepeat(n)),
      'only calls that had been sent, and may not run twice',
    )
  },
)
