import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { type Run, readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

/** A server with fast retries, a client, and the file in which the worker writes what it ran. */
async function setUp(t: Test, env: Record<string, string> = {}) {
  const folder = t.testdir({ record: '' })
  const record = join(folder, 'record')
  const data = join(folder, 'data')
  const start = () => Server.start({ data, env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01', ...env } })
  const state = { server: await start() }
  const middleMan = await MiddleMan.connect({ client: state.server.address })
  t.teardown(async () => {
    await middleMan.close()
    await state.server.kill()
  })
  const runs = () => readRecord(record)
  /** Resolves once the file holds what is waited for. */
  const until = async (enough: (runs: Run[]) => boolean) => {
    while (!enough(runs())) await new Promise((resolve) => setTimeout(resolve, 5))
    return runs()
  }
  return {
    folder,
    data,
    start,
    state,
    middleMan,
    worker: middleMan.worker<RecordingWorker>('recording_worker'),
    runs,
    until,
  }
}

t.test('a job runs once, with its key, its argument and its attempt', async (t) => {
  const { worker, until } = await setUp(t)
  const answer = await worker.enqRecord({ arg: { n: 1 }, jobKey: 'boy' })
  t.match(answer, { id: Number, created: true })
  const [run] = await until((runs) => runs.length === 1)
  t.match(run, { method: 'record', arg: { n: 1 }, jobKey: 'boy', id: answer.id, attempt: 1 })
})

t.test('a job key is unique while its job is unfinished, per worker and worker key', async (t) => {
  const { folder, worker, middleMan, until } = await setUp(t)
  const gate = join(folder, 'gate')
  writeFileSync(gate, '')
  const first = await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'boy' })
  t.same(await worker.enqRecord({ arg: 2, jobKey: 'boy' }), { ...first, created: false })
  await until((runs) => runs.length === 1)
  t.same(await worker.enqRecord({ arg: 3, jobKey: 'boy' }), { ...first, created: false }, 'also while it runs')
  await middleMan.newWorker({ worker: 'recording_worker', workerKey: 'other' })
  const other = middleMan.worker<RecordingWorker>('recording_worker', 'other')
  t.match(await other.enqRecord({ arg: 4, jobKey: 'boy' }), { created: true })
  await until((runs) => runs.some((run) => run.arg === 4))
  writeFileSync(gate, 'open')
  let again = await worker.enqRecord({ arg: 5, jobKey: 'boy' })
  while (!again.created) again = await worker.enqRecord({ arg: 5, jobKey: 'boy' })
  await until((runs) => runs.some((run) => run.arg === 5))
})

t.test('enqueue and dequeue without a key reject with NoJobKey', async (t) => {
  const { worker } = await setUp(t)
  await t.rejects(worker.enqRecord({ arg: 1 } as never), { name: 'NoJobKey', code: 'NO_JOB_KEY' })
  await t.rejects(worker.deqRecord({} as never), { name: 'NoJobKey' })
})

t.test('dequeue removes a job that has not started, and says whether it did', async (t) => {
  const { worker, runs } = await setUp(t)
  await worker.enqRecord({ arg: 1, jobKey: 'later', scheduledAt: new Date(Date.now() + 3_600_000) })
  t.equal(await worker.deqRecord({ jobKey: 'later' }), true)
  t.equal(await worker.deqRecord({ jobKey: 'later' }), false)
  t.match(await worker.enqRecord({ arg: 1, jobKey: 'later', scheduledAt: Date.now() + 3_600_000 }), { created: true })
  t.equal(runs().length, 0)
})

t.test('highest priority first, then in the order of enqueuing', async (t) => {
  const { folder, worker, until } = await setUp(t)
  const gate = join(folder, 'gate')
  writeFileSync(gate, '')
  await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'first' })
  await until((runs) => runs.length === 1)
  // The mailbox holds a job or two ahead; behind those, the queue's order counts.
  for (let i = 0; i < 3; i++) await worker.enqRecord({ arg: `fill ${i}`, jobKey: `fill ${i}`, priority: 100 })
  for (const [key, priority] of [
    ['a', 0],
    ['b', 5],
    ['c', 0],
    ['d', 5],
    ['e', -1],
  ] as const) {
    await worker.enqRecord({ arg: key, jobKey: key, priority })
  }
  writeFileSync(gate, 'open')
  const all = await until((runs) => runs.length === 9)
  t.strictSame(
    all.slice(4).map((run) => run.arg),
    ['b', 'd', 'a', 'c', 'e'],
  )
})

