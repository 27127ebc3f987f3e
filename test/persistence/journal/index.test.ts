import t from 'tap'
import type { JobStore } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { allJobs, FAILURE, openFake, QUEUE } from './journals.js'

const INDEXED = { segmentBytes: 4096, indexAfterMs: 0, cacheBytes: 0, clock: () => 1_800_000_000_000 }

/** A journal of several sealed segments, as a killed process leaves it, with jobs in every state. */
async function journal(): Promise<FakeFs> {
  const system = new FakeFs()
  const store = await openFake(system, INDEXED)
  await store.enqueue([newJob('once', { atMostOnce: true }), newJob('fails'), newJob('runs')])
  const jobs = await store.claim(QUEUE, 3)
  await store.fail(jobs[1]!, FAILURE)
  for (let i = 0; i < 30; i++) {
    await store.enqueue([
      newJob(`passing ${i}`, { priority: 1 }),
      newJob(`stays ${i}`, { payload: Buffer.alloc(200, i) }),
    ])
    await store.finish(await store.claim(QUEUE, 1))
  }
  await store.enqueue([newJob('käse', { workerKey: 'Zoë', payload: Buffer.alloc(5000, 'x') })])
  await store.enqueue([newJob('last')])
  return system.copy()
}

function indexes(system: FakeFs): string[] {
  return [...system.files.keys()].filter((path) => path.endsWith('.idx')).sort()
}

async function look(system: FakeFs, options: object = INDEXED) {
  const store = await openFake(system, options)
  const jobs = await allJobs(store)
  return { store, jobs, payloads: await payloads(store) }
}

async function payloads(store: JobStore): Promise<string[]> {
  const jobs = [...(await store.claim({ worker: 'mailer', workerKey: 'Zoë' }, 5)), ...(await store.claim(QUEUE, 1))]
  return jobs.map(({ jobKey, payload }) => `${jobKey} ${payload.length}`)
}

t.test('an index gives the same state as its segment, also after a move', async (t) => {
  const system = await journal()
  t.ok(indexes(system).length >= 3)
  t.equal(indexes(system).length, system.segments().length - 1, 'all but the one that is written to')
  const without = system.copy()
  for (const path of indexes(without)) without.files.delete(path)
  const read: string[] = []
  const { open } = system
  system.open = function (path, mode) {
    if (mode === 'read') read.push(path)
    return open.call(this, path, mode)
  }
  const [fast, slow] = [
    await look(system.copy()),
    await look(without, { ...INDEXED, indexAfterMs: Number.POSITIVE_INFINITY }),
  ]
  t.same(fast.jobs, slow.jobs)
  t.same(fast.payloads, slow.payloads)
  t.same(indexes(without), [])
})

t.test('case 13: a damaged index is made anew, and the state is the same', async (t) => {
  const system = await journal()
  const { jobs } = await look(system.copy())
  const [index] = indexes(system)
  const good = Buffer.from(system.bytes(index!))
  for (let at = 0; at < good.length; at += 7) {
    const damaged = system.copy()
    damaged.change(index!, (bytes) => {
      bytes[at]! ^= 0x40
      return undefined
    })
    const found = await look(damaged)
    if (JSON.stringify(found.jobs) !== JSON.stringify(jobs)) t.fail(`byte ${at}`)
    if (!damaged.bytes(index!).equals(good)) t.fail(`byte ${at}: not made anew`)
  }
  for (const length of [0, 10, 64, good.length - 1]) {
    const cut = system.copy()
    cut.change(index!, (bytes) => bytes.subarray(0, length))
    t.same((await look(cut)).jobs, jobs)
  }
})

t.test('the index of another segment, or of another journal, is not taken', async (t) => {
  const system = await journal()
  const { jobs } = await look(system.copy())
  const [first, second] = indexes(system)
  const other = await journal()
  for (const bytes of [system.bytes(second!), other.bytes(first!)]) {
    const swapped = system.copy()
    swapped.files.set(first!, { bytes: Buffer.from(bytes) })
    t.same((await look(swapped)).jobs, jobs)
  }
})

