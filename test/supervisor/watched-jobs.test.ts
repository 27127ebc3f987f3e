import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Job, JobHandle, type JobStatus, type KnownJob, MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Server } from '../support/server.js'
import type WatchedWorker from '../support/workers/watched_worker.js'

/** A server of its own, and a client. */
async function ownServer(t: Test, env: Record<string, string> = {}) {
  const folder = t.testdir({ log: '' })
  const data = join(folder, 'data')
  const start = (port = 0) => Server.start({ data, port, env: { OFFSTAGE_RETRY_DELAY: '0.01', ...env } })
  const state = { server: await start() }
  const middleMan = await MiddleMan.connect({ client: state.server.address, connectTimeout: 20_000 })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await state.server.kill()
  })
  return { start, state, middleMan, ...workerOf(middleMan, '') }
}

function workerOf(middleMan: MiddleMan, workerKey: string) {
  const worker = middleMan.worker<WatchedWorker>('watched_worker', workerKey)
  /** Lets the job go on, once it waits for that. */
  const go = async (jobKey: string) => {
    while (!(await worker.go({ arg: jobKey })));
  }
  return { worker, go }
}

const shared = await ownServer(t)
let instances = 0

/** A worker of its own, with a queue of its own, on the server that they share. */
async function setUp(t: Test) {
  const { state, middleMan } = shared
  const folder = t.testdir({ log: '' })
  const name = { worker: 'watched_worker', workerKey: `${++instances}` }
  await middleMan.newWorker(name)
  t.teardown(() => middleMan.worker(name.worker, name.workerKey).delete())
  return { ...{ folder, log: join(folder, 'log'), state, middleMan, name }, ...workerOf(middleMan, name.workerKey) }
}

/** Asks again and again: for states that nobody waits for otherwise. */
async function until(job: Job, state: JobStatus['state']): Promise<JobStatus> {
  for (;;) {
    const status = await job.status()
    if (status.state === state) return status
  }
}

async function started(log: string): Promise<void> {
  while (readFileSync(log, 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 5))
}

const LATER = { scheduledAt: Date.now() + 3_600_000 }

t.test('an enqueue resolves to a handle, which awaits, prints and travels as what it was before', async (t) => {
  const { worker, state, middleMan, name } = await setUp(t)
  const job = await worker.enqGive({ arg: 1, jobKey: 'k' })
  t.ok(job instanceof JobHandle)
  t.equal(await job, job, 'it is no promise')
  const { address: server } = state.server
  t.same(JSON.parse(JSON.stringify(job)), { id: job.id, created: true, replaced: false, server })
  t.equal(await job.result(), 1)
  t.equal(await middleMan.job<number>(job.id).result(), 1)
  t.equal(await middleMan.job(JSON.parse(JSON.stringify(job))).result(), 1)
  t.equal(await middleMan.job({ ...name, jobKey: 'k' }).result(), 1)
  const many = await middleMan.enqueueMany([{ ...name, method: 'give', arg: 2, jobKey: 'm' }])
  t.equal(await many[0]!.result(), 2)
})

t.test('the status follows a job from its waiting to its end', async (t) => {
  const { worker, state, go, name } = await setUp(t)
  const before = Date.now()
  const later = await worker.enqGive({ arg: 1, jobKey: 'later', priority: 3, attempts: 2, ...LATER })
  const facts = { id: later.id, server: state.server.address, ...name, method: 'give' }
  const waiting = await later.status()
  t.match(waiting, { ...facts, jobKey: 'later', state: 'scheduled', priority: 3, attempts: 0, maxAttempts: 2 })
  t.match(waiting, {
    scheduledAt: new Date(LATER.scheduledAt),
    enqueuedAt: Date,
    endedAt: undefined,
    failure: undefined,
  })
  const job = await worker.enqWalk({ arg: [{ percent: 50 }], jobKey: 'k' })
  const active = await until(job, 'active')
  t.match(active, { attempts: 1, endedAt: undefined })
  const { scheduledAt, enqueuedAt } = active as KnownJob
  t.same(scheduledAt, enqueuedAt, 'one without a time is due when it is enqueued')
  await go('k')
  const finished = await until(job, 'finished')
  t.match(finished, { attempts: 1, scheduledAt: undefined, endedAt: Date, progress: { percent: 50 } })
  t.ok((finished as { endedAt: Date }).endedAt.getTime() >= before)
  const dead = await worker.enqFail({ arg: 'no', jobKey: 'd', attempts: 1 })
  t.match(await until(dead, 'dead'), { attempts: 1, failure: { name: 'RangeError', message: 'no' }, endedAt: Date })
})

