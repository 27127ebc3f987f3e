import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Server } from '../support/server.js'

t.test('a schedule calls its method with its data, in seconds, and not beside itself', async (t) => {
  const folder = t.testdir({
    record: '',
    gate: '',
    'offstage.yml': `
schedules:
  recording_worker:
    record: { trigger_args: "*/1 * * * * *", data: { from: schedule } }
    recordSlowly: { cron: "* * * * * *", data: { gate: "\${GATE}" } }
  echo_worker:
    fail: { cron: "* * * * * *", data: scheduled failure }
`,
  })
  const server = await Server.start({
    data: join(folder, 'data'),
    args: ['--config', join(folder, 'offstage.yml')],
    env: { RECORD: join(folder, 'record'), GATE: join(folder, 'gate') },
  })
  t.teardown(() => server.kill())
  await server.line((line) => line.msg.includes('still runs') && line.method === 'recordSlowly')
  const failure = await server.line((line) => line.msg.includes('scheduled failure'))
  t.match(failure, { worker: 'echo_worker', method: 'fail', level: 50 })
  const lines = readFileSync(join(folder, 'record'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  const runs = lines.map((line) => JSON.parse(line) as { method: string; arg: unknown })
  t.strictSame(runs.filter((run) => run.method === 'recordSlowly').length, 1)
  t.match(
    runs.find((run) => run.method === 'record'),
    { arg: { from: 'schedule' } },
  )
})
