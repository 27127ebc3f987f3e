import fc from 'fast-check'
import t from 'tap'
import type { JobStore, NewJob } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { add, allJobs, equal, FAILURE, keys, openFake, QUEUE } from './journals.js'

const SMALL = { segmentBytes: 4096, cacheBytes: 0 }

/** Jobs that come and go, so that segments fill up. */
async function churn(store: JobStore, jobs: number): Promise<void> {
  for (let i = 0; i < jobs; i++) {
    await store.enqueue([newJob(`passing ${i}`, { priority: 1 })])
    const [job] = await store.claim(QUEUE, 1)
    t.equal(job?.jobKey, `passing ${i}`)
    t.same(await store.finish([job!]), [true])
  }
}

/** Bytes in all batches, without zeros written ahead. */
function diskBytes(system: FakeFs): number {
  let bytes = 0
  for (const path of system.segments()) {
    const file = system.bytes(path)
    let end = file.length
    while (end > 0 && file[end - 1] === 0) end--
    bytes += end
  }
  return bytes
}

t.test('one job that stays does not hold the segments of all that went by', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  await store.enqueue([newJob('stays', { runAt: 9e12, payload: Buffer.from('argument') })])
  await churn(store, 300)
  t.ok(system.segments().length <= 3, `${system.segments().length} segments are left`)
  t.notOk(system.segments()[0]!.includes('0000000000000001-'), 'the first one is not among them')
  for (const files of [system.copy(), system]) {
    if (files === system) await store.close()
    const again = await openFake(files, SMALL)
    t.match(await allJobs(again), [{ id: 1, jobKey: 'stays', runAt: 9e12, state: 'scheduled', attempts: 0 }])
  }
})

t.test('a queue that was emptied leaves one segment', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  for (let i = 0; i < 300; i++) await add(store, `job ${i}`)
  t.ok(system.segments().length > 5)
  for (;;) {
    const jobs = await store.claim(QUEUE, 10)
    if (jobs.length === 0) break
    await store.finish(jobs)
  }
  await store.close()
  t.equal(system.segments().length, 1)
  t.same(await keys(await openFake(system, SMALL)), [])
})

const KEPT = { worker: 'kept', workerKey: 'Zoë' }
const kept = (jobKey: string, more: Partial<NewJob> = {}) =>
  newJob(jobKey, { ...KEPT, payload: Buffer.from(`argument of ${jobKey}`), maxAttempts: 2, ...more })

t.test('a job moves with all that is known of it, whatever its state', async (t) => {
  const system = new FakeFs()
  let now = 1_000_000
  const options = { ...SMALL, clock: () => now }
  const first = await openFake(system, options)
  await first.enqueue(['crashed', 'failed', 'dead', 'released', 'running', 'käse'].map((key) => kept(key)))
  await first.enqueue([kept('once', { atMostOnce: true }), kept('later', { runAt: 9e12, priority: -7 })])
  const claimed = await first.claim(KEPT, 6)
  const attempt = (key: string) => claimed.find((job) => job.jobKey === key)!
  await first.fail(attempt('failed'), FAILURE)
  await first.release(attempt('released'), { runAt: 9e12 })
  await first.fail(attempt('dead'), FAILURE)
  now += 2000
  for (const key of ['failed', 'dead']) {
    const [next] = await first.claim(KEPT, 1)
    t.equal(next?.jobKey, key)
    t.match(await first.fail(next!, { name: 'Last', message: key }), { state: 'dead' })
  }
  t.match(await first.claim(KEPT, 1), [{ jobKey: 'once' }])
  // The process dies: what runs becomes a suspect, 'once' is dead.
  const files = system.copy()
  const store = await openFake(files, options)
  const before = await allJobs(store)
  t.same(
    before.map(({ jobKey, state }) => `${jobKey} ${state}`),
    [
      'crashed ready',
      'failed dead',
      'dead dead',
      'released scheduled',
      'running ready',
      'käse ready',
      'once dead',
      'later scheduled',
    ],
  )
  await churn(store, 300)
  t.ok(files.segments().length <= 4)
  t.same(await allJobs(store), before, 'in memory')
  const reopened = await openFake(files.copy(), options)
  t.same(await allJobs(reopened), before, 'and on the disk')
  const [suspect] = await reopened.claim(KEPT, 5)
  t.match(suspect, { jobKey: 'crashed', suspect: true, attempt: 2 })
  t.equal(Buffer.from(suspect!.payload).toString(), 'argument of crashed')
})

t.test('a running job moves, and only its current attempt ends it', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  await store.enqueue([kept('runs')])
  const [job] = await store.claim(KEPT, 1)
  await churn(store, 300)
  t.match(await allJobs(await openFake(system.copy(), SMALL)), [{ jobKey: 'runs', attempts: 1, state: 'ready' }])
  t.same(await store.finish([{ ...job!, attempt: 2 }]), [false])
  t.same(await store.finish([job!]), [true])
  t.same(await keys(await openFake(system.copy(), SMALL)), [])
})

t.test('a removal that was decided before a move is not undone by it', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  const removals: Promise<boolean>[] = []
  for (let i = 0; i < 40; i++) await store.enqueue([kept(`kept ${i}`, { runAt: 9e12 })])
  for (let i = 0; i < 40; i++) {
    removals.push(store.remove(KEPT, `kept ${i}`))
    await churn(store, 10)
  }
  t.ok((await Promise.all(removals)).every(Boolean))
  t.same(await keys(await openFake(system.copy(), SMALL)), [])
})