t.test('the result is what the method returned, whether it is asked for before or after', async (t) => {
  const { worker, go } = await setUp(t)
  const slow = await worker.enqWalk({ arg: [1, 2], jobKey: 'slow' })
  const results = [slow.result(), slow.result()]
  await go('slow')
  await go('slow')
  t.same(await Promise.all(results), [{ walked: 2 }, { walked: 2 }])
  t.same(await slow.result(), { walked: 2 })
  const nothing = await worker.enqNothing({ jobKey: 'nothing' })
  t.equal(await nothing.result(), undefined)
  const value = { list: [1, null, 'ü'], bytes: new Uint8Array([1, 2]), date: new Date(5) }
  t.same(await (await worker.enqGive({ arg: value, jobKey: 'value' })).result(), value)
  const byHand = await worker.enqFinishByHand({ jobKey: 'hand' })
  t.equal(await byHand.result(), undefined, 'one that was finished by hand has no value')
  const unsendable = await worker.enqUnsendable({ jobKey: 'unsendable' })
  t.equal(await unsendable.result(), undefined)
})

t.test('the result of a dead job rejects with its last failure', async (t) => {
  const { worker } = await setUp(t)
  const job = await worker.enqFail({ arg: 'told to', jobKey: 'k', attempts: 2 })
  await t.rejects(job.result(), {
    name: 'RemoteWorkerError',
    code: 'WORKER_ERROR',
    executed: 'yes',
    message: /^job \d+ \(watched_worker\[\d+\]\.fail with the key "k"\) is dead after 2 attempts: told to$/,
    remote: { name: 'RangeError', message: 'told to', stack: /watched_worker/ },
    details: { jobId: job.id, attempts: 2 },
  })
})

t.test(
  'the result of a job that is removed rejects with Cancelled, of one that nobody knows with NO_JOB',
  async (t) => {
    const { worker, middleMan, name } = await setUp(t)
    const job = await worker.enqGive({ arg: 1, jobKey: 'k', ...LATER })
    const result = job.result()
    t.match(await job.status(), { state: 'scheduled' })
    t.equal(await worker.deqGive({ jobKey: 'k' }), true)
    await t.rejects(result, { name: 'Cancelled', executed: 'no', message: /was removed/ })
    await t.rejects(job.result(), { name: 'RemoteWorkerError', code: 'NO_JOB', executed: 'no' })
    t.same(await job.status(), { state: 'unknown' })
    const byKey = middleMan.job({ ...name, jobKey: 'k' })
    t.same(await byKey.status(), { state: 'unknown' })
    await t.rejects(byKey.result(), { code: 'NO_JOB' })
    t.equal(await byKey.cancel(), 'unknown')
    t.equal(await job.cancel(), 'unknown')
  },
)

t.test('waiting for a result ends with its timeout or signal, and the job goes on', async (t) => {
  const { worker, go } = await setUp(t)
  const job = await worker.enqWalk({ arg: [1], jobKey: 'k' })
  await t.rejects(job.result({ timeout: 50 }), { name: 'DeadlineExceeded', message: /result of job \d+ within 50 ms/ })
  const controller = new AbortController()
  const result = job.result({ signal: controller.signal })
  t.match(await until(job, 'active'), { attempts: 1 })
  controller.abort()
  await t.rejects(result, { name: 'Cancelled' })
  await go('k')
  t.same(await job.result(), { walked: 1 })
})

t.test('cancel removes a job that waits', async (t) => {
  const { worker } = await setUp(t)
  const job = await worker.enqGive({ arg: 1, jobKey: 'k', ...LATER })
  const result = t.rejects(job.result(), { name: 'Cancelled' })
  t.equal(await job.cancel(), 'removed')
  await result
  t.equal((await worker.enqGive({ arg: 1, jobKey: 'k' })).created, true)
})