t.test('never before its time, and soon after it', async (t) => {
  const { worker, until } = await setUp(t)
  const due = Date.now() + 400
  await worker.enqRecord({ arg: 'later', jobKey: 'later', scheduledAt: due })
  await worker.enqRecord({ arg: 'past', jobKey: 'past', scheduledAt: new Date(Date.now() - 60_000) })
  const runs = await until((runs) => runs.length === 2)
  const later = runs.find((run) => run.arg === 'later')
  t.ok(later!.at >= due, `ran ${later!.at - due} ms after its time`)
})

t.test('a job starts by a timer of its own, and not with the next sweep', async (t) => {
  const { worker, until } = await setUp(t, { OFFSTAGE_PERSISTENT_DELAY: '30' })
  const due = Date.now() + 200
  await worker.enqRecord({ arg: 'soon', jobKey: 'soon', scheduledAt: due })
  const [run] = await until((runs) => runs.length === 1)
  t.ok(run!.at - due < 15_000, `ran ${run!.at - due} ms after its time`)
})

t.test('a method that throws is tried again up to its attempts', async (t) => {
  const { worker, state, until } = await setUp(t)
  await worker.enqFailUntil({ arg: { attempt: 3 }, jobKey: 'third' })
  const all = await until((runs) => runs.length === 3)
  t.strictSame(
    all.map((run) => run.attempt),
    [1, 2, 3],
  )
  await worker.enqFailUntil({ arg: { attempt: 99 }, jobKey: 'never', attempts: 2 })
  const line = await state.server.line((entry) => entry.msg.includes('for the last time'))
  t.match(line, { jobKey: 'never', attempt: 2 })
  t.match(await worker.enqRecord({ arg: 1, jobKey: 'never' }), { created: true }, 'a dead job does not hold its key')
})

t.test('persistentJob.finish() ends the job, whatever the method does then', async (t) => {
  const { worker, state, runs } = await setUp(t)
  await worker.enqFinishThenThrow({ jobKey: 'k' })
  await state.server.line((entry) => entry.msg.includes('after it was settled'))
  t.match(runs(), [{ method: 'finishThenThrow', arg: true }])
  t.match(await worker.enqRecord({ arg: 1, jobKey: 'k' }), { created: true })
})

t.test('persistentJob.release() puts the job back, and it runs again', async (t) => {
  const { folder, worker, until } = await setUp(t)
  const mark = join(folder, 'mark')
  writeFileSync(mark, '')
  await worker.enqReleaseOnce({ arg: { mark }, jobKey: 'k', attempts: 1 })
  const all = await until((runs) => runs.length === 2)
  t.strictSame(
    all.map((run) => run.arg),
    ['', 'released'],
  )
})

t.test('a job that kills its worker ends dead, and the good ones run', async (t) => {
  const { worker, state, until } = await setUp(t)
  await worker.enqDie({ arg: 'poison', jobKey: 'poison', attempts: 2 })
  for (let i = 0; i < 50; i++) await worker.enqRecord({ arg: i, jobKey: `good ${i}` })
  await state.server.line((entry) => entry.msg.includes('for the last time') && entry.jobKey === 'poison')
  const all = await until(
    (runs) => new Set(runs.filter((run) => run.method === 'record').map((run) => run.arg)).size === 50,
  )
  t.equal(all.filter((run) => run.method === 'die').length, 2)
})

