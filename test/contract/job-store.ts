/** What every job store does. Each implementation runs this suite against itself. */

import t from 'tap'
import { StoreError } from '#offstage/errors.js'
import type { KeepLimits } from '#offstage/persistence/queue/kept-jobs.js'
import type { ClaimedJob, JobFailure, JobStore, NewJob, QueueName } from '#offstage/persistence/store.js'

/** What the suite needs of a test besides its assertions. */
interface Test {
  teardown(end: () => unknown): void
}

interface StoreTools {
  clock: () => number
  random: () => number
  keep: KeepLimits
}

export type OpenStore = (t: Test, tools: StoreTools) => Promise<JobStore>

const A: QueueName = { worker: 'mailer', workerKey: '' }
const B: QueueName = { worker: 'mailer', workerKey: 'second' }
const FAILURE: JobFailure = { name: 'TypeError', message: 'x is not a function', stack: 'TypeError: x\n    at y' }
const KEEP: KeepLimits = { ms: 60_000, entries: 1000, bytes: 1_000_000 }
const START = 1_750_000_000_000

export function newJob(jobKey: string, more: Partial<NewJob> = {}): NewJob {
  return {
    ...A,
    method: 'send',
    jobKey,
    payload: new Uint8Array(),
    runAt: 0,
    priority: 0,
    maxAttempts: 5,
    atMostOnce: false,
    ...more,
  }
}

function keysOf(jobs: readonly { jobKey: string }[]): string[] {
  return jobs.map((job) => job.jobKey)
}

