/** Schedules that come with `newWorker` and end with the instance. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NewWorkerOptions } from 'offstage/middleman'
import t from 'tap'
import { makeVerifier } from '#offstage/wire/scram.js'
import type { Run } from '../../support/record.js'
import { connect, setup } from './place.js'

const EVERY_SECOND = '* * * * * *'
const worker = 'noting_worker'
const of = (method: string, lines: readonly Run[]) => lines.filter((line) => line.method === method)

t.test("in the original's syntax and in ours, until the instance is deleted", async (t) => {
  const { start, runs, folder } = setup(t, '')
  const server = await start()
  const { middleMan, schedule } = await connect(t, server)
  const workerKey = 'eu[1].x'
  const big = new Map([[1, 2n ** 70n]])
  const hour = 3_600_000
  const [began, end] = [new Date(Date.now() - hour), new Date(Date.now() + hour)]
  await middleMan.newWorker({
    worker,
    workerKey,
    schedule: {
      first: { trigger_args: '*/1 * * * * *', data: 'hello' },
      second: { triggerArgs: { start: began, end, repeatInterval: 1 } },
      third: { cron: EVERY_SECOND, persistent: true, data: { big } },
      waits: { start: 'in 1 hour', repeat_interval: '1 day', timezone: 'Asia/Tokyo' },
    },
  })
  const names = (await middleMan.schedules.list()).map(({ name }) => name)
  t.strictSame(
    names,
    ['first', 'second', 'third', 'waits'].map((method) => `${worker}[${workerKey}].${method}`),
  )
  t.match(await schedule(names[3]!), {
    workerKey,
    timezone: 'Asia/Tokyo',
    when: 'start in 1 hour, repeat_interval 1 day',
  })
  const lines = await runs((all) => ['first', 'second', 'third'].every((method) => of(method, all).length >= 2))
  t.equal(of('first', lines)[0]!.arg, 'hello')
  t.match(of('third', lines)[0], { jobKey: /^third@/, id: Number })
  t.match((await middleMan.worker(worker, workerKey).workerInfo()).schedules, [{ name: names[0] }, {}, {}, {}])
  await middleMan.schedules.pause(names[0]!)
  t.match(await schedule(names[0]!), { paused: true })

  await middleMan.worker(worker, workerKey).delete()
  t.strictSame(await middleMan.schedules.list(), [])
  t.same(JSON.parse(readFileSync(join(folder, 'data/schedules.json'), 'utf8')), {}, 'nothing of them is left')
  await middleMan.newWorker({ worker, workerKey, schedule: { first: { cron: EVERY_SECOND } } })
  const ended = of('third', await runs(() => true)).length
  const then = await runs((all) => of('first', all).length >= of('first', lines).length + 2)
  t.equal(of('third', then).length, ended, 'and the firing that waited has been taken back')
  await server.kill()
})

t.test('what is wrong with a schedule is said before anything is started', async (t) => {
  const { start } = setup(t, `schedules: { report_worker: { report: { cron: "0 0 0 1 1 * 2199" } } }`)
  const { middleMan } = await connect(t, await start())
  const cron = EVERY_SECOND
  const wrong: [schedule: unknown, problem: RegExp][] = [
    [EVERY_SECOND, /schedule is "\* \* .*": it has to be an object/],
    [{ first: EVERY_SECOND }, /schedule\.first is "\* \* .*": it has to be an object/],
    [{ first: {} }, /schedule\.first needs one of: "cron"/],
    [{ first: { cron: '61 * * * * *' } }, /schedule\.first.* the second is "61"/],
    [{ first: { cron, repeat: 5 } }, /schedule\.first.*repeat is not a known key; allowed here: .*cron/],
    [
      { first: { cron, overlap: 'perhaps' } },
      /schedule\.first.*overlap is "perhaps" \(string\); allowed: skip, queue, parallel/,
    ],
    [{ create: { cron } }, /schedule\.create: create runs once/],
    [{ nothing: { cron } }, /schedule\.nothing: noting_worker has no method "nothing"/],
    [{ first: { cron, data: Symbol('no') } }, /schedule\.first\.data/],
  ]
  for (const [schedule, message] of wrong) {
    const asked = { worker, workerKey: 'a', schedule } as NewWorkerOptions
    await t.rejects(middleMan.newWorker(asked), { message, executed: 'no' }, String(message))
  }
  const reloads = middleMan.newWorker({ worker: 'report_worker', workerKey: 'a', schedule: { report: { cron } } })
  await t.rejects(reloads, { code: 'INVALID_ARGUMENT', message: /reloadOnSchedule.*put it into the configuration/ })
  await t.rejects(middleMan.worker(worker, 'a').workerInfo(), { code: 'NO_WORKER' })
})

t.test('they end with an instance that ends by itself, and with the server', async (t) => {
  const { start } = setup(t, `workers: { noting_worker: { restart: transient } }`)
  const server = await start()
  const { middleMan, schedule } = await connect(t, server)
  await middleMan.newWorker({ worker, workerKey: 'a', schedule: { leave: { start: 'in 1 second' } } })
  await schedule(`${worker}[a].leave`, (info) => info === undefined)
  t.strictSame(await middleMan.schedules.list(), [])

  const waiting = async (client: typeof middleMan) => (await client.worker(worker, 'b').workerInfo()).jobs?.scheduled
  const plan = { cron: '0 0 0 1 1 * 2199', persistent: true } as const
  await middleMan.newWorker({ worker, workerKey: 'b', schedule: { first: plan } })
  t.equal(await waiting(middleMan), 1)
  await server.kill()
  const again = await start()
  const { middleMan: other } = await connect(t, again)
  t.strictSame(await other.schedules.list(), [])
  await other.newWorker({ worker, workerKey: 'b' })
  t.equal(await waiting(other), 0, 'the firing that waited for its time was taken back at the start')
  await again.kill()
})

t.test('who may not call a method may not have it called', async (t) => {
  const users = `users: { web: ${await makeVerifier('correct horse')} }`
  const access = `
access:
  - { allow: web, verbs: [new_worker, worker_info, schedules] }
  - { allow: web, verbs: call, methods: first }
  - { allow: web, verbs: enqueue, methods: second }`
  const { start } = setup(t, `${users}${access}`)
  const { middleMan } = await connect(t, await start(), { user: 'web', password: 'correct horse' })
  const cron = '0 0 0 1 1 * 2199'
  const ask = (schedule: NewWorkerOptions['schedule']) => middleMan.newWorker({ worker, workerKey: 'a', schedule })
  await t.rejects(ask({ second: { cron } }), {
    code: 'ACCESS_DENIED',
    message: 'web may not call noting_worker.second',
  })
  await t.rejects(ask({ first: { cron, persistent: true } }), { message: 'web may not enqueue noting_worker.first' })
  t.equal(await ask({ first: { cron }, second: { cron, persistent: true } }), 'a')
})