t.test('cancel stops a job that runs, which is not tried again', async (t) => {
  const { worker, log, state, name } = await setUp(t)
  const job = await worker.enqUntilAborted({ arg: log, jobKey: 'k' })
  const result = t.rejects(job.result(), { name: 'Cancelled', executed: 'maybe', message: /was cancelled/ })
  await started(log)
  t.equal(await job.cancel(), 'stopped')
  await result
  t.same(await job.status(), { state: 'unknown' })
  t.equal(readFileSync(log, 'utf8'), 'started\n', 'it ran once')
  t.match(
    await state.server.line(
      ({ msg, workerKey }) => msg.includes('cancelled while it ran') && workerKey === name.workerKey,
    ),
    { jobId: job.id, jobKey: 'k' },
  )
})

t.test('a job that finishes although it was cancelled has finished', async (t) => {
  const { worker } = await setUp(t)
  const job = await worker.enqReturnsAnyway({ jobKey: 'k' })
  for await (const value of job.progress()) if (value === 'running') break
  t.equal(await job.cancel(), 'finished')
  t.equal(await job.result(), 'anyway')
  t.equal(await job.cancel(), 'finished')
})

t.test('a cancelled job that ignores its signal costs its host, and does not come back with it', async (t) => {
  const { worker, log, state, name } = await setUp(t)
  const job = await worker.enqNeverEnds({ arg: log, jobKey: 'k' })
  await started(log)
  t.equal(await job.cancel(), 'stopped')
  await state.server.line((line) => line.event === 'restarted' && line.workerKey === name.workerKey)
  t.equal(await (await worker.enqGive({ arg: 1, jobKey: 'k' })).result(), 1, 'the key is free')
  t.equal(readFileSync(log, 'utf8'), 'started\n')
})

t.test('progress reaches whoever watches, the latest first, and ends with the job', async (t) => {
  const { worker, go, middleMan, name } = await setUp(t)
  const steps = [{ done: 1 }, 'two', null, [4]]
  const job = await worker.enqWalk({ arg: steps, jobKey: 'k' })
  const seen: unknown[] = []
  for await (const value of job.progress()) {
    seen.push(value)
    await go('k')
  }
  t.same(seen, steps)
  t.match(await job.status(), { state: 'finished', progress: [4] })
  const late: unknown[] = []
  for await (const value of middleMan.job({ ...name, jobKey: 'k' }).progress()) late.push(value)
  t.same(late, [[4]], 'who comes late hears the last')
  const dead = await worker.enqFail({ arg: 'no', jobKey: 'd', attempts: 1 })
  for await (const _ of dead.progress()) t.fail('it told nothing')
  for await (const _ of middleMan.job({ ...name, jobKey: '?' }).progress()) t.fail('there is none')
})

t.test('watching goes on beyond the time that every call has, and ends with its own', async (t) => {
  const { state, worker, go } = await setUp(t)
  const hasty = await MiddleMan.connect({ client: state.server.address, timeout: 40 })
  t.teardown(() => hasty.close({ timeout: 0 }))
  const job = await worker.enqWalk({ arg: ['a', 'b'], jobKey: 'k' })
  const watched = hasty.job(job.id).progress()
  t.same(await watched.next(), { value: 'a', done: false })
  const next = watched.next()
  await new Promise((resolve) => setTimeout(resolve, 150))
  await go('k')
  t.same(await next, { value: 'b', done: false })
  const other = hasty.job(job.id).progress({ timeout: 50 })
  t.same(await other.next(), { value: 'b', done: false })
  await t.rejects(other.next(), { name: 'DeadlineExceeded' })
  await go('k')
})

t.test('a method that gives its thread no break, and one in the pool, are heard while they run', async (t) => {
  const { worker, folder } = await setUp(t)
  for (const enqueue of [worker.enqBlock, worker.enqInPool]) {
    const gate = join(folder, `gate ${Math.random()}`)
    const job = await enqueue({ arg: gate, jobKey: 'k' })
    const seen: unknown[] = []
    for await (const value of job.progress()) {
      seen.push(value)
      if (seen.length === 3) writeFileSync(gate, '')
    }
    t.ok(seen.length >= 3, `${seen.length} values`)
    t.equal(await job.result(), undefined)
  }
})

t.test('a progress that is too long fails in the worker', async (t) => {
  const { worker } = await setUp(t)
  const job = await worker.enqTooLong({ jobKey: 'k', attempts: 1 })
  await t.rejects(job.result(), {
    name: 'RemoteWorkerError',
    remote: { name: 'InvalidArgument', message: /at most 65536/ },
  })
  await t.rejects(worker.tooLong({}), { name: 'RemoteWorkerError', remote: { name: 'InvalidArgument' } })
  await worker.walk({ arg: [], jobKey: 'call' })
})

