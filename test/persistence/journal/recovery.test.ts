import t from 'tap'
import { newJob } from '../../contract/job-store.js'
import { flip, jobs, SMALL, tail } from './damage.js'
import { FakeFs } from './fake-fs.js'
import { add, allJobs, batchOffsets, DIR, FAILURE, keys, killedJournal, openFake, QUEUE } from './journals.js'
import { check } from './tools/journals.js'

t.test('a killed process leaves everything it acknowledged', async (t) => {
  const system = await killedJournal(jobs(20))
  const store = await openFake(system)
  t.same(
    await keys(store),
    jobs(20).map((job) => job.jobKey),
  )
  const claimed = await store.claim(QUEUE, 100)
  t.same(
    claimed.map((job) => Buffer.from(job.payload).toString()),
    jobs(20).map((_, i) => `argument ${i}`),
  )
})

t.test('every state of a job survives: scheduled, failed, released, dead, removed, finished', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system)
  await store.enqueue([
    newJob('failed'),
    newJob('released'),
    newJob('dead', { maxAttempts: 1 }),
    newJob('finished'),
    newJob('uncounted'),
    newJob('crashed'),
    newJob('removed'),
    newJob('later', { runAt: 1_750_000_999_000, priority: -7, workerKey: 'x', maxAttempts: 9 }),
  ])
  const [failed, released, dead, finished, uncounted, crashed] = await store.claim(QUEUE, 6)
  await Promise.all([
    store.fail(failed!, FAILURE),
    store.release(released!, { runAt: 1_750_000_888_000 }),
    store.fail(dead!, { name: 'E', message: 'ü'.repeat(20_000) }),
    store.finish([finished!]),
    store.release(uncounted!, { counted: false }),
    store.fail(crashed!, FAILURE, { crashed: true }),
    store.remove(QUEUE, 'removed'),
  ])
  const before = await allJobs(store)
  t.equal(before.length, 6)
  const again = await openFake(system.copy())
  const after = await allJobs(again)
  t.equal(after[2]?.failure?.message.length, 8000, 'a long message is kept in part')
  t.same(
    after,
    before.map((job) => (job.jobKey === 'dead' ? { ...job, failure: after[2]?.failure } : job)),
  )
  t.same(again.counts(), store.counts())
  t.match(await again.enqueue([newJob('dead'), newJob('failed')]), [{ created: true, id: 22 }, { created: false }])
})

t.test('who ran when the process died is a suspect, or dead when it has no attempt left', async (t) => {
  const system = await killedJournal([])
  const store = await openFake(system)
  await store.enqueue([newJob('again'), newJob('last', { maxAttempts: 1 }), newJob('once', { atMostOnce: true })])
  const [first] = await store.claim(QUEUE, 3)
  const again = await openFake(system.copy())
  const [ready, last, once] = await allJobs(again)
  t.match(ready, { state: 'ready', attempts: 1, jobKey: 'again' })
  t.match(last, { state: 'dead', attempts: 1, failure: { message: /stopped while attempt 1 ran/ } })
  t.ok(last!.runAt > 1_750_000_000_000, 'it counts as having died at the start, however long ago it was due')
  t.match(once, { state: 'dead', failure: { message: /^outcome unknown: / } })
  t.same(again.dueQueues(), [QUEUE])
  t.match(await again.claim(QUEUE, 5), [{ jobKey: 'again', attempt: 2, suspect: true }])
  t.same(await again.finish([first!]), [false], 'an attempt from before the crash is stale')
})

