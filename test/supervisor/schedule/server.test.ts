import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { Server } from '../../support/server.js'
import { setup, workers } from './place.js'

const DAY = 86_400_000

t.test('a start alone runs once; with an interval and an end it runs until then', async (t) => {
  const { start, runs } = setup(
    t,
    `
schedules:
  noting_worker:
    first: { start: in 1 second, data: once }
    second: { trigger_args: { start: in 1 second, end: in 3 seconds, repeat_interval: 1 } }
    third: { start: in 4 seconds }
`,
  )
  const server = await start()
  const lines = await runs((all) => all.some(({ method }) => method === 'third'))
  t.match(
    lines.filter(({ method }) => method === 'first'),
    [{ arg: 'once' }],
  )
  t.equal(lines.filter(({ method }) => method === 'first').length, 1)
  await server.kill()
  const times = lines.filter(({ method }) => method === 'second').length
  t.ok(times >= 1 && times <= 3, `${times} times`)
})

t.test('reloadOnSchedule: no instance but for each firing, which begins anew', async (t) => {
  const { start, runs } = setup(
    t,
    `
schedules:
  report_worker:
    report: { cron: "* * * * * *", data: nightly }
workers:
  report_worker: { data: settings }
`,
  )
  const server = await start()
  const lines = (await runs((all) => all.length >= 2)) as unknown as { workerKey: string }[]
  for (const line of lines) t.match(line, { arg: 'nightly', calls: 1, data: 'settings' })
  t.equal(new Set(lines.map(({ workerKey }) => workerKey)).size, lines.length)
  const middleMan = await MiddleMan.connect({ client: server.address })
  const infos = Object.values(await middleMan.allWorkerInfo())[0]!
  t.notOk(
    infos.some(({ worker, workerKey }) => worker === 'report_worker' && workerKey === ''),
    'it is not started with the server',
  )
  t.ok(infos.filter(({ worker }) => worker === 'report_worker').length <= 1, 'and ends with its firing')
  await middleMan.close()
  await server.kill()
})

t.test('missed: once runs once for all that was missed, and not again at the next start; skip does not', async (t) => {
  const longAgo = { at: Date.now() - 10 * DAY }
  const { start, runs, folder } = setup(
    t,
    `
schedules:
  noting_worker:
    first: { cron: "0 0 0 * * *", data: skipped }
    second: { cron: "0 0 0 * * *", missed: once, data: late }
    third: { start: in 2 seconds }
`,
    { 'noting_worker.first': longAgo, 'noting_worker.second': longAgo },
  )
  for (const starts of [1, 2]) {
    const before = Date.now()
    const server = await start()
    const lines = await runs((all) => all.filter(({ method }) => method === 'third').length === starts)
    // Midnight may fall into the test, and is a firing like any other then.
    if (new Date(before).getUTCDate() !== new Date().getUTCDate()) return
    t.match(
      lines.filter(({ method }) => method !== 'third'),
      [{ method: 'second', arg: 'late' }],
    )
    t.equal(lines.filter(({ method }) => method !== 'third').length, 1)
    const said = server.lines.filter(({ msg }) => msg.includes('has missed its time'))
    t.equal(said.length, starts === 1 ? 1 : 0)
    await server.stop()
    const kept = JSON.parse(readFileSync(join(folder, 'data/schedules.json'), 'utf8'))
    t.ok(kept['noting_worker.second'].at > longAgo.at)
  }
})

t.test('a file of firings that is damaged is named, and nothing starts', async (t) => {
  const { folder } = setup(t, '')
  writeFileSync(join(folder, 'data/schedules.json'), '{"noting_worker.first": 1')
  const server = Server.spawn({ data: join(folder, 'data'), workers })
  t.equal(await server.ended(), 78)
  t.match(server.errors + JSON.stringify(server.lines), /schedules\.json, which tells when schedules have fired last/)
})

t.test('persistent firings are jobs with the key of method and time, taken back with their schedule', async (t) => {
  const persistent = 'schedules: { noting_worker: { first: { cron: "* * * * * *", persistent: true, data: kept } } }'
  const { start, runs, folder } = setup(t, persistent)
  const server = await start()
  const lines = await runs((all) => all.length >= 2)
  for (const { jobKey, at, arg, id } of lines) {
    t.match(jobKey, /^first@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
    t.ok(at >= Date.parse(jobKey.slice(6)), 'not before its time')
    t.equal(arg, 'kept')
    t.type(id, 'number')
  }
  await server.stop()
  const yearly = 'schedules: { noting_worker: { first: { cron: "0 0 0 1 1 * 2199", persistent: true } } }'
  writeFileSync(join(folder, 'offstage.yml'), yearly)
  await (await start()).stop()
  const far = JSON.parse(readFileSync(join(folder, 'data/schedules.json'), 'utf8'))
  t.equal(far['noting_worker.first'].at, Date.UTC(2199, 0, 1))
  writeFileSync(join(folder, 'offstage.yml'), '')
  await (await start()).stop()
  t.strictSame(JSON.parse(readFileSync(join(folder, 'data/schedules.json'), 'utf8')), {})
})