t.test('who waits costs no credit: thousands of results are waited for, and calls go on', async (t) => {
  const { worker, middleMan, go } = await ownServer(t, { OFFSTAGE_MAX_CALLS: '8' })
  const first = await worker.enqWalk({ arg: [1], jobKey: 'first' })
  const jobs = await middleMan.enqueueMany(
    Array.from({ length: 2000 }, (_, i) => {
      return { worker: 'watched_worker', method: 'give', arg: i, jobKey: `k${i}`, ...LATER }
    }),
  )
  const waiting = [first, ...jobs].map((job) => job.result())
  t.equal(await worker.give({ arg: 'call' }), 'call')
  await go('first')
  t.same(await waiting[0], { walked: 1 })
  const cancelled = Promise.allSettled(waiting.slice(1))
  t.equal(await jobs[7]!.cancel(), 'removed')
  await Promise.all(jobs.map((job) => job.cancel()))
  t.ok((await cancelled).every(({ status }) => status === 'rejected'))
  t.equal(await worker.give({ arg: 'call' }), 'call')
})

t.test('results survive kill -9, and who waits for one hears it from the next server', async (t) => {
  const { worker, state, start } = await ownServer(t)
  const done = await worker.enqGive({ arg: { big: 'x'.repeat(100_000) }, jobKey: 'done' })
  await done.result()
  const later = await worker.enqGive({ arg: 'later', jobKey: 'later', scheduledAt: Date.now() + 1_000 })
  const result = later.result()
  const { port } = state.server
  await state.server.kill()
  state.server = await start(port)
  t.equal(await result, 'later')
  t.match(await done.result(), { big: 'x'.repeat(100_000) })
  t.match(await done.status(), { state: 'finished', attempts: 1 })
})

t.test('who waits for a job that expired before it was started is not told that it ran', async (t) => {
  const { worker } = await setUp(t)
  await worker.pauseQueue()
  const expiresAt = Date.now() + 50
  const job = await worker.enqGive({ arg: 1, jobKey: 'k', expiresAt })
  while (Date.now() < expiresAt) await job.status()
  await worker.resumeQueue()
  await t.rejects(job.result(), { code: 'WORKER_ERROR', executed: 'maybe', remote: { name: 'JobExpired' } })
})

t.test('progress that is told after a restart is heard, also when it is the same', async (t) => {
  const { worker, state, start, go } = await ownServer(t)
  const job = await worker.enqWalk({ arg: ['half'], jobKey: 'k' })
  const watched = job.progress()
  t.match(await watched.next(), { value: 'half' })
  const { port } = state.server
  await state.server.kill()
  state.server = await start(port)
  t.match(await watched.next(), { value: 'half', done: false }, 'of the second attempt')
  await go('k')
  t.match(await watched.next(), { done: true })
  t.same(await job.result(), { walked: 1 })
})

t.test('who waits hears the results of many jobs that finish together, although few can be kept', async (t) => {
  const { worker } = await ownServer(t, { OFFSTAGE_JOB_RESULTS_ENTRIES: '1' })
  const value = new Uint8Array(900_000)
  await worker.pauseQueue()
  const jobs = []
  for (let i = 0; i < 60; i++) jobs.push(await worker.enqGive({ arg: value, jobKey: `${i}` }))
  const results = Promise.all(jobs.map(async (job) => ((await job.result()) as Uint8Array).length))
  await worker.resumeQueue()
  t.same(await results, Array(60).fill(value.length))
})

t.test('who waits hears the result also where none is kept', async (t) => {
  const { worker, go } = await ownServer(t, { OFFSTAGE_JOB_RESULTS_KEEP: '0' })
  const job = await worker.enqWalk({ arg: [1, 2], jobKey: 'k' })
  const watched = job.progress()
  const result = job.result()
  t.match(await watched.next(), { value: 1 })
  await go('k')
  t.match(await watched.next(), { value: 2 })
  await go('k')
  t.same(await result, { walked: 2 })
  t.match(await watched.next(), { done: true })
  await t.rejects(job.result(), { code: 'NO_JOB' })
})

