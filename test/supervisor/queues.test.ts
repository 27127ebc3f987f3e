/** What holds jobs back, and looking at them: pausing, rate limits, lists, other times. */
import { join } from 'node:path'
import fc from 'fast-check'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { RateWindow } from '#offstage/supervisor/rate-window.js'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

const HOUR = 3_600_000

async function setUp(t: Test, configuration = '') {
  const folder = t.testdir({ record: '', 'offstage.yml': configuration })
  const record = join(folder, 'record')
  const start = () =>
    Server.start({
      data: join(folder, 'data'),
      cwd: folder,
      env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01', OFFSTAGE_ATTEMPTS: '1' },
    })
  const state = { server: await start(), middleMan: undefined as unknown as MiddleMan }
  state.middleMan = await MiddleMan.connect({ client: state.server.address })
  t.teardown(async () => {
    await state.middleMan.close({ timeout: 0 })
    await state.server.kill()
  })
  const until = async (count: number) => {
    while (readRecord(record).length < count) await new Promise((resolve) => setTimeout(resolve, 5))
    return readRecord(record)
  }
  const restart = async () => {
    await state.middleMan.close()
    await state.server.kill()
    state.server = await start()
    state.middleMan = await MiddleMan.connect({ client: state.server.address })
  }
  const worker = () => state.middleMan.worker<RecordingWorker>('recording_worker')
  return { state, worker, until, restart, runs: () => readRecord(record) }
}

t.test('a paused queue starts no job, also after a kill -9, and goes on when it is resumed', async (t) => {
  const { worker, until, restart, runs } = await setUp(t)
  t.match(await worker().workerInfo(), { paused: false, jobs: { ready: 0 } })
  t.equal(await worker().resumeQueue(), false)
  t.equal(await worker().pauseQueue(), true)
  t.equal(await worker().pauseQueue(), false)
  await worker().enqRecord({ arg: 1, jobKey: 'one' })
  await worker().enqRecord({ arg: 2, jobKey: 'two', priority: 5 })
  t.match(await worker().workerInfo(), { paused: true, jobs: { ready: 2, active: 0 } })
  await restart()
  t.match(await worker().workerInfo(), { paused: true, jobs: { ready: 2, active: 0 } })
  t.same(runs(), [])
  t.equal(await worker().resumeQueue(), true)
  t.same(
    (await until(2)).map(({ arg }) => arg),
    [2, 1],
  )
  await restart()
  t.match(await worker().workerInfo(), { paused: false })
})

t.test('calls go on while a queue is paused, and so do the queues of other instances', async (t) => {
  const { state, worker, until } = await setUp(t)
  await state.middleMan.newWorker({ worker: 'recording_worker', workerKey: 'other' })
  await worker().pauseQueue()
  await worker().record({ arg: 'called' })
  const other = state.middleMan.worker<RecordingWorker>('recording_worker', 'other')
  await other.enqRecord({ arg: 'job', jobKey: 'k' })
  t.match(await until(2), [{ arg: 'called' }, { arg: 'job' }])
  await t.rejects(state.middleMan.worker('nobody').pauseQueue(), { code: 'NO_WORKER' })
})

t.test('jobs are listed by worker, key and state, page by page', async (t) => {
  const { state, worker } = await setUp(t)
  const { middleMan, server } = state
  await worker().enqFailUntil({ arg: { attempt: 9 }, jobKey: 'dead', attempts: 1 })
  await server.line(({ msg }) => msg.includes('for the last time'))
  await worker().pauseQueue()
  await middleMan.enqueueMany(
    Array.from({ length: 5 }, (_, i) => ({ worker: 'recording_worker', method: 'record', arg: i, jobKey: `job ${i}` })),
  )
  const at = Date.now() + HOUR
  await middleMan.worker('recording_worker', 'k').enqRecord!({ jobKey: 'later', scheduledAt: at, priority: 3 })
  const all = await middleMan.jobs()
  t.equal(all.length, 7)
  t.match(all[0], {
    server: server.address,
    worker: 'recording_worker',
    workerKey: '',
    method: 'failUntil',
    jobKey: 'dead',
    state: 'dead',
    attempts: 1,
    failure: { name: 'Error', message: String },
  })
  t.match(await middleMan.jobs({ state: 'scheduled' }), [{ jobKey: 'later', workerKey: 'k', runAt: at, priority: 3 }])
  const first = await middleMan.jobs({ worker: 'recording_worker', workerKey: '', state: 'ready', limit: 2 })
  t.same(
    first.map(({ jobKey }) => jobKey),
    ['job 0', 'job 1'],
  )
  const rest = await middleMan.jobs({ state: 'ready', after: first[1]!.id, host: server.address })
  t.same(
    rest.map(({ jobKey }) => jobKey),
    ['job 2', 'job 3', 'job 4'],
  )
  t.match(await middleMan.jobs({ jobKey: 'job 3' }), [{ jobKey: 'job 3' }])
  t.same(await middleMan.jobs({ worker: 'echo_worker' }), [])
})

