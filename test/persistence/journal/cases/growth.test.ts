/**
 * Cases 22 to 24 of docs/RELIABILITY.md, with numbers that fit a test, over files in memory: what depends on time and
 * on millions of jobs is in the benchmark.
 */
import t from 'tap'
import { fullBytes } from '#offstage/persistence/journal/record-write.js'
import type { JobStore, NewJob } from '#offstage/persistence/store.js'
import { newJob } from '../../../contract/job-store.js'
import { FakeFs } from '../fake-fs.js'
import { allJobs, batchOffsets, keys, openFake, QUEUE } from '../journals.js'

const SEGMENT = 64 * 1024
const JOBS = 20_000
const AT_A_TIME = 1000

function diskBytes(system: FakeFs): number {
  return system.segments().reduce((sum, path) => sum + system.bytes(path).length, 0)
}

/** Bytes of the record that would have to be there if there were no other. */
function recordBytes(job: NewJob): number {
  return fullBytes({ ...job, enqueuedAt: 0, attempts: 0, state: 0, suspect: false, failure: undefined })
}

/** The batches of the two newest segments. */
function batches(system: FakeFs): { place: string; length: number }[] {
  return system
    .segments()
    .slice(-2)
    .flatMap((path) => {
      const bytes = system.bytes(path)
      return batchOffsets(bytes).map((at) => ({ place: `${path} ${at}`, length: bytes.readUInt32LE(at + 4) }))
    })
}

async function enqueueAll(store: JobStore, jobs: readonly NewJob[]): Promise<void> {
  for (let at = 0; at < jobs.length; at += AT_A_TIME) await store.enqueue(jobs.slice(at, at + AT_A_TIME))
}

t.test('case 22: jobs that are released again and again take no more than three times their room', async (t) => {
  const system = new FakeFs()
  let now = 1_750_000_000_000
  const store = await openFake(system, { segmentBytes: SEGMENT, clock: () => now })
  const jobs = Array.from({ length: JOBS }, (_, i) =>
    newJob(`job ${i}`, { payload: Buffer.alloc(50), runAt: now + 1000 }),
  )
  await enqueueAll(store, jobs)
  const live = jobs.reduce((sum, job) => sum + recordBytes(job), 0)
  let released = 0
  let most = 0
  for (let round = 0; round < 10; round++) {
    now += 1000
    store.sweep()
    for (
      let claimed = await store.claim(QUEUE, AT_A_TIME);
      claimed.length > 0;
      claimed = await store.claim(QUEUE, AT_A_TIME)
    ) {
      await Promise.all(claimed.map((job) => store.release(job, { runAt: now + 1000, counted: false })))
      released += claimed.length
      most = Math.max(most, diskBytes(system))
    }
  }
  t.equal(released, 10 * JOBS)
  t.ok(most <= 3 * live + 2 * SEGMENT, `${most} bytes for ${live}`)
  const again = await openFake(system.copy(), { segmentBytes: SEGMENT })
  t.equal((await allJobs(again)).length, JOBS)
})

t.test('case 23: one old job does not hold the segments of all that have finished since', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { segmentBytes: SEGMENT })
  await store.enqueue([newJob('old', { runAt: 9e12, payload: Buffer.from('as it was') })])
  const [first] = system.segments()
  let made = 0
  let finished = 0
  system.before = (call, path) => {
    if (call === 'rename' && path.endsWith('.seg')) made++
  }
  while (finished < JOBS) {
    await store.enqueue(Array.from({ length: 100 }, (_, i) => newJob(`passing ${finished + i}`)))
    finished += (await store.finish(await store.claim(QUEUE, 100))).length
  }
  t.ok(made > 20, `${made} segments`)
  t.ok(system.segments().length <= 3, `${system.segments().length} are left`)
  t.notOk(system.files.has(first!))
  const again = await openFake(system.copy(), { segmentBytes: SEGMENT })
  t.match(await allJobs(again), [{ id: 1, jobKey: 'old', runAt: 9e12, state: 'scheduled' }])
})

t.test('case 24: what compaction adds to a commit is bounded by the size of the commit', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { segmentBytes: SEGMENT })
  const payload = Buffer.alloc(100)
  const passing = Array.from({ length: 2000 }, (_, i) => newJob(`passing ${i}`, { payload, priority: 1 }))
  const staying = Array.from({ length: 200 }, (_, i) => newJob(`stays ${i}`, { payload, runAt: 9e12 }))
  const mixed = staying.flatMap((job, i) => [job, ...passing.slice(10 * i, 10 * i + 10)])
  await enqueueAll(store, mixed)
  const live = staying.reduce((sum, job) => sum + recordBytes(job), 0)
  t.ok(diskBytes(system) > 3 * live + 2 * SEGMENT)
  const one = recordBytes(newJob('passing 0000', { payload }))
  // A completion is a small commit: 24 bytes for its CLAIM, and 24 for its DONE.
  const limit = 24 + 2 * 24 + one
  const seen = new Set(batches(system).map(({ place }) => place))
  let moved = 0
  for (let left = passing.length; left > 0; left--) {
    await store.finish(await store.claim(QUEUE, 1))
    for (const { place, length } of batches(system)) {
      if (seen.has(place)) continue
      seen.add(place)
      if (length > limit) t.fail(`a commit of 24 bytes became ${length}`)
      if (length > 24) moved++
    }
  }
  t.ok(moved > 50, `${moved} commits moved something`)
  t.ok(diskBytes(system) <= 3 * live + 2 * SEGMENT)
  const again = await openFake(system.copy(), { segmentBytes: SEGMENT })
  t.same(
    await keys(again),
    staying.map(({ jobKey }) => jobKey),
  )
})