t.test('of many jobs those are stored that can be, and each has its outcome', async (t) => {
  const { middleMan, name } = await setUp(t)
  const job = (jobKey: string, more: object = {}) => ({ ...name, method: 'give', arg: jobKey, jobKey, ...more })
  const outcomes = await middleMan.enqueueManySettled([
    job('a'),
    job('b', { method: 'gvie' }),
    job('c', { worker: 'nobody' }),
    job('d', { attempts: 2_000 }),
    job('a'),
    job('e'),
  ])
  t.match(outcomes, [
    { status: 'fulfilled', value: { created: true } },
    { status: 'rejected', reason: { name: 'RemoteWorkerError', code: 'NO_METHOD', executed: 'no' } },
    { status: 'rejected', reason: { code: 'NO_WORKER' } },
    { status: 'rejected', reason: { name: 'InvalidArgument' } },
    { status: 'fulfilled', value: { created: false } },
    { status: 'fulfilled', value: { created: true } },
  ])
  const results = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.result()] : []))
  t.same(await Promise.all(results), ['a', 'a', 'e'])
})

t.test('rules say who may watch and cancel which jobs', async (t) => {
  const folder = t.testdir({
    'offstage.yml': [
      'access:',
      '  - { allow: "*", verbs: [enqueue] }',
      '  - { deny: "*", verbs: [enqueue], methods: [fail] }',
      '  - { allow: "*", verbs: [job, job_result], methods: [give] }',
    ].join('\n'),
  })
  const server = await Server.start({ data: join(folder, 'data'), cwd: folder })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.kill()
  })
  const worker = middleMan.worker<WatchedWorker>('watched_worker')
  const mine = await worker.enqGive({ arg: 1, jobKey: 'k' })
  t.equal(await mine.result(), 1)
  t.match(await mine.status(), { state: 'finished' })
  await t.rejects(mine.cancel(), { name: 'AccessDenied', message: 'anonymous may not cancel_job watched_worker.give' })
  const mixed = ['give', 'fail'].map((method) => ({ worker: 'watched_worker', method, jobKey: method }))
  t.match(await middleMan.enqueueManySettled(mixed), [
    { status: 'fulfilled' },
    { status: 'rejected', reason: { name: 'AccessDenied' } },
  ])
  const other = await worker.enqNothing({ jobKey: 'k' })
  for (const asked of [() => other.status(), () => other.result(), () => other.cancel()] as (() => Promise<void>)[]) {
    await t.rejects(asked, { name: 'AccessDenied' })
  }
  await t.rejects(middleMan.job({ worker: 'watched_worker', jobKey: 'k' }).status(), { name: 'AccessDenied' })
})

t.test('job takes an id or a key, and says what is wrong with anything else', async (t) => {
  const { middleMan, state } = await setUp(t)
  const { address: server } = state.server
  for (const id of [0, -1, 1.5, Number.NaN]) t.throws(() => middleMan.job(id), { name: 'InvalidArgument' })
  t.throws(() => middleMan.job(1, { server: '1.2.3.4:5' }), { name: 'InvalidArgument', message: /1\.2\.3\.4:5/ })
  t.throws(() => middleMan.job({ worker: 'w' } as never), { name: 'InvalidArgument', message: /jobKey/ })
  t.throws(() => middleMan.job({ jobKey: 'w' } as never), { name: 'InvalidArgument', message: /worker/ })
  t.same(await middleMan.job(999_999, { server }).status(), { state: 'unknown' })
  await t.rejects(middleMan.job(1).status({ time: 1 } as never), { name: 'InvalidArgument', message: /"time"/ })
})

t.test('a server without a queue has no jobs', async (t) => {
  const { middleMan } = await ownServer(t, { OFFSTAGE_PERSISTENT_DISABLED: 'true' })
  await t.rejects(middleMan.job(1).status(), { code: 'STORE_DISABLED' })
})

t.test('a client that waits and leaves, and a server that stops, leave nothing behind', async (t) => {
  const { worker, state } = await ownServer(t)
  const job = await worker.enqGive({ arg: 1, jobKey: 'k', ...LATER })
  const leaving = await MiddleMan.connect({ client: state.server.address })
  const lost = t.rejects(leaving.job(job.id).result())
  await leaving.close({ timeout: 20 })
  await lost
  const waiting = t.rejects(job.result({ timeout: 20_000 }))
  t.match(await job.status(), { state: 'scheduled' })
  const stopped = state.server.stop()
  t.equal(await stopped, 0)
  await waiting
})