t.test('a job that is to run at most once is dead after a crash', async (t) => {
  const { worker, state, runs } = await setUp(t)
  await worker.enqDie({ arg: 'once', jobKey: 'once', attempts: 5, atMostOnce: true })
  t.match(await state.server.line((entry) => entry.msg.includes('for the last time')), { jobKey: 'once', attempt: 1 })
  t.equal(runs().length, 1)
})

t.test('jobs for an instance that is not running wait for it', async (t) => {
  const { worker, middleMan, until } = await setUp(t)
  const keyed = middleMan.worker<RecordingWorker>('recording_worker', 'later')
  t.match(await keyed.enqRecord({ arg: 'waits', jobKey: 'k' }), { created: true })
  await worker.enqRecord({ arg: 'now', jobKey: 'k' })
  t.match(await until((runs) => runs.length === 1), [{ arg: 'now' }])
  await middleMan.newWorker({ worker: 'recording_worker', workerKey: 'later' })
  t.match((await until((runs) => runs.length === 2))[1], { arg: 'waits' })
})

t.test('after a restart overdue jobs run at once, scheduled ones at their time, and running ones again', async (t) => {
  const { folder, state, worker, until, start, runs } = await setUp(t)
  const gate = join(folder, 'gate')
  writeFileSync(gate, '')
  await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'running' })
  await until((all) => all.length === 1)
  await worker.enqRecord({ arg: 'overdue', jobKey: 'overdue', scheduledAt: Date.now() + 50 })
  const due = Date.now() + 2_000
  await worker.enqRecord({ arg: 'scheduled', jobKey: 'scheduled', scheduledAt: due })
  await state.server.kill()
  writeFileSync(gate, 'open')
  state.server = await start()
  const all = await until((seen) => seen.length === 4)
  t.strictSame(
    all.map((run) => [run.jobKey, run.attempt]),
    [
      ['running', 1],
      ['running', 2],
      ['overdue', 1],
      ['scheduled', 1],
    ],
  )
  t.ok(all[3]!.at >= due)
  t.equal(runs().length, 4)
})

t.test('kill -9 takes the last attempt only from jobs that had started', async (t) => {
  const { folder, state, worker, until, start } = await setUp(t)
  const gate = join(folder, 'gate')
  writeFileSync(gate, '')
  // Turns that are short so far: jobs are sent ahead by the hundred.
  const warmUp = 500
  await Promise.all(Array.from({ length: warmUp }, (_, i) => worker.record({ arg: i })))
  await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'started', attempts: 1 })
  await until((runs) => runs.length === warmUp + 1)
  const others = Array.from({ length: 30 }, (_, i) => `waits ${i}`)
  await Promise.all(others.map((jobKey) => worker.enqRecord({ arg: 1, jobKey, attempts: 1 })))
  await state.server.kill()
  writeFileSync(gate, 'open')
  state.server = await start()
  const all = await until((runs) => runs.length === warmUp + 1 + others.length)
  t.strictSame(
    all
      .slice(warmUp + 1)
      .map((run) => run.jobKey)
      .sort(),
    others.sort(),
  )
  const again = await MiddleMan.connect({ client: state.server.address })
  const answer = await again.worker('recording_worker').enqRecord!({ arg: 1, jobKey: 'started' })
  t.match(answer, { created: true }, 'it is dead, and does not hold its key')
  // Not while the folder is removed.
  await until((runs) => runs.length === warmUp + 2 + others.length)
  await again.close()
})

t.test('a server without a durable queue refuses to enqueue, and keeps no journal', async (t) => {
  const { worker, data } = await setUp(t, { OFFSTAGE_PERSISTENT_DISABLED: 'true' })
  await t.rejects(worker.enqRecord({ arg: 1, jobKey: 'k' }), { code: 'STORE_DISABLED', message: /persistent_disabled/ })
  t.strictSame(readdirSync(data), ['offstage.pid'])
})
