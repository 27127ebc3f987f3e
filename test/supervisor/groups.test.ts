/** Declared groups behind a real supervisor: the order of start and stop, wrong declarations, and what happens to jobs. */
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'

const worker = (name: string, body = '') => `import { appendFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  static workerName = '${name}'
  echo(arg) { return arg }
  die() { process.exit(3) }
  ${body}
}`

/** Writes each start of a method, as recording_worker does. */
const RECORDING = `
  quick() { this._note('quick') }
  slow() { this._note('slow'); if (this.persistentJob.attempt === 1) return new Promise(() => undefined) }
  _note(method) {
    const { jobKey, persistentJob } = this
    appendFileSync(process.env.RECORD, '\\n' + JSON.stringify({ method, jobKey, attempt: persistentJob.attempt }) + '\\n')
  }`

async function setUp(t: Test, files: Record<string, string>, yaml: string) {
  const folder = t.testdir({ workers: files, record: '', 'offstage.yml': yaml })
  const record = join(folder, 'record')
  const options = {
    data: join(folder, 'data'),
    workers: join(folder, 'workers'),
    cwd: folder,
    env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01' },
  }
  return { options, runs: () => readRecord(record) }
}

async function started(t: Test, files: Record<string, string>, yaml: string) {
  const { options, runs } = await setUp(t, files, yaml)
  const server = await Server.start(options)
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.kill()
  })
  const order = (event: string, names: readonly string[]) =>
    server.lines.flatMap((line) => (line.event === event && names.includes(line.worker as string) ? [line.worker] : []))
  return { server, middleMan, runs, order }
}

t.test('members of a group start in the order of the group, and stop in reverse', async (t) => {
  const names = ['cellar', 'attic', 'base']
  const slow = 'create() { return new Promise((done) => setTimeout(done, 30)) }'
  const files = Object.fromEntries(
    [...names, 'single'].map((name) => [`${name}.mjs`, worker(name, name === 'cellar' ? slow : '')]),
  )
  const yaml = `groups: { house: { strategy: rest-for-one, workers: [${names}] } }`
  const { server, middleMan, order } = await started(t, files, yaml)
  t.same(order('started', names), names)
  t.match(await middleMan.worker('attic').workerInfo(), { status: 'running', group: 'house', restart: 'permanent' })
  t.equal((await middleMan.worker('single').workerInfo()).group, undefined)
  await t.rejects(middleMan.worker('attic').die!(), { code: 'WORKER_CRASHED' })
  await server.line(({ event, worker }) => event === 'restarted' && worker === 'base')
  t.same(order('restarted', [...names, 'single']), ['attic', 'base'])
  await middleMan.newWorker({ worker: 'attic', workerKey: 'key' })
  t.equal((await middleMan.worker('attic', 'key').workerInfo()).group, undefined, 'instances with a key are in none')
  await middleMan.close()
  t.equal(await server.stop(), 0)
  t.same(
    server.lines.flatMap(({ event, worker, workerKey }) =>
      event === 'stopped' && workerKey === '' && worker !== 'single' ? [worker] : [],
    ),
    names.toReversed(),
  )
})

t.test('a member that was deleted and started again is in its group again', async (t) => {
  const files = { 'one.mjs': worker('one'), 'two.mjs': worker('two') }
  const { server, middleMan, order } = await started(
    t,
    files,
    'groups: { both: { strategy: one-for-all, workers: [one, two] } }',
  )
  await middleMan.worker('two').delete()
  await t.rejects(middleMan.worker('one').die!(), { code: 'WORKER_CRASHED' })
  await server.line(({ event, worker }) => event === 'restarted' && worker === 'one')
  t.same(order('restarted', ['two']), [], 'it is not started by its group')
  await middleMan.newWorker({ worker: 'two', workerKey: '' })
  t.equal((await middleMan.worker('two').workerInfo()).group, 'both')
  await t.rejects(middleMan.worker('one').die!(), { code: 'WORKER_CRASHED' })
  await server.line(({ event, worker }) => event === 'restarted' && worker === 'two')
})

for (const [what, files, problem] of [
  ['a worker that is not there', {}, /groups\.g\.workers in the configuration names no worker "two"; it has: one/],
  [
    'a worker that does not start with the supervisor',
    { 'two.mjs': worker('two', 'static noAutoLoad = true') },
    /groups\.g\.workers in the configuration names two, which is not started with the supervisor/,
  ],
] as const) {
  t.test(`a group with ${what} is a wrong configuration`, async (t) => {
    const { options } = await setUp(
      t,
      { 'one.mjs': worker('one'), ...files },
      'groups: { g: { strategy: one-for-all, workers: [one, two] } }',
    )
    const server = Server.spawn(options)
    t.teardown(() => server.kill())
    t.equal(await server.ended(), 78)
    t.match(server.errors, problem)
  })
}

t.test('of the jobs of a member that is ended for another, the one that ran counts an attempt, no other', async (t) => {
  const files = { 'one.mjs': worker('one'), 'two.mjs': worker('two', RECORDING) }
  const { middleMan, runs } = await started(t, files, 'groups: { g: { strategy: one-for-all, workers: [one, two] } }')
  const two = middleMan.worker('two')
  await two.enqSlow!({ jobKey: 'ran', attempts: 2 })
  const keys = Array.from({ length: 20 }, (_, i) => `waited ${i}`)
  await Promise.all(keys.map((jobKey) => two.enqQuick!({ jobKey })))
  while (runs().length < 1) await new Promise((resolve) => setTimeout(resolve, 5))
  await t.rejects(middleMan.worker('one').die!(), { code: 'WORKER_CRASHED' })
  while (runs().length < 22) await new Promise((resolve) => setTimeout(resolve, 20))
  const starts = runs().map(({ jobKey, attempt }) => `${jobKey} ${attempt}`)
  t.same(starts.sort(), ['ran 1', 'ran 2', ...keys.map((key) => `${key} 1`)].sort())
})

t.test('a create that never ends holds the start back for its createTimeout, and then the others serve', async (t) => {
  const endless = `static createTimeout = 100
  static maxRestarts = 1
  create() { return new Promise(() => undefined) }`
  const files = { 'endless.mjs': worker('endless', endless), 'fine.mjs': worker('fine') }
  const { server, middleMan } = await started(t, files, '{}')
  t.equal(await middleMan.worker('fine').echo!({ arg: 'serves' }), 'serves')
  await server.line(({ event, worker }) => event === 'failed' && worker === 'endless')
  t.match(await middleMan.worker('endless').workerInfo(), {
    state: 'stopped.failed',
    failure: /create of endless has not ended within 100 ms/,
  })
})
