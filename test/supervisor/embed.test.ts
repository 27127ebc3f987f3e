import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import { startSupervisor } from 'offstage/supervisor'
import t from 'tap'
import { WORKERS } from '../support/server.js'

t.test('a supervisor runs inside a program, on a free port, and stops', async (t) => {
  const cwd = t.testdir()
  const supervisor = await startSupervisor({ cwd, workers: WORKERS, port: 0, log_level: 'silent' })
  const middleMan = await MiddleMan.connect({ client: supervisor.address })
  t.equal(await middleMan.worker('echo_worker').echo!({ arg: 5 }), 5)
  await middleMan.close()
  await supervisor.stop()
  await t.rejects(MiddleMan.connect({ client: supervisor.address, connectTimeout: 100 }), { executed: 'no' } as never)
})

t.test('two in one process do not disturb each other', async (t) => {
  const cwd = t.testdir()
  const start = (data: string) => startSupervisor({ cwd, data, workers: WORKERS, port: 0, log_level: 'silent' })
  const [a, b] = await Promise.all([start('a'), start('b')])
  t.not(a.address, b.address)
  await a.stop()
  const middleMan = await MiddleMan.connect({ client: b.address })
  t.equal(await middleMan.worker('echo_worker').echo!({ arg: 6 }), 6)
  await middleMan.close()
  await b.stop()
})

t.test('a clock that jumps strands no job: the next sweep finds what is due', async (t) => {
  const real = Date.now
  let jump = 0
  Date.now = () => real() + jump
  t.teardown(() => {
    Date.now = real
  })
  const cwd = t.testdir()
  const supervisor = await startSupervisor({ cwd, workers: WORKERS, port: 0, log_level: 'silent' })
  const middleMan = await MiddleMan.connect({ client: supervisor.address })
  const worker = middleMan.worker('echo_worker')
  const later = { arg: { key: 'ran', value: true }, jobKey: 'later', scheduledAt: Date.now() + 3_600_000 }
  await worker.enqRemember!(later)
  t.equal(await worker.askResult('ran'), null)
  jump = 7_200_000
  while ((await worker.askResult('ran')) === null) await new Promise((resolve) => setTimeout(resolve, 20))
  await middleMan.close()
  await supervisor.stop()
})

t.test('what is wrong rejects, and nothing keeps running', async (t) => {
  const cwd = t.testdir()
  await t.rejects(startSupervisor({ cwd, port: 70_000, log_level: 'silent' }), { message: /--port is 70000/ })
  await t.rejects(startSupervisor({ cwd, workers: 'nowhere', log_level: 'silent' }), { message: /nowhere/ })
  await t.rejects(startSupervisor({ cwd, prot: 1, log_level: 'silent' } as never), { message: /prot/ })
})

t.test('the command offstage knows its version and explains itself', async (t) => {
  const main = join(import.meta.dirname, '../../../dist/cli/main.js')
  const run = (...args: string[]) => execFileSync(process.execPath, [main, ...args], { encoding: 'utf8' })
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.equal(run('--version').trim(), version)
  t.match(run('--help'), /start/)
  t.match(run('start', '--help'), /--workers/)
})
