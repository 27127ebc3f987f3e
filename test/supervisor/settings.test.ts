/** That settings reach what they are for. What may be said is in config.test.ts. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { Server } from '../support/server.js'

const WORKER = `import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  create(data) { this.data = data ?? null }
  report() { return { data: this.data, environment: process.env.NODE_ENV, told: [process.env.TOLD ?? null, ...process.execArgv] } }
  keep(value) { this.cache.set('kept', value) }
  kept() { return this.cache.get('kept') ?? null }
  die() { process.exit(3) }
  fail() { throw new Error('always') }
  wait() { return new Promise(() => {}) }
}
`

t.test('of the file: environment, attempts, retry_delay, and what it says about single workers', async (t) => {
  const cwd = t.testdir({
    workers: { 'told_worker.mjs': WORKER, 'plain_worker.mjs': WORKER, 'later_worker.mjs': WORKER },
    'offstage.yml': `
supervisor: { environment: staging, attempts: 2, retry_delay: 0.01 }
workers:
  told_worker: { data: { from: file }, mailbox_limit: 1, host: process, env: { TOLD: by the file }, exec_argv: [--no-warnings] }
  later_worker: { no_auto_load: true, data: for the first only }
`,
  })
  const server = await Server.start({ data: 'data', workers: 'workers', cwd })
  const middleMan = await MiddleMan.connect({ client: server.address, timeout: 20_000 })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.kill()
  })
  const [told, plain, later] = ['told_worker', 'plain_worker', 'later_worker'].map((name) => middleMan.worker(name))
  t.strictSame(await told!.report!(), {
    data: { from: 'file' },
    environment: 'staging',
    told: ['by the file', '--no-warnings'],
  })
  t.strictSame(await plain!.report!(), { data: null, environment: 'staging', told: [null] })

  await t.rejects(later!.report!(), { code: 'NO_WORKER', message: /newWorker/ })
  t.notOk(server.lines.some((line) => line.msg === 'worker later_worker runs'))
  await middleMan.newWorker({ worker: 'later_worker', workerKey: 'k', data: 'its own' })
  t.match(await middleMan.worker('later_worker', 'k').report!(), { data: 'its own' })

  await told!.asyncWait!()
  await t.rejects(told!.report!(), { name: 'Overloaded', executed: 'no' })

  await plain!.enqFail!({ jobKey: 'job' })
  const retry = await server.line((line) => line.msg.includes('is tried again'))
  t.equal(retry.attempt, 1)
  t.ok(Date.parse(retry.runAt as string) - (retry.time as number) < 250, 'after retry_delay, and not the default')
  t.match(await server.line((line) => line.msg.includes('for the last time')), { attempt: 2 })
})

t.test('a cached result survives a crash of its worker, for clients and for the worker', async (t) => {
  const cwd = t.testdir({ workers: { 'a_worker.mjs': WORKER } })
  const server = await Server.start({ data: 'data', workers: 'workers', cwd })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close()
    await server.kill()
  })
  const worker = middleMan.worker('a_worker')
  await worker.keep!({ arg: 'precious' })
  await t.rejects(worker.die!(), { name: 'WorkerCrashed' })
  t.equal(await worker.askResult('kept'), 'precious')
  t.equal(await worker.kept!(), 'precious')
  t.match(await worker.workerInfo(), { restarts: 1 })
})

t.test('log: a file', async (t) => {
  const cwd = t.testdir({ workers: { 'a_worker.mjs': WORKER } })
  const server = Server.spawn({ data: 'data', workers: 'workers', cwd, args: ['--log', 'logs/offstage.log'] })
  t.teardown(() => server.kill())
  const text = () => {
    try {
      return readFileSync(join(cwd, 'logs/offstage.log'), 'utf8')
    } catch {
      return '' // not made yet
    }
  }
  while (!text().includes('listening on')) await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(await server.stop(), 0)
  t.match(text(), '"msg":"stopped"')
  t.same(server.lines, [], 'and nothing on standard output')
})