export function jobStoreContract(open: OpenStore): void {
  async function setup(t: Test, keep: KeepLimits = KEEP) {
    const time = { now: START }
    const store = await open(t, { clock: () => time.now, random: () => 0.5, keep })
    t.teardown(() => store.close())
    const due: string[] = []
    store.on('due', ({ worker, workerKey }) => due.push(`${worker}/${workerKey}`))
    const claimOne = async (queue = A): Promise<ClaimedJob> => {
      const [job] = await store.claim(queue, 1)
      if (job === undefined) throw new Error('nothing to claim')
      return job
    }
    return { store, time, due, claimOne }
  }

  t.test('an enqueued job comes back from a claim as it went in', async (t) => {
    const { store, claimOne } = await setup(t)
    const job = newJob('käse 🧀', {
      worker: 'wörker',
      workerKey: 'schlüssel',
      method: 'größe',
      payload: Uint8Array.from({ length: 300 }, (_, i) => i),
      runAt: START - 5,
      priority: -3,
      maxAttempts: 2,
      expiresAt: START + 5000,
      timeout: 0xffff_ffff,
    })
    const [added] = await store.enqueue([job])
    t.equal(added?.created, true)
    const claimed = await claimOne(job)
    const expected = { ...job, id: added!.id, attempt: 1, enqueuedAt: START, suspect: false }
    t.same({ ...claimed, payload: [...claimed.payload] }, { ...expected, payload: [...job.payload] })
  })

  t.test('a second enqueue of an unfinished key creates nothing and names the first', async (t) => {
    const { store, claimOne } = await setup(t)
    const results = await store.enqueue([newJob('k'), newJob('k'), newJob('k', B)])
    t.same(
      results.map((r) => r.created),
      [true, false, true],
      'unique per worker instance, also within one call',
    )
    t.equal(results[1]?.id, results[0]?.id)
    const job = await claimOne()
    t.same(await store.enqueue([newJob('k')]), [{ id: job.id, created: false }], 'while it runs')
    t.same(await store.finish([job]), [true])
    const [again] = await store.enqueue([newJob('k')])
    t.equal(again?.created, true, 'once it is finished')
    t.ok(again!.id > job.id, 'ids grow')
  })

  t.test('enqueues of one key that are in flight together agree on one job', async (t) => {
    const { store } = await setup(t)
    const results = (await Promise.all(Array.from({ length: 20 }, () => store.enqueue([newJob('k')])))).flat()
    t.equal(results.filter((r) => r.created).length, 1)
    t.equal(new Set(results.map((r) => r.id)).size, 1)
    t.same(store.counts(), { scheduled: 0, ready: 1, active: 0, dead: 0 })
  })

  t.test('claims go by priority, then by age, and respect the limit', async (t) => {
    const { store } = await setup(t)
    await store.enqueue([
      newJob('1'),
      newJob('2', { priority: 5 }),
      newJob('3', { priority: -1 }),
      newJob('4'),
      newJob('5', { priority: 5 }),
      newJob('other', B),
    ])
    t.same(keysOf(await store.claim(A, 3)), ['2', '5', '1'])
    t.same(keysOf(await store.claim(A, 100)), ['4', '3'])
    t.same(await store.claim(A, 100), [])
    t.same(keysOf(await store.claim(B, 100)), ['other'])
    t.same(await store.claim({ worker: 'nobody', workerKey: '' }, 1), [])
  })

  t.test('a scheduled job waits for its time and announces it', async (t) => {
    const { store, time, due } = await setup(t)
    await store.enqueue([newJob('later', { runAt: START + 1000 }), newJob('latest', { runAt: START + 9000, ...B })])
    t.same(store.counts(A), { scheduled: 1, ready: 0, active: 0, dead: 0 })
    t.equal(store.nextDue(), START + 1000)
    t.same(await store.claim(A, 1), [])
    time.now = START + 999
    t.equal(store.sweep(), START + 1000)
    t.same(due, [])
    time.now = START + 1000
    t.equal(store.sweep(), START + 9000)
    await Promise.resolve()
    t.same(due, ['mailer/'])
    t.same(store.dueQueues(), [A])
    t.same(keysOf(await store.claim(A, 1)), ['later'])
    time.now = START + 9000
    t.same(keysOf(await store.claim(B, 1)), ['latest'], 'a claim looks at the clock itself')
    t.equal(store.nextDue(), undefined)
  })

  t.test('tells that a queue is due when it gains a job', async (t) => {
    const { store, due } = await setup(t)
    const told = new Promise<void>((resolve) => store.on('due', () => resolve()))
    await store.enqueue([newJob('1'), newJob('2')])
    await told
    t.same(due, ['mailer/'])
  })

  t.test('a failed job is retried with growing delays, then kept as dead', async (t) => {
    const { store, time, claimOne } = await setup(t)
    const id = (await store.enqueue([newJob('k', { maxAttempts: 3 })]))[0]!.id
    t.same(await store.fail(await claimOne(), FAILURE), { state: 'retry', runAt: START + 1000 })
    t.match(await store.inspect({}), [{ id, state: 'scheduled', attempts: 1, failure: FAILURE }])
    time.now += 1000
    const second = await claimOne()
    t.equal(second.attempt, 2)
    t.equal(second.suspect, false)
    t.same(await store.fail(second, FAILURE), { state: 'retry', runAt: time.now + 2000 })
    time.now += 2000
    t.same(await store.fail(await claimOne(), FAILURE), { state: 'dead' })
    t.match(await store.inspect({ state: 'dead' }), [{ id, attempts: 3, failure: FAILURE }])
    t.same(store.counts(), { scheduled: 0, ready: 0, active: 0, dead: 1 })
    t.match(await store.enqueue([newJob('k')]), [{ created: true }], 'a dead job does not hold its key')
    t.equal(await store.remove(A, 'k'), true)
    t.equal(await store.remove(A, 'k'), false, 'nor is it what a removal finds')
  })

  t.test('only the current attempt may settle a job', async (t) => {
    const { store, time, claimOne } = await setup(t)
    await store.enqueue([newJob('k')])
    const first = await claimOne()
    await store.fail(first, FAILURE)
    time.now += 1000
    const second = await claimOne()
    t.same(await store.finish([first]), [false])
    t.same(await store.fail(first, FAILURE), { state: 'stale' })
    t.equal(await store.release(first), false)
    t.same(await store.finish([{ id: 999_999, attempt: 1 }, second, second]), [false, true, false])
    t.same(await store.finish([second]), [false])
    t.same(store.counts(), { scheduled: 0, ready: 0, active: 0, dead: 0 })
  })

  t.test('a released job comes back, and its attempt counts unless told otherwise', async (t) => {
    const { store, time, claimOne } = await setup(t)
    await store.enqueue([newJob('k', { maxAttempts: 2 })])
    t.equal(await store.release(await claimOne(), { counted: false }), true)
    const first = await claimOne()
    t.equal(first.attempt, 1)
    t.equal(await store.release(first, { runAt: START + 50 }), true)
    t.same(await store.claim(A, 1), [])
    time.now += 50
    const last = await claimOne()
    t.equal(last.attempt, 2)
    t.equal(await store.release(last), true)
    t.match(await store.inspect({}), [{ state: 'dead', attempts: 2, failure: { name: 'AttemptsUsedUp' } }])
  })

  t.test('an attempt that ended with its host makes the job a suspect, claimed alone', async (t) => {
    const { store, time, claimOne } = await setup(t)
    await store.enqueue([newJob('poison'), newJob('innocent')])
    await store.fail(await claimOne(), FAILURE, { crashed: true })
    time.now += 1000
    const claimed = await store.claim(A, 10)
    t.match(claimed, [{ jobKey: 'poison', suspect: true }])
    t.equal(claimed.length, 1)
    t.same(await store.claim(A, 10), [])
    const told = new Promise<void>((resolve) => store.on('due', () => resolve()))
    await store.fail(claimed[0]!, FAILURE)
    await told
    t.match(await store.claim(A, 10), [{ jobKey: 'innocent', suspect: false }])
  })

  t.test('a job that may start once is dead after a failure or a crash', async (t) => {
    const { store, claimOne } = await setup(t)
    await store.enqueue([newJob('1', { atMostOnce: true }), newJob('2', { atMostOnce: true })])
    t.same(await store.fail(await claimOne(), FAILURE), { state: 'dead' })
    t.same(await store.fail(await claimOne(), FAILURE, { crashed: true }), { state: 'dead' })
    const dead = await store.inspect({ state: 'dead' })
    t.equal(dead[0]?.failure?.message, FAILURE.message)
    t.match(dead[1]?.failure?.message, /^outcome unknown/)
  })

  t.test('a job that may start once can be claimed again when it never started', async (t) => {
    const { store, claimOne } = await setup(t)
    await store.enqueue([newJob('k', { atMostOnce: true })])
    t.equal(await store.release(await claimOne(), { counted: false }), true)
    t.match(await claimOne(), { attempt: 1, atMostOnce: true })
  })

  t.test('removes a waiting job, not a running one', async (t) => {
    const { store, claimOne } = await setup(t)
    await store.enqueue([newJob('k'), newJob('later', { runAt: START + 1 })])
    t.equal(await store.remove(A, 'unknown'), false)
    t.equal(await store.remove(B, 'k'), false)
    t.equal(await store.remove(A, 'later'), true)
    const job = await claimOne()
    t.equal(await store.remove(A, 'k'), false)
    await store.release(job)
    t.equal(await store.remove(A, 'k'), true)
    t.same(await store.claim(A, 1), [])
    t.same(store.counts(), { scheduled: 0, ready: 0, active: 0, dead: 0 })
  })

  t.test('a failed attempt can say when the next is, or that there is none', async (t) => {
    const { store, time, claimOne } = await setup(t)
    await store.enqueue([newJob('k')])
    t.same(await store.fail(await claimOne(), FAILURE, { retryIn: 7 }), { state: 'retry', runAt: START + 7 })
    time.now += 7
    t.same(await store.fail(await claimOne(), FAILURE, { retryIn: 0 }), { state: 'retry', runAt: START + 7 })
    t.same(await store.fail(await claimOne(), FAILURE, { retryIn: false }), { state: 'dead' })
    t.match(await store.inspect({}), [{ state: 'dead', attempts: 3, runAt: START + 7 }], 'and when it died')
  })

  t.test('a waiting job can be moved to another time, not a running one', async (t) => {
    const { store, time, due, claimOne } = await setup(t)
    const { id } = (await store.enqueue([newJob('k', { runAt: START + 1000 })]))[0]!
    t.equal(await store.reschedule(id, START + 5000), true)
    t.equal(store.nextDue(), START + 5000)
    t.equal(await store.reschedule(999_999, START), false)
    t.equal(await store.reschedule(id, START - 1), true)
    await Promise.resolve()
    t.same(due, ['mailer/'])
    t.equal(await store.reschedule(id, START + 10), true, 'also one that is due')
    t.same(await store.claim(A, 1), [])
    time.now += 10
    const job = await claimOne()
    t.match(job, { id, attempt: 1 })
    t.equal(await store.reschedule(id, START), false)
    await t.rejects(store.reschedule(id, Number.NaN), { code: 'INVALID_ARGUMENT' })
  })

  t.test('a dead job can be revived with all its attempts, unless its key is taken', async (t) => {
    const { store, due, claimOne } = await setup(t)
    const { id } = (await store.enqueue([newJob('k', { maxAttempts: 2 })]))[0]!
    await store.fail(await claimOne(), FAILURE, { retryIn: 0, crashed: true })
    await store.fail(await claimOne(), FAILURE)
    t.equal(await store.revive(999_999), 'unknown')
    const other = (await store.enqueue([newJob('k')]))[0]!
    t.equal(other.created, true)
    t.equal(await store.revive(id), 'taken')
    t.equal(await store.remove(A, 'k'), true)
    due.length = 0
    const both = await Promise.all([store.revive(id), store.revive(id)])
    t.same(both, ['revived', 'unknown'])
    t.same(due, ['mailer/'])
    t.match(await store.inspect({}), [{ id, state: 'ready', attempts: 0, failure: FAILURE }])
    t.same(await store.enqueue([newJob('k')]), [{ id, created: false }], 'it holds its key')
    t.match(await claimOne(), { id, attempt: 1, suspect: false })
    t.equal(await store.revive(id), 'unknown')
  })

  t.test('a dead job can be discarded, and one that waits, not a running one', async (t) => {
    const { store, claimOne } = await setup(t)
    const [dead, waiting] = await store.enqueue([newJob('dead', { maxAttempts: 1 }), newJob('waiting')])
    const first = await claimOne()
    t.equal(await store.discard(dead!.id), false)
    await store.fail(first, FAILURE)
    t.equal(await store.discard(dead!.id), true)
    t.equal(await store.discard(dead!.id), false)
    t.equal(await store.discard(waiting!.id), true)
    t.same(store.counts(), { scheduled: 0, ready: 0, active: 0, dead: 0 })
    t.match(await store.enqueue([newJob('waiting')]), [{ created: true }])
  })

  t.test('a job that has expired is dead when its turn comes, and was not started', async (t) => {
    const { store, time, claimOne } = await setup(t)
    const condemned: unknown[] = []
    const told = new Promise<void>((resolve) => {
      store.on('condemned', (job) => {
        if (condemned.push(job) === 2) resolve()
      })
    })
    const expiresAt = START + 1000
    const [first, second] = await store.enqueue([
      newJob('first', { expiresAt, priority: 1 }),
      newJob('second', { expiresAt, priority: 1, timeout: 7 }),
      newJob('good'),
    ])
    time.now = expiresAt - 1
    const job = await claimOne()
    t.match(job, { id: first!.id, expiresAt }, 'not before that time')
    t.match(await store.fail(job, FAILURE, { retryIn: 1 }), { state: 'retry' })
    time.now = expiresAt
    t.match(await store.claim(A, 5), [{ jobKey: 'good' }])
    await told
    const failure = { name: 'JobExpired', message: /2025-06-15T15:06:41.000Z/ }
    t.match(condemned, [
      { ...A, id: first!.id, failure },
      { ...A, id: second!.id, failure },
    ])
    t.match(await store.inspect({ state: 'dead' }), [
      { id: first!.id, attempts: 1, failure },
      { id: second!.id, attempts: 0, runAt: expiresAt, expiresAt, timeout: 7, failure },
    ])
    t.match(await store.enqueue([newJob('first')]), [{ created: true }], 'its key is free')
  })

  t.test('thousands of expired jobs do not keep the good one behind them waiting', async (t) => {
    const { store, time, due } = await setup(t)
    const expiresAt = START + 1
    await store.enqueue(Array.from({ length: 2_500 }, (_, i) => newJob(`${i}`, { expiresAt })))
    await store.enqueue([newJob('good')])
    time.now = START + 1
    let found: ClaimedJob[] = []
    while (found.length === 0) {
      due.length = 0
      const told = new Promise<void>((resolve) => store.on('due', () => resolve()))
      found = await store.claim(A, 1)
      if (found.length === 0) await told
    }
    t.match(found, [{ jobKey: 'good' }])
  })

  t.test('a waiting job can be replaced by the next enqueue of its key, with or without its time', async (t) => {
    const { store, time, claimOne } = await setup(t)
    const payload = (text: string) => Buffer.from(text)
    const { id } = (await store.enqueue([newJob('k', { payload: payload('old'), maxAttempts: 2 })]))[0]!
    await store.fail(await claimOne(), FAILURE, { retryIn: 500 })
    time.now += 1
    const more = {
      payload: payload('new and longer'),
      method: 'resend',
      priority: 4,
      maxAttempts: 7,
      runAt: START + 900,
    }
    t.same(await store.enqueue([newJob('k', { ...more, whenTaken: 'replace' })]), [
      { id, created: false, replaced: true },
    ])
    const expected = { id, method: 'resend', state: 'scheduled', priority: 4, attempts: 0, maxAttempts: 7 }
    const [found] = await store.inspect({})
    t.match(found, { ...expected, runAt: START + 500, enqueuedAt: START + 1 })
    t.equal(found!.failure, undefined)
    t.same(await store.enqueue([newJob('k', { ...more, whenTaken: 'debounce' })]), [
      { id, created: false, replaced: true },
    ])
    t.match(await store.inspect({}), [{ ...expected, runAt: START + 900 }])
    t.equal(store.nextDue(), START + 900)
    t.same(await store.enqueue([newJob('k')]), [{ id, created: false }], 'not unless it is asked for')
    time.now = START + 900
    const job = await claimOne()
    t.match(job, { id, attempt: 1, method: 'resend', suspect: false })
    t.equal(Buffer.from(job.payload).toString(), 'new and longer')
    t.same(
      await store.enqueue([newJob('k', { whenTaken: 'debounce' })]),
      [{ id, created: false }],
      'a running one stays',
    )
    t.same(await store.finish([job]), [true])
    t.match(await store.enqueue([newJob('k', { whenTaken: 'replace' })]), [{ created: true }])
  })

  t.test('of many replacements at once the last one stays, and each is answered', async (t) => {
    const { store, claimOne } = await setup(t)
    const jobs = Array.from({ length: 30 }, (_, i) =>
      newJob('k', { payload: Buffer.from(`${i}`), whenTaken: 'debounce' }),
    )
    const one = await Promise.all(jobs.map((job) => store.enqueue([job, newJob(`other ${job.payload}`)])))
    t.same(
      one.map(([first]) => first!.created || first!.replaced),
      jobs.map(() => true),
    )
    t.equal(new Set(one.map(([first]) => first!.id)).size, 1)
    t.equal(store.counts().ready, 31)
    t.equal(Buffer.from((await claimOne()).payload).toString(), '29')
    t.match(await store.enqueue(jobs.map((job) => ({ ...job, jobKey: 'together' }))), [
      { created: true },
      { replaced: true },
    ])
  })

  t.test('of replacements in one call each follows the one before, whether the key is taken or not', async (t) => {
    const { store } = await setup(t)
    const times = async () => (await store.inspect({})).map(({ method, runAt }) => [method, runAt])
    const jobs = [
      newJob('k', { method: 'a', runAt: START + 100, whenTaken: 'replace' }),
      newJob('k', { method: 'b', runAt: START + 200, whenTaken: 'replace' }),
      newJob('k', { method: 'c', runAt: START + 300, whenTaken: 'debounce' }),
      newJob('k', { method: 'd', runAt: START + 400, whenTaken: 'replace' }),
    ]
    const answers = await store.enqueue(jobs)
    const { id } = answers[0]!
    const replaced = { id, created: false, replaced: true }
    t.same(answers, [{ id, created: true }, replaced, replaced, replaced])
    t.same(await times(), [['d', START + 300]])
    t.same(await store.enqueue(jobs.slice(0, 2)), [replaced, replaced])
    t.same(await times(), [['b', START + 300]])
    const [removed, again] = await Promise.all([store.remove(A, 'k'), store.enqueue(jobs.slice(0, 2))])
    t.equal(removed, true)
    t.match(again, [
      { created: true, replaced: undefined },
      { created: false, replaced: true },
    ])
    t.same(await times(), [['b', START + 100]])
  })

  t.test('of dead jobs the old ones can be discarded, and the oldest of too many', async (t) => {
    const { store, time, claimOne } = await setup(t)
    await store.enqueue(Array.from({ length: 6 }, (_, i) => newJob(`k${i}`, { maxAttempts: 1 })))
    await store.enqueue([newJob('waits', { runAt: START + 1_000_000 })])
    for (let i = 0; i < 6; i++) {
      await store.fail(await claimOne(), FAILURE)
      time.now += 10
    }
    const left = async () => keysOf(await store.inspect({}))
    t.equal(await store.discardDead({ before: START, entries: 6 }), 0)
    t.equal(await store.discardDead({ before: START + 11, entries: 6 }), 2)
    t.same(await left(), ['k2', 'k3', 'k4', 'k5', 'waits'])
    t.equal(await store.discardDead({ before: START + 21, entries: 2 }), 2, 'both at once')
    t.same(await left(), ['k4', 'k5', 'waits'])
    t.equal(await store.discardDead({ before: 0, entries: 0 }), 2)
    t.same(await left(), ['waits'])
    t.same(store.counts(), { scheduled: 1, ready: 0, active: 0, dead: 0 })
  })

  t.test('inspects by filter and by page, in the order of ids', async (t) => {
    const { store, claimOne } = await setup(t)
    await store.enqueue(Array.from({ length: 150 }, (_, i) => newJob(`k${i}`, i % 2 ? B : {})))
    const page = await store.inspect({})
    t.equal(page.length, 100)
    const rest = await store.inspect({ after: page[99]!.id })
    t.equal(rest.length, 50)
    const all = [...page, ...rest]
    t.same(
      all.map((job) => job.id),
      all.map((job) => job.id).sort((a, b) => a - b),
    )
    await claimOne()
    t.same(keysOf(await store.inspect({ state: 'active' })), ['k0'])
    t.same(keysOf(await store.inspect({ worker: 'mailer', workerKey: 'second', limit: 2 })), ['k1', 'k3'])
    t.same(keysOf(await store.inspect({ jobKey: 'k7' })), ['k7'])
    t.same(await store.inspect({ worker: 'mail' }), [])
    t.same(store.counts(A), { scheduled: 0, ready: 74, active: 1, dead: 0 })
    t.same(store.counts({ worker: 'x', workerKey: '' }), { scheduled: 0, ready: 0, active: 0, dead: 0 })
  })

  t.test('refuses a job that it could not give back unchanged, and then the whole call', async (t) => {
    const { store } = await setup(t)
    const wrong: Partial<NewJob>[] = [
      { jobKey: '' },
      { jobKey: '\ud800' },
      { worker: 'w'.repeat(65_536) },
      { method: 'ä'.repeat(40_000) },
      { runAt: Number.NaN },
      { priority: 0.5 },
      { maxAttempts: 0 },
      { expiresAt: Number.POSITIVE_INFINITY },
      { expiresAt: -1 },
      { timeout: 0.5 },
    ]
    for (const more of wrong) {
      await t.rejects(store.enqueue([newJob('fine'), newJob('k', more)]), { code: 'INVALID_ARGUMENT' })
    }
    t.same(await store.inspect({}), [])
    t.match(await store.enqueue([newJob('long', { worker: 'w'.repeat(65_535) })]), [{ created: true }])
  })

  t.test('an empty call is answered', async (t) => {
    const { store } = await setup(t)
    t.same(await store.enqueue([]), [])
    t.same(await store.finish([]), [])
    t.same(await store.claim(A, 0), [])
  })

  /** One job after the other, each finished with the value that is given for its key. */
  async function finishAll(store: JobStore, values: Record<string, Uint8Array>): Promise<void> {
    for (const [key, value] of Object.entries(values)) {
      await store.enqueue([newJob(key, { payload: Buffer.from(`argument of ${key}`) })])
      const [job] = await store.claim(A, 1)
      await store.finish([{ ...job!, value }])
    }
  }
  const finished = async (store: JobStore) => keysOf(await store.inspect({ state: 'finished' }))

  t.test('the result of a finished job is kept, and is no job any more', async (t) => {
    const { store, time, due } = await setup(t)
    const [added] = await store.enqueue([newJob('käse', { payload: Buffer.from('argument'), priority: 7 })])
    const [first] = await store.claim(A, 1)
    await store.fail(first!, FAILURE, { crashed: true })
    time.now += 1000
    const [job] = await store.claim(A, 1)
    time.now += 5
    t.same(await store.finish([{ ...job!, value: Uint8Array.of(0x18, 42) }]), [true])
    const found = await store.find({ id: added!.id })
    const expected = {
      jobKey: 'käse',
      method: 'send',
      state: 'finished',
      attempts: 2,
      enqueuedAt: START,
      runAt: START + 1005,
    }
    t.match(found, { ...A, ...expected, id: added!.id, priority: 7, maxAttempts: 5, failure: undefined })
    t.same([...found!.value!], [0x18, 42])
    t.same(await store.find({ ...A, jobKey: 'käse' }), found, 'by its key')
    t.equal(await store.find({ ...B, jobKey: 'käse' }), undefined)
    t.same(await store.inspect({}), [])
    t.same(store.counts(), { scheduled: 0, ready: 0, active: 0, dead: 0 })
    t.same(await store.finish([job!]), [false])
    t.equal(await store.remove(A, 'käse'), false)
    t.same(await store.fail(job!, FAILURE), { state: 'stale' })
    due.length = 0
    const [next] = await store.enqueue([newJob('käse')])
    t.equal(next?.created, true, 'it holds no key')
    t.match(
      await store.find({ ...A, jobKey: 'käse' }),
      { id: next!.id, state: 'ready' },
      'who has the key now comes first',
    )
    t.match(await store.find({ id: added!.id }), { state: 'finished' })
  })

  t.test('finds jobs in every state, and the newest of those that are over', async (t) => {
    const { store, claimOne } = await setup(t)
    const [dead] = await store.enqueue([newJob('k', { maxAttempts: 1 })])
    t.match(await store.find({ id: dead!.id }), { state: 'ready', jobKey: 'k' })
    await store.fail(await claimOne(), FAILURE)
    t.match(await store.find({ ...A, jobKey: 'k' }), { state: 'dead', failure: FAILURE })
    await finishAll(store, { k: Uint8Array.of(1) })
    t.match(await store.find({ ...A, jobKey: 'k' }), { state: 'finished' })
    const [active] = await store.enqueue([newJob('k')])
    await claimOne()
    t.match(await store.find({ ...A, jobKey: 'k' }), { id: active!.id, state: 'active', attempts: 1 })
    t.match(await store.find({ id: dead!.id }), { state: 'dead' })
    t.equal(await store.find({ id: 1_000_000 }), undefined)
    t.equal(await store.find({ worker: 'nobody', workerKey: '', jobKey: 'k' }), undefined)
  })

  t.test('a method that returned nothing leaves an empty result', async (t) => {
    const { store } = await setup(t)
    await store.enqueue([newJob('k')])
    const [job] = await store.claim(A, 1)
    t.same(await store.finish([job!]), [true])
    t.match(await store.find({ id: job!.id }), { state: 'finished', value: { length: 0 } })
  })

  t.test('results are forgotten when their time is over, the oldest first', async (t) => {
    const { store, time } = await setup(t)
    await finishAll(store, { a: Uint8Array.of(1) })
    time.now += 1
    await finishAll(store, { b: Uint8Array.of(1) })
    time.now = START + 59_999
    store.sweep()
    t.same(await finished(store), ['a', 'b'])
    time.now++
    store.sweep()
    t.same(await finished(store), ['b'])
    time.now++
    store.sweep()
    t.same(await finished(store), [])
    t.equal(await store.find({ ...A, jobKey: 'b' }), undefined)
  })

  t.test('of more results than are to be kept the oldest are forgotten', async (t) => {
    const { store } = await setup(t, { ...KEEP, entries: 3 })
    await finishAll(store, Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((key) => [key, Uint8Array.of(1)])))
    t.same(await finished(store), ['c', 'd', 'e'])
  })

  t.test('results take no more bytes than they may, and one that is longer is not kept', async (t) => {
    const { store } = await setup(t, { ...KEEP, bytes: 10_000 })
    await finishAll(store, {
      a: Buffer.alloc(4000),
      b: Buffer.alloc(4000),
      c: Buffer.alloc(4000),
      d: Buffer.alloc(10_001),
    })
    t.same(await finished(store), ['b', 'c'])
  })

  t.test('no result is kept where none is to be', async (t) => {
    for (const limits of [{ ms: 0 }, { entries: 0 }, { bytes: -1 }]) {
      const { store } = await setup(t, { ...KEEP, ...limits })
      await finishAll(store, { a: Uint8Array.of(1) })
      t.same(await finished(store), [])
    }
  })

  t.test('after close every call rejects with STORE_CLOSED', async (t) => {
    const { store } = await setup(t)
    const pending = store.enqueue([newJob('k')])
    await store.close()
    t.match(await pending, [{ created: true }], 'what was asked before is still answered')
    await store.close()
    const calls: (() => Promise<unknown>)[] = [
      () => store.enqueue([newJob('k')]),
      () => store.remove(A, 'k'),
      () => store.reschedule(1, START),
      () => store.revive(1),
      () => store.discard(1),
      () => store.discardDead({ before: 0, entries: 0 }),
      () => store.claim(A, 1),
      () => store.finish([{ id: 1, attempt: 1 }]),
      () => store.fail({ id: 1, attempt: 1 }, FAILURE),
      () => store.release({ id: 1, attempt: 1 }),
      () => store.inspect({}),
      () => store.find({ id: 1 }),
    ]
    for (const call of calls) {
      await t.rejects(call(), { code: 'STORE_CLOSED', executed: 'no' })
      await call().catch((error: unknown) => t.ok(error instanceof StoreError))
    }
  })
}
