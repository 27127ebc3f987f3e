/** Cases 20, 21 and 39 of docs/RELIABILITY.md: two servers, a job that kills its server, and clocks that jump. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../../../contract/job-store.js'
import { FakeClock, noFaketime } from '../../../support/faketime.js'
import { readRecord } from '../../../support/record.js'
import { Server } from '../../../support/server.js'
import type RecordingWorker from '../../../support/workers/recording_worker.js'
import { FakeFs } from '../fake-fs.js'
import { allJobs, FAILURE, openFake, QUEUE } from '../journals.js'

const DAY = 24 * 3_600_000

/** Waits until the workers wrote what satisfies the test, while the server runs. */
async function until(server: Server, satisfied: () => boolean): Promise<void> {
  while (!satisfied()) {
    if (!server.running) throw new Error(`the supervisor ended: ${server.errors}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

t.test('case 20: a second server on the same folder exits at once with 75, and the first goes on', async (t) => {
  const folder = t.testdir({ record: '' })
  const record = join(folder, 'record')
  const options = { data: join(folder, 'data'), env: { RECORD: record } }
  const first = await Server.start(options)
  t.teardown(() => first.kill())
  const middleMan = await MiddleMan.connect({ client: first.address })
  const worker = middleMan.worker<RecordingWorker>('recording_worker')
  await worker.enqRecord({ arg: null, jobKey: 'before' })
  const second = Server.spawn(options)
  t.teardown(() => second.kill())
  t.equal(await second.ended(), 75)
  t.match(second.errors, new RegExp(`in use by process ${first.child.pid}`))
  t.notOk(
    second.lines.some((line) => 'address' in line),
    'it never listened',
  )
  await worker.enqRecord({ arg: null, jobKey: 'after' })
  await until(first, () => readRecord(record).length === 2)
  await middleMan.close()
  t.equal(await first.stop(), 0)
  const third = await Server.start(options)
  t.teardown(() => third.kill())
  t.equal(await third.stop(), 0)
  t.same(
    readRecord(record).map(({ jobKey, attempt }) => [jobKey, attempt]),
    [
      ['before', 1],
      ['after', 1],
    ],
  )
})

t.test(
  'case 21: a job that kills the server with SIGKILL is dead after its attempts, and takes nobody along',
  async (t) => {
    const folder = t.testdir({ record: '' })
    const record = join(folder, 'record')
    const options = { data: join(folder, 'data'), env: { RECORD: record } }
    let server = await Server.start(options)
    t.teardown(() => server.kill())
    const others = Array.from({ length: 20 }, (_, i) => `other ${i}`)
    const middleMan = await MiddleMan.connect({ client: server.address })
    const enqueued = middleMan.enqueueMany([
      { worker: 'recording_worker', method: 'killSupervisor', jobKey: 'poison', priority: 1, attempts: 3 },
      // Half of them may be started only once: what is claimed with the poison must not be among them.
      ...others.map((jobKey, i) => ({ worker: 'recording_worker', method: 'record', jobKey, attempts: i % 2 ? 5 : 1 })),
    ])
    // The server may die before it has answered.
    await Promise.allSettled([enqueued, server.ended()])
    await middleMan.close({ timeout: 0 })
    let deaths = 1
    for (; ; deaths++) {
      server = Server.spawn(options)
      const ran = () => new Set(readRecord(record).map(({ jobKey }) => jobKey)).size === others.length + 1
      const survived = await until(server, ran).then(
        () => true,
        () => false,
      )
      if (survived) break
      t.equal(await server.ended(), null)
      t.equal(server.child.signalCode, 'SIGKILL')
    }
    t.equal(deaths, 3)
    t.equal(await server.stop(), 0)
    const runs = readRecord(record)
    t.same(
      runs.filter(({ jobKey }) => jobKey === 'poison').map(({ attempt }) => attempt),
      [1, 2, 3],
    )
    t.equal(runs.length, 3 + others.length, 'each other one ran once')
    const store = await openJournal({ dir: options.data })
    const left = await allJobs(store)
    await store.close()
    t.match(left, [
      {
        jobKey: 'poison',
        state: 'dead',
        attempts: 3,
        failure: { message: /the supervisor stopped while attempt 3 ran/ },
      },
    ])
    t.equal(left.length, 1)
  },
)

t.test('case 39: a clock that jumps makes nothing run early, and the order stays', async (t) => {
  const time = { now: 1_750_000_000_000 }
  const start = time.now
  const system = new FakeFs()
  let store = await openFake(system, { clock: () => time.now })
  await store.enqueue([newJob('held', { priority: 9 })])
  const [held] = await store.claim(QUEUE, 1)
  await store.enqueue([
    newJob('in an hour', { runAt: start + 3_600_000 }),
    newJob('in two days', { runAt: start + 2 * DAY, priority: 5 }),
    newJob('in four days', { runAt: start + 4 * DAY, priority: 7 }),
    ...Array.from({ length: 50 }, (_, i) => newJob(`later ${i}`, { runAt: start + 3_600_000 + (50 - i) })),
  ])
  time.now -= 3 * DAY
  t.equal(store.sweep(), start + 3_600_000)
  t.same(await store.claim(QUEUE, 100), [], 'nothing is early')
  store = await openFake(system.copy(), { clock: () => time.now })
  store.sweep()
  t.match(await store.claim(QUEUE, 100), [{ jobKey: 'held', attempt: 2 }], 'nor after a restart')
  t.same(await store.finish([held!]), [false], 'the attempt from before the restart is stale')
  t.same(await store.claim(QUEUE, 100), [])
  time.now = start + 3 * DAY
  t.equal(store.sweep(), start + 4 * DAY)
  const [suspect] = await store.inspect({ jobKey: 'held' })
  t.match(suspect, { state: 'active', attempts: 2 }, 'no time takes a job from who holds it')
  t.match(await store.fail({ id: suspect!.id, attempt: 2 }, FAILURE), { state: 'retry' })
  const claimed = await store.claim(QUEUE, 100)
  t.same(
    claimed.map(({ jobKey }) => jobKey),
    ['in two days', 'in an hour', ...Array.from({ length: 50 }, (_, i) => `later ${i}`)],
    'by priority, then in the order in which they were enqueued',
  )
  t.same(await store.finish([{ id: suspect!.id, attempt: 2 }]), [false], 'its attempt was over')
})

t.test('case 39: a server whose clock jumps 3 days back and 3 days ahead', { skip: noFaketime }, async (t) => {
  const folder = t.testdir({ record: '', gate: '' })
  const record = join(folder, 'record')
  const gate = join(folder, 'gate')
  const clock = new FakeClock(join(folder, 'clock'))
  const server = await Server.start({ data: join(folder, 'data'), env: { RECORD: record, ...clock.env } })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  const worker = middleMan.worker<RecordingWorker>('recording_worker')
  const ran = () => readRecord(record).map(({ jobKey, attempt }) => `${jobKey} ${attempt}`)
  await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'runs meanwhile' })
  await until(server, () => ran().length === 1)
  const now = Date.now()
  await worker.enqRecord({ arg: null, jobKey: 'in an hour', scheduledAt: now + 3_600_000 })
  await worker.enqRecord({ arg: null, jobKey: 'in two days', scheduledAt: now + 2 * DAY, priority: 1 })
  await worker.enqRecord({ arg: null, jobKey: 'in ten days', scheduledAt: now + 10 * DAY, priority: 2 })

  clock.move(-3)
  await worker.enqRecord({ arg: null, jobKey: 'at once' })
  writeFileSync(gate, 'open')
  await until(server, () => ran().length === 2)
  t.same(ran(), ['runs meanwhile 1', 'at once 1'])
  t.ok(readRecord(record)[1]!.at < now - 2 * DAY, 'its clock had moved')
  await worker.enqRecord({ arg: null, jobKey: 'soon', scheduledAt: now - 3 * DAY + 1_500 })
  await until(server, () => ran().length === 3)
  t.ok(readRecord(record)[2]!.at >= now - 3 * DAY + 1_500, 'not before its time by the clock that counts')

  clock.move(3)
  await until(server, () => ran().length === 5)
  t.same(ran().slice(2), ['soon 1', 'in two days 1', 'in an hour 1'])
  t.equal(readFileSync(record, 'utf8').includes('in ten days'), false)
  await middleMan.close()
  t.equal(await server.stop(), 0)
})

t.test('case 39: a server that is stopped with SIGSTOP for a while goes on where it was', async (t) => {
  const folder = t.testdir({ record: '', gate: '' })
  const record = join(folder, 'record')
  const gate = join(folder, 'gate')
  const server = await Server.start({ data: join(folder, 'data'), env: { RECORD: record } })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  const worker = middleMan.worker<RecordingWorker>('recording_worker')
  const due = Date.now() + 1_000
  await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'runs meanwhile' })
  for (let i = 0; i < 20; i++) await worker.enqRecord({ arg: null, jobKey: `due ${i}`, scheduledAt: due })
  await until(server, () => readRecord(record).length === 1)
  server.child.kill('SIGSTOP')
  const enqueued = worker.enqRecord({ arg: null, jobKey: 'asked while it was stopped', priority: 1 })
  writeFileSync(gate, 'open')
  // Long enough that every timer and the job are overdue. No behaviour depends on how long.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  t.equal(readRecord(record).length, 1)
  server.child.kill('SIGCONT')
  t.match(await enqueued, { created: true })
  await until(server, () => readRecord(record).length === 22)
  await middleMan.close()
  t.equal(await server.stop(), 0)
  const runs = readRecord(record)
  t.equal(new Set(runs.map(({ jobKey }) => jobKey)).size, 22)
  t.ok(
    runs.every(({ attempt }) => attempt === 1),
    'each once',
  )
  t.ok(
    runs.slice(1).every(({ at, jobKey }) => !jobKey.startsWith('due') || at >= due),
    'none early',
  )
})