t.test('a wrong filter is refused, and names what is wrong', async (t) => {
  const { state } = await setUp(t)
  const wrong: [object, RegExp][] = [
    [{ state: 'done' }, /state has to be one of scheduled, ready, active, dead/],
    [{ limit: 0 }, /limit has to be a whole number from 1 to 1000/],
    [{ after: -1 }, /after has to be the id of a job/],
    [{ jobKey: 5 }, /jobKey has to be text/],
    [{ workerKey: 'k' }, /workerKey and no worker/],
    [{ kind: 'x' }, /there is no option "kind"/],
  ]
  for (const [options, message] of wrong) {
    await t.rejects(state.middleMan.jobs(options), { code: 'INVALID_ARGUMENT', message })
  }
  await t.rejects(state.middleMan.jobs({ worker: 'nobody' }), { code: 'NO_WORKER' })
})

t.test('a page of jobs with long keys fits into a frame, and the rest can be had', async (t) => {
  const { state, worker } = await setUp(t)
  const { middleMan } = state
  await worker().pauseQueue()
  const key = (i: number) => `${i} ${'€'.repeat(1_000)}`
  await middleMan.enqueueMany(
    Array.from({ length: 400 }, (_, i) => ({ worker: 'recording_worker', method: 'record', jobKey: key(i) })),
  )
  const found: string[] = []
  for (let after = 0; ; ) {
    const page = await middleMan.jobs({ limit: 1_000, after })
    if (page.length === 0) break
    t.ok(page.length < 400)
    found.push(...page.map(({ jobKey }) => jobKey))
    after = page.at(-1)!.id
  }
  t.same(
    found,
    Array.from({ length: 400 }, (_, i) => key(i)),
  )
})

t.test('never more starts in a period than the rate limit says, and all of them in the end', async (t) => {
  const per = 300
  const { state, until } = await setUp(t, `workers: { recording_worker: { rate_limit: { jobs: 4, per: ${per} } } }`)
  const before = Date.now()
  await state.middleMan.enqueueMany(
    Array.from({ length: 14 }, (_, i) => ({ worker: 'recording_worker', method: 'record', arg: i, jobKey: `${i}` })),
  )
  const runs = await until(14)
  t.same(
    runs.map(({ arg }) => arg),
    Array.from({ length: 14 }, (_, i) => i),
  )
  // 4 at once, then 4 after each of three periods; how long a start takes after its claim is nobody's promise.
  for (const [i, { at }] of runs.entries()) {
    const least = Math.floor(i / 4) * per
    t.ok(at - before >= least - 2, `job ${i} after ${at - before} ms, and not before ${least}`)
  }
})

t.test('an enqueue can replace the job that waits, with its time or without', async (t) => {
  const { state, worker, until } = await setUp(t)
  const later = Date.now() + HOUR
  const first = await worker().enqRecord({ arg: 'first', jobKey: 'k', scheduledAt: later })
  t.match(first, { created: true, replaced: false })
  const next = { jobKey: 'k', scheduledAt: later + HOUR }
  t.match(await worker().enqRecord({ arg: 'rejected', ...next, uniqueness: 'reject' }), {
    created: false,
    replaced: false,
  })
  const second = await worker().enqRecord({ arg: 'second', ...next, priority: 2, uniqueness: 'replace' })
  t.match(second, { id: first.id, created: false, replaced: true })
  t.match(await state.middleMan.jobs(), [{ id: first.id, runAt: later, priority: 2 }])
  await worker().enqRecord({ arg: 'third', ...next, uniqueness: 'debounce' })
  t.match(await state.middleMan.jobs(), [{ id: first.id, runAt: later + HOUR, priority: 0 }])
  const bulk = { worker: 'recording_worker', method: 'record', jobKey: 'k', uniqueness: 'debounce' } as const
  const [last, other] = await state.middleMan.enqueueMany([
    { ...bulk, arg: 'last' },
    { ...bulk, arg: 'other', jobKey: 'other' },
  ])
  t.match(last, { id: first.id, created: false, replaced: true })
  t.match(other, { created: true, replaced: false })
  t.same(
    (await until(2)).map(({ arg }) => arg),
    ['last', 'other'],
  )
  await t.rejects(worker().enqRecord({ arg: 1, jobKey: 'k', uniqueness: 'unique' as never }), {
    code: 'INVALID_ARGUMENT',
    message: /uniqueness is "unique": it has to be 'reject', 'replace' or 'debounce'/,
  })
})