t.test('an index does not stand in for a segment that is missing, too short, or of another journal', async (t) => {
  const system = await journal()
  const other = await journal()
  const [, path] = system.segments()
  const missing = system.copy()
  missing.files.delete(path!)
  await t.rejects(openFake(missing, INDEXED), { code: 'JOURNAL_CORRUPT', message: /segment 2 .* is missing/ })
  for (const bytes of [system.bytes(path!).subarray(0, 900), Buffer.alloc(0), other.bytes(path!)]) {
    const changed = system.copy()
    changed.change(path!, () => Buffer.from(bytes))
    await t.rejects(openFake(changed, INDEXED), { code: 'JOURNAL_CORRUPT' })
  }
})

t.test('damage in an indexed segment is told, and costs only the jobs that it hits', async (t) => {
  const system = await journal()
  const before = await look(system.copy())
  const argument = Buffer.alloc(100, 5)
  const path = system.segments().find((path) => system.bytes(path).includes(argument))
  const at = system.bytes(path!).indexOf(argument)
  system.change(path!, (bytes) => {
    bytes[at]! ^= 1
    return undefined
  })
  const told: object[] = []
  const log = { info() {}, warn() {}, error: (facts: object, message: string) => told.push({ ...facts, message }) }
  const store = await openFake(system, { ...INDEXED, log })
  t.match(told, [{ file: path, reason: /CRC/, message: /journal is damaged: run/ }])
  t.same((await allJobs(store)).length, before.jobs.length)
  const ran = []
  for (let jobs = await store.claim(QUEUE, 100); jobs.length > 0; jobs = await store.claim(QUEUE, 100)) {
    ran.push(...jobs)
    await store.finish(jobs)
  }
  t.notOk(ran.some((job) => job.jobKey === 'stays 5'))
  t.ok(ran.some((job) => job.jobKey === 'stays 6'))
  const dead = await store.inspect({ state: 'dead' })
  t.match(
    dead.find((job) => job.failure?.name === 'JobDamaged')?.id,
    before.jobs.find((job) => job.jobKey === 'stays 5')?.id,
  )
})

t.test('an index goes with its segment, and one without a segment is cleared away', async (t) => {
  const system = await journal()
  const orphan = indexes(system)[0]!.replace('0000000000000001-', '00000000000000ff-')
  system.files.set(orphan, { bytes: Buffer.from('left behind') })
  const before = system.segments().length
  const store = await openFake(system, INDEXED)
  t.notOk(system.files.has(orphan))
  const zoe = { worker: 'mailer', workerKey: 'Zoë' }
  // What ran when the process died runs alone.
  while (store.counts().ready > 0)
    await store.finish([...(await store.claim(QUEUE, 100)), ...(await store.claim(zoe, 9))])
  // With every commit some of what is left moves.
  for (let i = 0; i < 50; i++) {
    await store.enqueue([newJob(`more ${i}`)])
    await store.finish(await store.claim(QUEUE, 1))
  }
  await store.close()
  const segments = system.segments()
  t.ok(segments.length < before, `${segments.length} of ${before} segments are left`)
  t.same(
    indexes(system),
    segments.slice(0, -1).map((path) => path.replace('.seg', '.idx')),
  )
})

t.test('a full disk has no index, and nothing else is lost', async (t) => {
  const system = new FakeFs()
  const create = system.open
  system.open = function (path, mode) {
    if (path.includes('.idx') && mode === 'create') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    return create.call(this, path, mode)
  }
  const store = await openFake(system, INDEXED)
  for (let i = 0; i < 60; i++) await store.enqueue([newJob(`job ${i}`, { payload: Buffer.alloc(200) })])
  t.ok(system.segments().length > 2)
  t.same(indexes(system), [])
  t.equal((await allJobs(store)).length, 60)
})
