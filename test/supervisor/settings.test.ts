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

const CACHING = `import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  keep([key, value, options]) { this.cache.set(key, value, options) }
  get(key) { return this.cache.get(key) ?? null }
}
`

type AnyProxy = ReturnType<MiddleMan['worker']>

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

t.test('result_entries, result_bytes and result_ttl bound what is cached, for clients and for workers', async (t) => {
  const cwd = t.testdir({
    workers: { 'a_worker.mjs': CACHING, 'b_worker.mjs': CACHING },
    'offstage.yml': 'supervisor: { result_entries: 3, result_bytes: 2000, result_ttl: 3600 }',
  })
  const server = await Server.start({ data: 'data', workers: 'workers', cwd })
  const middleMan = await MiddleMan.connect({ client: server.address, timeout: 20_000 })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.kill()
  })
  const [a, b] = ['a_worker', 'b_worker'].map((name) => middleMan.worker(name)) as [AnyProxy, AnyProxy]
  const gone = async (worker: AnyProxy, key: string) => {
    t.equal(await worker.askResult(key), null)
    // The supervisor tells its worker of it a moment later.
    while ((await worker.get!({ arg: key })) !== null) await new Promise((resolve) => setImmediate(resolve))
  }
  await a.keep!({ arg: ['one', 1] })
  await a.keep!({ arg: ['two', 2] })
  await b.keep!({ arg: ['three', 3] })
  t.equal(await a.askResult('one'), 1)
  await b.keep!({ arg: ['four', 4] })
  await gone(a, 'two')
  t.equal(await a.get!({ arg: 'one' }), 1, 'it was asked for after the other')

  await b.keep!({ arg: ['large', 'x'.repeat(1_985)] })
  await gone(a, 'one')
  await gone(b, 'three')
  await t.rejects(b.keep!({ arg: ['too large', 'x'.repeat(2_000)] }), {
    code: 'WORKER_ERROR',
    message: /at most 2000 can be kept/,
  })
  await t.rejects(b.resetResult('too large', 'x'.repeat(2_000)), {
    name: 'ResultStorageError',
    code: 'RESULT_STORAGE_TOO_LARGE',
    executed: 'no',
  })

  await a.keep!({ arg: ['brief', 1, { ttl: 1 }] })
  while ((await a.askResult('brief')) !== null) await new Promise((resolve) => setImmediate(resolve))
  await gone(a, 'brief')
  await a.keep!({ arg: ['long', 1] })
  t.equal(await a.askResult('long'), 1)
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
