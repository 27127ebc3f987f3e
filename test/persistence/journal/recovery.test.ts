import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { add, allJobs, batchOffsets, DIR, FAILURE, keys, killedJournal, openFake, QUEUE } from './journals.js'

const SMALL = 2048

function jobs(count: number) {
  return Array.from({ length: count }, (_, i) => newJob(`job ${i}`, { payload: Buffer.from(`argument ${i}`) }))
}

function flip(system: FakeFs, path: string, at: number): void {
  system.bytes(path)[at]! ^= 0x10
}

function tail(system: FakeFs): string {
  return system.segments().at(-1)!
}

/** Opens and expects a refusal that names file and offset, and that changes nothing. */
async function refused(t: Tap, system: FakeFs, expected: { file?: string; offset?: number; message?: RegExp } = {}) {
  const before = new Map([...system.files].map(([path, { bytes }]) => [path, bytes.toString('latin1')]))
  const error = await openFake(system, { segmentBytes: SMALL }).then(
    () => undefined,
    (error: StoreError) => error,
  )
  t.equal(error?.code, 'JOURNAL_CORRUPT')
  t.equal(error?.exitCode, 65)
  if (expected.file !== undefined) t.equal(error?.details.file, expected.file)
  if (expected.offset !== undefined) t.equal(error?.details.offset, expected.offset)
  if (expected.message !== undefined) t.match(error?.message, expected.message)
  const after = new Map([...system.files].map(([path, { bytes }]) => [path, bytes.toString('latin1')]))
  t.same(after, before, 'nothing was changed')
}

type Tap = Pick<typeof t, 'equal' | 'match' | 'same'>

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
    store.fail(crashed!, FAILURE, true),
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
  t.match(once, { state: 'dead', failure: { message: /^outcome unknown: / } })
  t.same(again.dueQueues(), [QUEUE])
  t.match(await again.claim(QUEUE, 5), [{ jobKey: 'again', attempt: 2, suspect: true }])
  t.same(await again.finish([first!]), [false], 'an attempt from before the crash is stale')
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

t.test('the last batch cut at every byte: dropped, kept aside, and all before it is there', async (t) => {
  const image = await killedJournal(jobs(3))
  const path = tail(image)
  const [, , last] = batchOffsets(image.bytes(path))
  const batchEnd = last! + 48 + ((image.bytes(path).readUInt32LE(last! + 4) + 7) & ~7)
  for (let end = last!; end < batchEnd; end++) {
    for (const rest of ['missing', 'zeros'] as const) {
      const system = image.copy()
      system.change(path, (bytes) => {
        if (rest === 'missing') return bytes.subarray(0, end)
        bytes.fill(0, end)
        return undefined
      })
      const torn = system
        .bytes(path)
        .subarray(last!)
        .some((byte) => byte !== 0)
      const whole = rest === 'zeros' && system.bytes(path).equals(image.bytes(path))
      const store = await openFake(system)
      const found = await keys(store)
      if (found.length !== (whole ? 3 : 2)) t.fail(`cut at ${end}, rest ${rest}: ${found}`)
      const kept = [...system.files.keys()].filter((name) => name.startsWith(`${DIR}/quarantine/`))
      if (kept.length !== (torn && !whole ? 1 : 0)) t.fail(`cut at ${end}, rest ${rest}: kept ${kept}`)
      await add(store, 'after')
      await store.close()
      if (!(await keys(await openFake(system))).includes('after')) t.fail(`cut at ${end}: cannot go on`)
    }
  }
  t.pass()
})

t.test('a torn batch of which only the end reached the disk is dropped', async (t) => {
  const system = await killedJournal(jobs(3))
  const [, , last] = batchOffsets(system.bytes(tail(system)))
  system.change(tail(system), (bytes) => bytes.fill(0, last, last! + 64))
  t.same(await keys(await openFake(system)), ['job 0', 'job 1'])
})