t.test('a job that was revived holds its key again after a crash, whoever had it meanwhile', async (t) => {
  let disk = await killedJournal([])
  let store = await openFake(disk)
  const reopen = async () => {
    disk = disk.copy()
    store = await openFake(disk)
  }
  const once = { maxAttempts: 1 }
  const first = (await store.enqueue([newJob('key', once)]))[0]!.id
  await store.fail((await store.claim(QUEUE, 1))[0]!, FAILURE)
  t.equal(await store.revive(first), 'revived')
  await reopen()
  t.same(await store.enqueue([newJob('key')]), [{ created: false, id: first }])
  t.match(await allJobs(store), [{ id: first, state: 'ready', attempts: 0, failure: FAILURE }])
  await store.fail((await store.claim(QUEUE, 1))[0]!, FAILURE)
  const second = (await store.enqueue([newJob('key', once)]))[0]!.id
  await store.claim(QUEUE, 1)
  await reopen()
  t.equal(await store.revive(first), 'revived', 'the second died with the process, which no record says')
  await reopen()
  t.same(await store.enqueue([newJob('key')]), [{ created: false, id: first }])
  t.match(await allJobs(store), [
    { id: first, state: 'ready' },
    { id: second, state: 'dead' },
  ])
  t.equal(await store.remove(QUEUE, 'key'), true)
  t.match(await store.enqueue([newJob('key')]), [{ created: true }])
  const { findings } = check(disk)
  t.same(findings, [])
})

t.test('the key of a job that died with the process is free, and stays so after further restarts', async (t) => {
  let disk = await killedJournal([])
  const store = await openFake(disk)
  await store.enqueue([newJob('key', { atMostOnce: true })])
  await store.claim(QUEUE, 1)
  disk = disk.copy()
  const again = await openFake(disk)
  t.match(await again.enqueue([newJob('key')]), [{ created: true }])
  disk = disk.copy()
  const third = await openFake(disk)
  t.match(await allJobs(third), [{ state: 'dead', failure: { message: /^outcome unknown: / } }, { state: 'ready' }])
  t.match(await third.enqueue([newJob('key')]), [{ created: false }])
})

t.test('ids are not used again, also when every job is over', async (t) => {
  const system = await killedJournal(jobs(3))
  const store = await openFake(system)
  await store.finish(await store.claim(QUEUE, 3))
  await store.close()
  const again = await openFake(system)
  t.match(await again.enqueue([newJob('new')]), [{ id: 10 }])
})

t.test('a torn batch of which only the end reached the disk is dropped', async (t) => {
  const system = await killedJournal(jobs(3))
  const [, , last] = batchOffsets(system.bytes(tail(system)))
  system.change(tail(system), (bytes) => bytes.fill(0, last, last! + 64))
  t.same(await keys(await openFake(system)), ['job 0', 'job 1'])
})

t.test('rotates over small segments and reads them all back', async (t) => {
  const system = await killedJournal(jobs(60), SMALL)
  t.ok(system.segments().length > 4)
  for (const path of system.segments().slice(0, -1)) t.ok(system.bytes(path).length <= SMALL + 72)
  t.equal((await keys(await openFake(system, { segmentBytes: SMALL }))).length, 60)
})

t.test('a batch longer than a segment gets a segment of its own', async (t) => {
  const big = newJob('big', { payload: Buffer.alloc(3 * SMALL, 7) })
  const system = await killedJournal([...jobs(2), big, newJob('after')], SMALL)
  const store = await openFake(system, { segmentBytes: SMALL })
  t.same(await keys(store), ['job 0', 'job 1', 'big', 'after'])
  t.equal(system.segments().length, 3)
})

t.test('a manifest torn while the journal was opened again after a clean stop costs nothing', async (t) => {
  const system = await killedJournal(jobs(5))
  await (await openFake(system)).close()
  const store = await openFake(system)
  await add(store, 'new')
  const copy = system.copy()
  // The newest manifest is lost; the one that is left says that the journal was closed before 'new'.
  const [a, b] = ['a', 'b'].map((slot) => copy.bytes(`${DIR}/MANIFEST.${slot}`).readUInt32LE(8))
  flip(copy, `${DIR}/MANIFEST.${a! > b! ? 'a' : 'b'}`, 20)
  t.equal((await keys(await openFake(copy))).length, 6)
})

t.test('a file that a crash left half made is cleared away', async (t) => {
  const system = await killedJournal(jobs(30), SMALL)
  const name = `${DIR}/0000000000000099-0000000000000001.seg.tmp`
  system.files.set(name, { bytes: Buffer.from('half') })
  await openFake(system)
  t.notOk(system.files.has(name))
})
