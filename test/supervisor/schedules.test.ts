import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { FakeClock, noFaketime } from '../support/faketime.js'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'

/** The hour that it is now on an island 14 hours ahead of UTC, and the next. */
const hour = (new Date().getUTCHours() + 14) % 24
const hours = `${hour},${(hour + 1) % 24}`

t.test('a schedule calls its method with its data, in seconds, and not beside itself', async (t) => {
  const folder = t.testdir({
    record: '',
    gate: '',
    'offstage.yml': `
schedules:
  recording_worker:
    record: { cron: "* * * * * * 2199" }
    recordSlowly: { cron: "* * * * * *", data: { gate: "\${GATE}" } }
  echo_worker:
    remember: { trigger_args: "*/1 * * * * *", data: { key: scheduled, value: { from: yaml } } }
    fail: { cron: "* * ${hours} * * *", data: scheduled failure, timezone: Pacific/Kiritimati }
    some_task: { cron: "* * * 1-31 * 0-6" }
`,
  })
  const server = await Server.start({
    data: join(folder, 'data'),
    args: ['--config', join(folder, 'offstage.yml')],
    env: { RECORD: join(folder, 'record'), GATE: join(folder, 'gate'), TZ: 'UTC' },
  })
  t.teardown(() => server.kill())
  await server.line((line) => line.msg.includes('still runs') && line.method === 'recordSlowly')
  const failure = await server.line((line) => line.msg.includes('scheduled failure'))
  t.match(failure, { worker: 'echo_worker', method: 'fail', level: 50 })
  const runs = readRecord(join(folder, 'record'))
  t.equal(runs.length, 1, 'the firing that came while it ran was left out, and 2199 is not yet')
  const twice = server.lines.some((line) => line.msg.includes('still runs') && line.method === 'some_task')
  t.notOk(twice, 'day and weekday both match, and that is one firing')
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.strictSame(await middleMan.worker('echo_worker').askResult('scheduled'), { from: 'yaml' })
  await middleMan.close()
})

t.test(
  'schedules go on after jumps of the wall clock, and nothing fires for the time between',
  { skip: noFaketime },
  async (t) => {
    const day = 24 * 3_600_000
    const hourFarFromNow = (new Date().getUTCHours() + 12) % 24
    const folder = t.testdir({
      record: '',
      'offstage.yml': `
schedules:
  recording_worker:
    record: { cron: "* * * * * *" }
  echo_worker:
    fail: { cron: "0 0 ${hourFarFromNow} * * *", data: daily }
`,
    })
    const record = join(folder, 'record')
    const clock = new FakeClock(join(folder, 'clock'))
    const server = await Server.start({
      data: join(folder, 'data'),
      args: ['--config', join(folder, 'offstage.yml')],
      env: { RECORD: record, TZ: 'UTC', ...clock.env },
    })
    t.teardown(() => server.kill())
    const start = Date.now()
    /** Waits for two firings whose time is so many days off. */
    const firesWhen = async (days: number) => {
      const there = ({ at }: { at: number }) => Math.abs(at - start - days * day) < day / 2
      while (readRecord(record).filter(there).length < 2) {
        if (!server.running) throw new Error(`the supervisor ended: ${server.errors}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await firesWhen(0)
    for (const days of [-3, 3]) {
      clock.move(days)
      await firesWhen(days)
    }
    const jumps = server.lines.filter(({ msg }) => msg.startsWith('the wall clock jumped by'))
    t.same(
      jumps.map(({ ms }) => Math.round((ms as number) / day)),
      [-3, 6],
    )
    t.notOk(server.lines.some(({ msg }) => msg.includes('daily')))
    t.same(
      server.lines.filter(({ level, msg }) => level > 30 && !jumps.some((line) => line.msg === msg)),
      [],
      'and nothing else is worth a warning',
    )
  },
)
