import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { Server } from '../support/server.js'

t.test('a schedule calls its method with its data, in seconds, and not beside itself', async (t) => {
  const folder = t.testdir({
    record: '',
    gate: '',
    'offstage.yml': `
schedules:
  recording_worker:
    recordSlowly: { cron: "* * * * * *", data: { gate: "\${GATE}" } }
  echo_worker:
    remember: { trigger_args: "*/1 * * * * *", data: { key: scheduled, value: { from: yaml } } }
    fail: { cron: "* * * * * *", data: scheduled failure, timezone: Europe/London }
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
  const runs = readFileSync(join(folder, 'record'), 'utf8').trim().split('\n')
  t.equal(runs.length, 1, 'the firing that came while it ran was left out')
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.strictSame(await middleMan.worker('echo_worker').askResult('scheduled'), { from: 'yaml' })
  await middleMan.close()
})