t.test('a job that expires while it waits never starts, and the log says so', async (t) => {
  const { state, worker, until } = await setUp(t)
  await worker().pauseQueue()
  const expiresAt = Date.now() + 50
  await worker().enqRecord({ arg: 'late', jobKey: 'late', expiresAt: new Date(expiresAt) })
  await worker().enqRecord({ arg: 'good', jobKey: 'good', expiresAt: expiresAt + HOUR })
  t.match(await state.middleMan.jobs({ jobKey: 'late' }), [{ expiresAt }])
  while (Date.now() <= expiresAt) await new Promise((resolve) => setTimeout(resolve, 5))
  await worker().resumeQueue()
  t.match(await until(1), [{ arg: 'good' }])
  t.match(await state.server.line(({ msg }) => msg.includes('was not started')), {
    worker: 'recording_worker',
    level: 50,
  })
  t.match(await state.middleMan.jobs({ state: 'dead' }), [{ jobKey: 'late', failure: { name: 'JobExpired' } }])
  await t.rejects(worker().enqRecord({ arg: 1, jobKey: 'k', scheduledAt: Date.now() + HOUR, expiresAt }), {
    code: 'INVALID_ARGUMENT',
    message: /would expire before its time/,
  })
  await t.rejects(worker().enqRecord({ arg: 1, jobKey: 'k', expiresAt: 'soon' }), { code: 'INVALID_ARGUMENT' })
})

const HEEDS = `import { once } from 'node:events'
import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  static timeouts = { limited: 50 }
  async free() { await once(this.signal, 'abort'); throw this.signal.reason }
  async limited() { await once(this.signal, 'abort'); throw this.signal.reason }
}`

t.test('one run of a job may take as long as its enqueue says, or its worker, whichever is shorter', async (t) => {
  const folder = t.testdir({ workers: { 'w.mjs': HEEDS } })
  const workers = join(folder, 'workers')
  const server = await Server.start({ data: join(folder, 'data'), workers, env: { OFFSTAGE_ATTEMPTS: '1' } })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.kill()
  })
  const worker = middleMan.worker('w')
  const end = async (jobKey: string) =>
    (await server.line((line) => line.jobKey === jobKey && line.msg.includes('for the last time'))).code
  await worker.enqLimited!({ jobKey: 'of the worker', runTimeout: HOUR })
  t.equal(await end('of the worker'), 'DEADLINE_EXCEEDED')
  await worker.enqFree!({ jobKey: 'of the enqueue', runTimeout: 50 })
  t.equal(await end('of the enqueue'), 'DEADLINE_EXCEEDED')
  t.match(await middleMan.jobs({ jobKey: 'of the enqueue' }), [{ timeout: 50 }])
  await t.rejects(worker.enqFree!({ jobKey: 'k', runTimeout: 0 }), { code: 'INVALID_ARGUMENT', message: /runTimeout/ })
})

t.test('a rate window allows what a list of all times allows', async (t) => {
  const step = fc.record({ wait: fc.nat(20), wanted: fc.nat(6) })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(step),
      (most, period, steps) => {
        const window = new RateWindow(most, period)
        const taken: number[] = []
        let now = 0
        for (const { wait, wanted } of steps) {
          now += wait
          const recent = taken.filter((at) => at > now - period)
          if (window.room(now) !== most - recent.length) return false
          if (recent.length === most && window.next !== recent[0]! + period) return false
          const count = Math.min(wanted, most - recent.length)
          window.take(count, now)
          taken.push(...Array.from({ length: count }, () => now))
        }
        return true
      },
    ),
  )
  t.pass()
})