t.test('the disk stays within three times what is needed, and a few segments', async (t) => {
  const step = fc.record({ jobs: fc.integer({ min: 1, max: 8 }), bytes: fc.nat(400), finish: fc.nat(10) })
  const check = fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120, size: 'max' }), async (steps) => {
    const system = new FakeFs()
    const store = await openFake(system, SMALL)
    let number = 0
    for (const { jobs, bytes, finish } of steps) {
      const payload = Buffer.alloc(bytes)
      const more = { payload, priority: number % 3 }
      await store.enqueue(Array.from({ length: jobs }, () => newJob(`job ${number++}`, more)))
      await store.finish(await store.claim(QUEUE, finish))
      let live = 0
      for (const job of await allJobs(store))
        live += 80 + job.jobKey.length + job.method.length + job.worker.length + 400
      if (diskBytes(system) > 3 * live + 4 * 4096) throw new Error(`${diskBytes(system)} bytes for ${live}`)
    }
    const before = await allJobs(store)
    equal(
      await allJobs(await openFake(system.copy(), SMALL)),
      before.map((job) => ({ ...job })),
    )
    await store.close()
    equal(await allJobs(await openFake(system, SMALL)), before)
  })
  await fc.assert(check, { numRuns: 60 })
  t.pass()
})

/** Bytes of FULL records, and of others, in every batch that is written from now on. */
function watchBatches(system: FakeFs): { moved: number; other: number; largest: number }[] {
  const batches: { moved: number; other: number; largest: number }[] = []
  const { write } = system
  system.write = function (file, parts, position) {
    const bytes = Buffer.concat(parts)
    if (bytes.toString('latin1', 0, 4) === 'OFTB') {
      const batch = { moved: 0, other: 0, largest: 0 }
      const end = 48 + bytes.readUInt32LE(4)
      for (let at = 48, length: number; at < end; at += length) {
        length = bytes.readUInt32LE(at)
        if (bytes[at + 8] === 2) {
          batch.moved += length
          batch.largest = Math.max(batch.largest, length)
        } else batch.other += length
      }
      batches.push(batch)
    }
    return write.call(this, file, parts, position)
  }
  return batches
}

t.test('a commit moves at most twice the bytes that it brings, but for the job that it is at', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  await store.enqueue(Array.from({ length: 60 }, (_, i) => kept(`kept ${i}`, { payload: Buffer.alloc(i * 3) })))
  const batches = watchBatches(system)
  await churn(store, 200)
  t.ok(batches.filter(({ moved }) => moved > 0).length > 20, 'a little with many commits')
  for (const { moved, other, largest } of batches) {
    if (moved > 2 * other + largest) t.fail(`${moved} bytes were moved with ${other}`)
  }
})

t.test('the oldest segments leave the manifest before they leave the folder', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  const calls: string[] = []
  system.before = (call, path) => {
    if (path.includes('MANIFEST') || call === 'remove' || call === 'syncFolder')
      calls.push(`${call} ${path.slice(-12)}`)
  }
  await churn(store, 60)
  const removal = calls.findIndex((call) => call.startsWith('remove'))
  t.match(
    calls.slice(removal - 2, removal + 2).join(', '),
    /write \S+MANIFEST.., sync \S+MANIFEST.., remove .*seg, syncFolder/,
  )
})

t.test('a killed process leaves no segment behind that its manifest has given up', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, SMALL)
  let copy: FakeFs | undefined
  system.before = (call) => {
    if (call === 'remove') copy ??= system.copy()
  }
  await churn(store, 60)
  const before = copy!.segments().length
  t.ok((await keys(await openFake(copy!, SMALL))).length <= 1, 'at most the job that was worked on')
  t.equal(copy!.segments().length, before - 1)
})

t.test('a job that is damaged on the disk is kept as dead, and nothing else suffers', async (t) => {
  const system = new FakeFs()
  const problems: string[] = []
  const log = { info() {}, warn() {}, error: (_: object, message: string) => problems.push(message) }
  const store = await openFake(system, { ...SMALL, log })
  for (const key of ['a', 'b', 'c']) await store.enqueue([newJob(key, { payload: Buffer.alloc(3000, key) })])
  const [first] = system.segments()
  system.change(first!, (bytes) => {
    bytes[1000]! ^= 1
    return undefined
  })
  t.same(
    (await store.claim(QUEUE, 5)).map(({ jobKey, payload }) => `${jobKey} ${payload.length}`),
    ['b 3000', 'c 3000'],
  )
  await store.enqueue([])
  const [dead] = await store.inspect({ state: 'dead' })
  t.match(dead, { id: 1, state: 'dead', attempts: 0, failure: { name: 'JobDamaged' } })
  t.match(problems[0], /cannot be read back/)
  await churn(store, 100)
  t.ok(problems.some((problem) => /space is not given back/.test(problem)))
  t.equal(system.segments()[0], first, 'what may still be salvaged stays')
  await t.rejects(openFake(system.copy(), SMALL), { code: 'JOURNAL_CORRUPT' })
})