t.test('one byte changed anywhere before the last batch is refused, with the place', async (t) => {
  const image = await killedJournal(jobs(3))
  const path = tail(image)
  const offsets = batchOffsets(image.bytes(path))
  for (let at = 0; at < offsets[2]!; at++) {
    const system = image.copy()
    flip(system, path, at)
    const offset = at < 64 ? 0 : offsets.findLast((start) => start <= at)!
    const error = await openFake(system).then(
      () => undefined,
      (error: StoreError) => error,
    )
    if (error?.code !== 'JOURNAL_CORRUPT' || error.details.offset !== offset) t.fail(`byte ${at}: ${error?.message}`)
  }
  const system = image.copy()
  flip(system, path, offsets[1]! + 60)
  await refused(t, system, { file: path, offset: offsets[1]!, message: /Restore the folder from a backup/ })
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

t.test('a changed byte in a sealed segment is refused, wherever it is', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  t.equal(image.segments().length, 3)
  const path = image.segments()[1]!
  for (let at = 0; at < image.bytes(path).length; at++) {
    const system = image.copy()
    flip(system, path, at)
    const error = await openFake(system).then(
      () => undefined,
      (error: StoreError) => error,
    )
    if (error?.details.file !== path) t.fail(`byte ${at}: ${error?.message}`)
  }
  t.pass()
})

t.test('a missing segment is refused and named: first, middle, last', async (t) => {
  const image = await killedJournal(jobs(60), SMALL)
  const paths = image.segments()
  for (const [index, path] of paths.entries()) {
    const system = image.copy()
    system.remove(path)
    await refused(t, system, { message: new RegExp(`segment ${index + 1} of 1 to ${paths.length} is missing`) })
  }
})

t.test('segments that changed places, or come from another journal, are refused', async (t) => {
  const image = await killedJournal(jobs(60), SMALL)
  const [, second, third] = image.segments()
  const swapped = image.copy()
  swapped.files.set(second!, image.files.get(third!)!)
  swapped.files.set(third!, image.files.get(second!)!)
  await refused(t, swapped, { file: second!, offset: 0 })
  const other = await killedJournal(jobs(60), SMALL)
  const mixed = image.copy()
  mixed.files.set(second!, other.files.get(second!)!)
  await refused(t, mixed, { file: second!, offset: 0 })
})

t.test('a batch that changed places within its segment is refused', async (t) => {
  const image = await killedJournal(jobs(4))
  const path = tail(image)
  const [, second, third, fourth] = batchOffsets(image.bytes(path))
  image.change(path, (bytes) => {
    const swapped = Buffer.from(bytes)
    bytes.copy(swapped, second, third, fourth)
    bytes.copy(swapped, second! + fourth! - third!, second, third)
    return swapped
  })
  await refused(t, image, { file: path, offset: second! })
})

t.test('without a valid manifest nothing is opened, made or deleted', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  const damaged = image.copy()
  for (const slot of ['a', 'b']) flip(damaged, `${DIR}/MANIFEST.${slot}`, 9)
  await refused(t, damaged, { message: /no valid manifest/ })
  const missing = image.copy()
  for (const slot of ['a', 'b']) missing.remove(`${DIR}/MANIFEST.${slot}`)
  await refused(t, missing, { message: /no valid manifest/ })
})

t.test('one damaged manifest is enough to lose nothing', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  for (const slot of ['a', 'b']) {
    const system = image.copy()
    flip(system, `${DIR}/MANIFEST.${slot}`, 9)
    const store = await openFake(system, { segmentBytes: SMALL })
    t.equal((await keys(store)).length, 30, `slot ${slot}`)
    await store.close()
    t.equal((await keys(await openFake(system))).length, 30)
  }
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

t.test('after a clean stop the journal must end where it was closed', async (t) => {
  const image = await killedJournal(jobs(3))
  await (await openFake(image)).close()
  const path = tail(image)
  const { length } = image.bytes(path)
  for (let end = 0; end < length; end++) {
    const system = image.copy()
    system.change(path, (bytes) => bytes.subarray(0, end))
    const error = await openFake(system).then(
      () => undefined,
      (error: StoreError) => error,
    )
    if (error?.code !== 'JOURNAL_CORRUPT') t.fail(`cut at ${end}`)
  }
  const longer = image.copy()
  longer.change(path, (bytes) => Buffer.concat([bytes, Buffer.from('more')]))
  await refused(t, longer, { file: path, offset: length })
})

t.test('after an empty batch has proven the last one, damage to that one is refused', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { idleMs: 1 })
  await add(store, 'k')
  const path = tail(system)
  // The idle batch is the second one.
  while (batchOffsets(system.bytes(path)).length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  const copy = system.copy()
  const [first] = batchOffsets(copy.bytes(path))
  flip(copy, path, first! + 70)
  await refused(t, copy, { file: path, offset: first! })
  t.same(await keys(await openFake(system.copy())), ['k'])
})

t.test('a file that a crash left half made is cleared away', async (t) => {
  const system = await killedJournal(jobs(30), SMALL)
  const name = `${DIR}/0000000000000099-0000000000000001.seg.tmp`
  system.files.set(name, { bytes: Buffer.from('half') })
  await openFake(system)
  t.notOk(system.files.has(name))
})

t.test('a crash at every step of recovery leaves a journal that the next one opens', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  const path = tail(image)
  const last = batchOffsets(image.bytes(path)).at(-1)!
  image.change(path, (bytes) => bytes.subarray(0, last + 60))
  for (let stop = 1; ; stop++) {
    const system = image.copy()
    let calls = 0
    system.before = (call, at) => {
      if (++calls === stop) throw new Error(`killed at ${call} ${at}`)
    }
    const died = await openFake(system).then(
      () => false,
      () => true,
    )
    const next = system.copy()
    t.equal((await keys(await openFake(next, { segmentBytes: SMALL }))).length, 29, `killed at call ${stop}`)
    if (!died) break
  }
})

t.test('a new folder whose making was cut short is begun again', async (t) => {
  for (let stop = 1; ; stop++) {
    const system = new FakeFs()
    let calls = 0
    system.before = (call) => {
      if (++calls === stop) throw new Error(`killed at ${call}`)
    }
    const died = await openFake(system)
      .then((store) => add(store, 'k'))
      .then(
        () => false,
        () => true,
      )
    const next = system.copy()
    const store = await openFake(next)
    await add(store, 'k')
    t.same(await keys(store), ['k'], `killed at call ${stop}`)
    if (!died) break
  }
})
