import t from 'tap'
import type { JobStore } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { allJobs, failing, openFake, QUEUE } from './journals.js'

const KEEP = { ms: 1e9, entries: 10, bytes: 1_000_000 }
const SMALL = { segmentBytes: 4096, cacheBytes: 0, keep: KEEP }

async function finish(store: JobStore, jobKey: string, value = Buffer.from(`value of ${jobKey}`)): Promise<number> {
  const [added] = await store.enqueue([newJob(jobKey, { priority: 1, payload: Buffer.alloc(50, 7) })])
  const [job] = await store.claim(QUEUE, 1)
  t.equal(job?.jobKey, jobKey)
  await store.finish([{ ...job!, value }])
  return added!.id
}

async function values(store: JobStore): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { id, jobKey } of await store.inspect({ state: 'finished' })) {
    found[jobKey] = String((await store.find({ id }))?.value)
  }
  return found
}

t.test('results survive a kill as well as a stop, with and without the index of their segment', async (t) => {
  const small = { ...SMALL, segmentBytes: 1024, keep: { ...KEEP, entries: 20 } }
  for (const options of [small, { ...small, indexAfterMs: 0 }]) {
    const system = new FakeFs()
    const store = await openFake(system, options)
    for (let i = 0; i < 60; i++) await finish(store, `job ${i}`)
    t.ok(system.segments().length > 2, `${system.segments().length} segments`)
    const expected = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`job ${40 + i}`, `value of job ${40 + i}`]),
    )
    t.same(await values(store), expected)
    t.same(await values(await openFake(system.copy(), options)), expected, 'killed')
    await store.close()
    t.same(await values(await openFake(system, options)), expected, 'stopped')
  }
})

t.test('a kept result does not hold its segment: it moves with its value', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { ...SMALL, keep: { ...KEEP, entries: 1000 } })
  const id = await finish(store, 'kept')
  for (let i = 0; i < 300; i++) {
    await store.enqueue([newJob(`passing ${i}`, { priority: 1 })])
    await store.remove(QUEUE, `passing ${i}`)
  }
  t.ok(system.segments().length <= 3, `${system.segments().length} segments are left`)
  for (const files of [system.copy(), system]) {
    if (files === system) await store.close()
    const again = await openFake(files, SMALL)
    t.match(await again.find({ id }), { jobKey: 'kept', state: 'finished', attempts: 1 })
    t.same(await values(again), { kept: 'value of kept' })
    t.same(await allJobs(again), [])
  }
})

t.test('a segment goes when the time of its last result is over, also when nothing else happens', async (t) => {
  const system = new FakeFs()
  let now = 1_000_000
  const store = await openFake(system, { ...SMALL, keep: { ...KEEP, entries: 1000, ms: 1000 }, clock: () => now })
  for (let i = 0; i < 60; i++) await finish(store, `job ${i}`)
  const before = system.segments().length
  t.ok(before > 2)
  now += 1000
  store.sweep()
  await store.close()
  t.equal(system.segments().length, 1, `of ${before}`)
})

t.test('when less is kept than before, the oldest results are forgotten at the next start', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  for (const key of ['a', 'b', 'c']) await finish(store, key)
  await store.close()
  const fewer = await openFake(system, { ...SMALL, keep: { ...KEEP, entries: 2 } })
  t.same(Object.keys(await values(fewer)), ['b', 'c'])
  await fewer.close()
  const none = await openFake(system, { ...SMALL, keep: { ...KEEP, entries: 0 } })
  t.same(await values(none), {})
  t.same(await allJobs(none), [])
})

t.test('long results of one call go to several batches, and each is kept', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { keep: { ...KEEP, bytes: 1e9 } })
  await store.enqueue(Array.from({ length: 8 }, (_, i) => newJob(`job ${i}`)))
  const jobs = await store.claim(QUEUE, 8)
  const long = (id: number) => Buffer.alloc(400_000, id)
  t.same(
    await store.finish(jobs.map((job) => ({ ...job, value: long(job.id) }))),
    jobs.map(() => true),
  )
  for (const opened of [store, await openFake(system.copy(), { keep: KEEP })]) {
    const { id } = jobs[7]!
    t.ok(long(id).equals((await opened.find({ id }))!.value!))
  }
  for (const { id } of jobs) t.ok(long(id).equals((await store.find({ id }))!.value!))
})

t.test('on a full disk jobs end, and their results are not kept', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { keep: KEEP })
  await store.enqueue([newJob('a'), newJob('b')])
  const [a, b] = await store.claim(QUEUE, 2)
  failing(system, 'write', 'ENOSPC')
  await t.rejects(store.finish([{ ...a!, value: Buffer.from('x') }]), { code: 'STORE_FULL' })
  system.before = () => {}
  t.same(await store.finish([{ ...a!, value: Buffer.from('x') }]), [true], 'the outcome can be sent again')
  await store.enqueue([newJob('c')])
  t.same(await store.finish([{ ...b!, value: Buffer.from('y') }]), [true])
  t.same(await values(store), { b: 'y' })
  t.same(await values(await openFake(system.copy(), { keep: KEEP })), { b: 'y' })
})
