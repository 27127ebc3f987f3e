/** Dead jobs that are wanted again, and jobs that nobody wants any more. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'
import type WatchedWorker from '../support/workers/watched_worker.js'

async function setUp(t: Test, config = '') {
  const folder = t.testdir({ record: '', gate: '', 'offstage.yml': config })
  const record = join(folder, 'record')
  const start = () =>
    Server.start({
      data: join(folder, 'data'),
      cwd: folder,
      env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01' },
    })
  const state = { server: await start() }
  const connect = async () => {
    const middleMan = await MiddleMan.connect({ client: state.server.address })
    t.teardown(() => middleMan.close({ timeout: 0 }))
    return middleMan
  }
  t.teardown(() => state.server.kill())
  const middleMan = await connect()
  const worker = middleMan.worker<RecordingWorker>('recording_worker')
  return { folder, state, start, connect, middleMan, worker, runs: () => readRecord(record) }
}

t.test('retry lets a dead job run again, with all its attempts, also after kill -9', async (t) => {
  const { state, start, connect, middleMan, worker, runs } = await setUp(t)
  const job = await worker.enqFailUntil({ arg: { attempt: 3 }, jobKey: 'k', attempts: 2 })
  await t.rejects(job.result(), { message: /is dead after 2 attempts/ })
  t.equal(await job.retry(), 'retried')
  await t.rejects(job.result(), { message: /is dead after 2 attempts: not before attempt 3/ })
  t.equal(runs().length, 4)

  t.equal(await middleMan.job({ worker: 'recording_worker', jobKey: 'k' }).retry(), 'retried')
  await state.server.kill()
  state.server = await start()
  const again = (await connect()).job(job.id)
  await t.rejects(again.result(), { message: /is dead/ })
  t.ok(runs().length >= 5, 'what was answered is durable')
  t.match(await again.status(), { state: 'dead', attempts: 2, id: job.id })
})

t.test(
  'a job that waits can be moved to another time, by its handle, id or key, and stays there after kill -9',
  async (t) => {
    const { state, start, connect, middleMan, worker, runs } = await setUp(t)
    const later = Date.now() + 3_600_000
    const job = await worker.enqRecord({ arg: 'moved', jobKey: 'k', scheduledAt: later })
    t.equal(await job.reschedule(later + 1_000), 'rescheduled')
    t.match(await job.status(), { state: 'scheduled', scheduledAt: new Date(later + 1_000) })
    t.equal(await middleMan.job(job.id).reschedule(new Date(later + 2_000)), 'rescheduled')
    const keys = { worker: 'recording_worker', jobKey: 'k' }
    t.equal(await middleMan.job(keys).reschedule(new Date(later + 3_000).toISOString()), 'rescheduled')
    await state.server.kill()
    state.server = await start()
    const again = await connect()
    t.match(await again.jobs(), [{ id: job.id, runAt: later + 3_000 }])
    t.same(runs(), [])
    t.equal(await again.job(keys).reschedule(Date.now() - 5), 'rescheduled')
    await again.job(job.id).result()
    t.match(runs(), [{ arg: 'moved', attempt: 1 }])
    t.equal(await again.job(job.id).reschedule(later), 'finished')
    t.equal(await again.job(999).reschedule(later), 'unknown')
    await t.rejects(again.job(job.id).reschedule('soon'), {
      code: 'INVALID_ARGUMENT',
      message: /the new time is "soon"/,
    })
  },
)

t.test('retry of what is not dead says what it is', async (t) => {
  const { folder, middleMan, worker } = await setUp(t)
  const watched = middleMan.worker<WatchedWorker>('watched_worker')
  const later = await watched.enqGive({ arg: 1, jobKey: 'later', scheduledAt: Date.now() + 3_600_000 })
  t.equal(await later.retry(), 'scheduled')
  const done = await watched.enqGive({ arg: 1, jobKey: 'done' })
  t.equal(await done.result(), 1)
  t.equal(await done.retry(), 'finished')
  t.equal(await middleMan.job(999).retry(), 'unknown')
  t.equal(await middleMan.job({ worker: 'watched_worker', jobKey: 'none' }).retry(), 'unknown')

  const gate = join(folder, 'gate')
  const slow = await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'slow' })
  while ((await slow.status()).state !== 'active');
  t.equal(await slow.retry(), 'active')
  t.equal(await slow.delete(), 'active')
  writeFileSync(gate, 'open')
  await slow.result()
})

t.test('retry does nothing while another job has the key', async (t) => {
  const { worker, runs } = await setUp(t)
  const dead = await worker.enqFailUntil({ arg: { attempt: 9 }, jobKey: 'k', attempts: 1 })
  await t.rejects(dead.result(), { message: /is dead/ })
  const other = await worker.enqRecord({ arg: 1, jobKey: 'k', scheduledAt: Date.now() + 3_600_000 })
  t.equal(other.created, true)
  t.equal(await dead.retry(), 'taken')
  t.equal(await other.delete(), 'removed')
  t.equal(await dead.retry(), 'retried')
  await t.rejects(dead.result(), { message: /is dead/ })
  t.equal(runs().length, 2)
})

t.test('delete removes jobs that are dead or wait, and no others', async (t) => {
  const { middleMan, worker } = await setUp(t)
  const dead = await worker.enqFailUntil({ arg: { attempt: 9 }, jobKey: 'k', attempts: 1 })
  await t.rejects(dead.result(), { message: /is dead/ })
  t.equal(await middleMan.job({ worker: 'recording_worker', jobKey: 'k' }).delete(), 'removed')
  t.match(await dead.status(), { state: 'unknown' })
  t.equal(await dead.delete(), 'unknown')
  const later = await worker.enqRecord({ arg: 1, jobKey: 'k', scheduledAt: Date.now() + 3_600_000 })
  const result = t.rejects(later.result(), { name: 'Cancelled' })
  t.equal(await later.delete(), 'removed')
  await result
  const done = await worker.enqRecord({ arg: 1, jobKey: 'k' })
  await done.result()
  t.equal(await done.delete(), 'finished')
  t.strictSame(await middleMan.jobs(), [])
})

t.test('many callers who retry one job make it run once', async (t) => {
  const { worker, runs } = await setUp(t)
  const job = await worker.enqFailUntil({ arg: { attempt: 9 }, jobKey: 'k', attempts: 1 })
  await t.rejects(job.result(), { message: /is dead/ })
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => job.retry()))
  t.ok(outcomes.includes('retried'))
  await t.rejects(job.result(), { message: /is dead/ })
  t.equal(runs().length, 1 + outcomes.filter((outcome) => outcome === 'retried').length)
})

t.test('rules say who may retry and delete which jobs', async (t) => {
  const rules = ['access:', '  - { allow: "*", verbs: [enqueue, job, job_result] }']
  rules.push('  - { allow: "*", verbs: [retry_job, delete_job], methods: failUntil }')
  const { worker } = await setUp(t, rules.join('\n'))
  const mine = await worker.enqFailUntil({ arg: { attempt: 9 }, jobKey: 'k', attempts: 1 })
  await t.rejects(mine.result(), { message: /is dead/ })
  t.equal(await mine.retry(), 'retried')
  const other = await worker.enqRecord({ arg: 1, jobKey: 'o', scheduledAt: Date.now() + 3_600_000 })
  const denied = { name: 'AccessDenied' }
  await t.rejects(other.retry(), { ...denied, message: 'anonymous may not retry_job recording_worker.record' })
  await t.rejects(other.delete(), { ...denied, message: 'anonymous may not delete_job recording_worker.record' })
  t.match(await other.status(), { state: 'scheduled' })
})
