/** Schedules seen, run, paused and resumed while a server runs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ScheduleInfo } from 'offstage/middleman'
import t from 'tap'
import { makeVerifier } from '#offstage/wire/scram.js'
import { command } from '../../support/command.js'
import { connect, setup } from './place.js'

const NEVER = 'cron: "0 0 0 1 1 * 2199", timezone: Europe/London'
const EVERY_SECOND = 'cron: "* * * * * *"'

const ended = ({ last }: ScheduleInfo) => last?.duration !== undefined

t.test(
  'what schedules are at: their next times, and the outcome of the last run, also in workerInfo and the log',
  async (t) => {
    const { start, runs } = setup(
      t,
      `
schedules:
  noting_worker:
    first: { ${NEVER}, data: by hand }
    second: { start: "2199-01-01T00:00Z", end: "2199-01-01T01:00Z", repeat_interval: 10 minutes }
    fails: { ${NEVER}, data: on purpose }
`,
    )
    const server = await start()
    const { middleMan, schedule } = await connect(t, server)
    const first = await schedule('noting_worker.first')
    t.strictSame(first, {
      server: server.address,
      name: 'noting_worker.first',
      worker: 'noting_worker',
      workerKey: '',
      method: 'first',
      when: '0 0 0 1 1 * 2199',
      timezone: 'Europe/London',
      persistent: false,
      paused: false,
      running: 0,
      next: [Date.UTC(2199, 0, 1)],
    })
    const second = await schedule('noting_worker.second')
    t.match(second, {
      when: 'start 2199-01-01T00:00Z, repeat_interval 10 minutes, end 2199-01-01T01:00Z',
      timezone: 'UTC',
    })
    t.strictSame(
      second.next,
      [0, 10, 20, 30, 40].map((minutes) => Date.UTC(2199, 0, 1, 0, minutes)),
      'the next five',
    )

    const before = Date.now()
    t.equal(await middleMan.schedules.run('noting_worker.first'), 'started')
    t.match(await runs((lines) => lines.length > 0), [{ method: 'first', arg: 'by hand' }])
    const { last } = await schedule('noting_worker.first', ended)
    t.match(last, { late: Number, duration: Number, failure: undefined })
    t.ok(last!.at >= before && last!.at <= Date.now())
    t.match(await server.line(({ msg }) => msg === 'a run of noting_worker.first has ended'), { level: 30, ...last })

    await middleMan.schedules.run('noting_worker.fails')
    const failed = await schedule('noting_worker.fails', ended)
    t.match(failed.last, { failure: /on purpose/, duration: Number })
    t.match(await server.line(({ msg }) => /a scheduled call failed: .*on purpose/.test(msg)), {
      level: 50,
      ...failed.last,
    })

    const { schedules } = await middleMan.worker('noting_worker').workerInfo()
    const names = ['noting_worker.first', 'noting_worker.second', 'noting_worker.fails']
    t.strictSame(
      schedules?.map(({ name }) => name),
      names,
    )
    t.strictSame(schedules?.[2]?.last, failed.last)
    const [infos] = Object.values(await middleMan.allWorkerInfo())
    t.equal(infos?.find(({ worker }) => worker === 'noting_worker')?.schedules?.length, 3)

    const unknown = { code: 'NO_SCHEDULE', message: /no schedule noting_worker\.third/, executed: 'no' }
    const act = async (verb: 'run' | 'pause' | 'resume', name: string) => void (await middleMan.schedules[verb](name))
    for (const verb of ['run', 'pause', 'resume'] as const) {
      await t.rejects(act(verb, 'noting_worker.third'), unknown)
      await t.rejects(act(verb, 'third'), {
        code: 'INVALID_ARGUMENT',
        message: /"third" names no schedule/,
      })
    }
  },
)

t.test('run: with skip it is left out while the run before goes on', async (t) => {
  const gate = join(t.testdirName, 'gate')
  const { start } = setup(t, `schedules: { noting_worker: { waits: { ${NEVER}, data: "${gate}" } } }`)
  const { middleMan, schedule } = await connect(t, await start())
  const { run } = middleMan.schedules
  t.equal(await run('noting_worker.waits'), 'started')
  t.match(await schedule('noting_worker.waits'), { running: 1, last: { duration: undefined } })
  t.equal(await run('noting_worker.waits'), 'leftOut')
  writeFileSync(gate, '')
  await schedule('noting_worker.waits', ({ running }) => running === 0)
  t.equal(await run('noting_worker.waits'), 'started')
})

t.test('run: with queue it waits while the run before goes on', async (t) => {
  const gate = join(t.testdirName, 'gate')
  const queued = setup(t, `schedules: { noting_worker: { waits: { ${NEVER}, data: "${gate}", overlap: queue } } }`)
  const other = await connect(t, await queued.start())
  t.equal(await other.middleMan.schedules.run('noting_worker.waits'), 'started')
  t.equal(await other.middleMan.schedules.run('noting_worker.waits'), 'queued')
  writeFileSync(gate, '')
  t.equal((await queued.runs((lines) => lines.length === 2)).length, 2)
})

t.test('a paused schedule does not fire, also after kill -9, until it is resumed', async (t) => {
  const { start, runs, folder } = setup(
    t,
    `schedules: { noting_worker: { first: { ${EVERY_SECOND}, missed: once }, second: { ${EVERY_SECOND} } } }`,
  )
  const of = (method: string) => (lines: { method: string }[]) => lines.filter((line) => line.method === method)
  const server = await start()
  const { middleMan, schedule } = await connect(t, server)
  await runs((lines) => of('first')(lines).length > 0)
  await middleMan.schedules.pause('noting_worker.first')
  await server.kill()
  await schedule('noting_worker.first').catch(() => undefined)
  const kept = JSON.parse(readFileSync(join(folder, 'data/schedules.json'), 'utf8'))
  t.equal(kept['noting_worker.first'].paused, true)

  const lines = await runs(() => true)
  const again = await start()
  const { middleMan: other, schedule: seen } = await connect(t, again)
  t.match(await seen('noting_worker.first'), { paused: true, last: undefined })
  t.match(await again.line(({ msg }) => msg.includes('is paused')), { msg: /noting_worker\.first/ })
  const later = await runs((all) => of('second')(all).length >= of('second')(lines).length + 2)
  t.equal(
    of('first')(later).length,
    of('first')(lines).length,
    'nothing but the other fires, not even for what is missed',
  )

  await other.schedules.pause('noting_worker.first')
  const resumed = Math.floor(Date.now() / 1_000)
  await other.schedules.resume('noting_worker.first')
  await other.schedules.resume('noting_worker.first')
  t.match(await seen('noting_worker.first'), { paused: false })
  const since = of('first')(later).length
  const firings = of('first')(await runs((all) => of('first')(all).length >= since + 3)).length - since
  const seconds = Math.floor(Date.now() / 1_000) - resumed
  t.ok(firings <= seconds, `${firings} firings in ${seconds} seconds, though it was resumed twice`)
  await again.kill()
})

t.test('a persistent schedule that is paused takes its waiting job back, and fires each time once', async (t) => {
  const { start, runs } = setup(
    t,
    `
schedules:
  noting_worker:
    first: { ${EVERY_SECOND}, persistent: true }
    second: { ${EVERY_SECOND} }
    third: { ${NEVER}, persistent: true, data: by hand }
`,
  )
  const of = (method: string, lines: { method: string }[]) => lines.filter((line) => line.method === method).length
  const server = await start()
  const { middleMan, schedule } = await connect(t, server)
  await runs((lines) => of('first', lines) > 0)
  await middleMan.schedules.pause('noting_worker.first')
  const paused = await schedule('noting_worker.first', ({ running }) => running === 0)
  t.match(paused, { paused: true, persistent: true, last: { late: Number, duration: Number } })
  const lines = await runs(() => true)
  await runs((all) => of('second', all) >= of('second', lines) + 2)
  await server.kill()
  const again = await start()
  const { middleMan: other, schedule: seen } = await connect(t, again)
  const later = await runs((all) => of('second', all) >= of('second', lines) + 4)
  t.equal(of('first', later), of('first', lines), 'nothing fires while it is paused')
  await other.schedules.resume('noting_worker.first')
  const all = await runs((some) => of('first', some) >= of('first', lines) + 2)
  const keys = all.filter(({ method }) => method === 'first').map(({ jobKey }) => jobKey)
  t.equal(new Set(keys).size, keys.length, 'each firing ran once')

  t.equal(await other.schedules.run('noting_worker.third'), 'queued')
  const byHand = (await runs((some) => of('third', some) > 0)).find(({ method }) => method === 'third')
  t.match(byHand, { arg: 'by hand', jobKey: /^third@/, id: Number })
  const { last, next } = await seen('noting_worker.third', ended)
  t.equal(last!.at, Date.parse(byHand!.jobKey.slice(6)))
  t.strictSame(next, [Date.UTC(2199, 0, 1)], 'and its own times stay')
  t.match(await again.line(({ msg }) => msg === 'a run of noting_worker.third has ended'), { jobKey: byHand!.jobKey })
  await again.kill()
})

t.test('a schedule that is taken out of the configuration is not paused when it comes back', async (t) => {
  const schedules = `schedules: { noting_worker: { first: { ${NEVER} } } }`
  const { start, folder } = setup(t, schedules)
  const file = join(folder, 'offstage.yml')
  const paused = async () => {
    const server = await start()
    const { schedule } = await connect(t, server)
    const { paused } = await schedule('noting_worker.first')
    await server.stop()
    return paused
  }
  const server = await start()
  const { middleMan } = await connect(t, server)
  await middleMan.schedules.pause('noting_worker.first')
  await server.stop()
  t.equal(await paused(), true)
  writeFileSync(file, '')
  await (await start()).stop()
  writeFileSync(file, schedules)
  t.equal(await paused(), false)
})

t.test('access rules have verbs for it, by worker and method', async (t) => {
  const users = `users: { web: ${await makeVerifier('correct horse')} }`
  const { start } = setup(
    t,
    `
${users}
access:
  - { allow: web, verbs: schedules }
  - { allow: web, verbs: [run_schedule, resume_schedule], workers: noting_worker, methods: first }
schedules: { noting_worker: { first: { ${NEVER} }, second: { ${NEVER} } } }
`,
  )
  const { middleMan } = await connect(t, await start(), { user: 'web', password: 'correct horse' })
  const { list, run, pause, resume } = middleMan.schedules
  t.equal((await list()).length, 2)
  t.equal(await run('noting_worker.first'), 'started')
  await resume('noting_worker.first')
  const denied = { code: 'ACCESS_DENIED' }
  await t.rejects(run('noting_worker.second'), { ...denied, message: 'web may not run_schedule noting_worker.second' })
  await t.rejects(pause('noting_worker.first'), denied)
})

t.test('offstage schedule list, run, pause and resume', async (t) => {
  const { start, folder, runs } = setup(
    t,
    `schedules: { noting_worker: { first: { ${NEVER}, data: 1 }, fails: { start: "2199-07-01T12:00Z", timezone: Europe/London } } }`,
  )
  const data = ['--data', join(folder, 'data')]
  const nobody = await command('schedule', 'list', '--server', '127.0.0.1:1')
  t.match(nobody, { status: 69, out: '', errors: /127\.0\.0\.1:1: nothing listens there/ })
  const server = await start()
  const here = ['--server', server.address]
  t.match(await command('schedule', 'pause', 'noting_worker.first', ...here), { status: 0, out: /is paused/ })
  t.match(await command('schedule', 'run', 'noting_worker.first', ...here), { status: 0, out: /has been started/ })
  await runs((lines) => lines.length === 1)
  await command('schedule', 'run', 'noting_worker.fails', ...here)
  const { schedule } = await connect(t, server)
  for (const name of ['noting_worker.first', 'noting_worker.fails']) await schedule(name, ended)
  const { out, status } = await command('schedule', 'list', ...here)
  t.equal(status, 0)
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?\+0[01]:00`
  t.match(
    out,
    new RegExp(
      [
        String.raw`^noting_worker\.first \(paused\)`,
        String.raw`  when  0 0 0 1 1 \* 2199   Europe/London`,
        String.raw`  next  2199-01-01T00:00:00\+00:00`,
        String.raw`  last  ${time}, begun \d+ ms later, took \d+ ms, ok`,
        '',
        String.raw`noting_worker\.fails`,
        '  when  start 2199-07-01T12:00Z   Europe/London',
        String.raw`  next  2199-07-01T13:00:00\+01:00`,
        String.raw`  last  ${time}, begun \d+ ms later, took \d+ ms, failed: .*`,
        '$',
      ].join('\n'),
    ),
  )
  const [first] = JSON.parse((await command('schedule', 'list', '--json', ...here)).out)
  t.match(first, {
    name: 'noting_worker.first',
    paused: true,
    next: ['2199-01-01T00:00:00+00:00'],
    last: { late: Number },
  })
  t.match(await command('schedule', 'resume', 'noting_worker.first', ...here), { status: 0, out: /goes on/ })
  t.match(await command('schedule', 'run', 'no.such', ...here), {
    status: 1,
    out: '',
    errors: /has no schedule no\.such/,
  })
  t.match(await command('schedule', 'run', ...here), { status: 64, errors: /missing required argument/ })
  t.match(
    await command('schedule', 'list', ...data),
    { status: 0, out: /^noting_worker\.first\n/ },
    'the one that runs here',
  )
  await server.kill()
})
