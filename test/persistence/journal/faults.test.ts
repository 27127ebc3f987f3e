import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs, systemError } from './fake-fs.js'
import { add, failing, keys, openFake, outcome, QUEUE } from './journals.js'

const SMALL = 2048

t.test('a full disk refuses the batch, leaves no trace of it, and the next one goes on', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system)
  await add(store, 'a', 'b', 'c')
  const [a, b] = await store.claim(QUEUE, 2)
  const path = system.segments()[0]!
  const before = Buffer.from(system.bytes(path))
  failing(system, 'write', 'ENOSPC')
  const calls = [
    store.enqueue([newJob('d')]),
    store.enqueue([newJob('d')]),
    store.finish([a!]),
    store.fail(b!, { name: 'E', message: 'm' }),
    store.claim(QUEUE, 5),
  ]
  for (const error of await Promise.all(calls.map(outcome))) {
    t.match(error, { code: 'STORE_FULL', executed: 'no', retryable: true })
  }
  const after = system.bytes(path)
  t.ok(before.subarray(0, after.length).equals(after))
  t.ok(before.subarray(after.length).every((byte) => byte === 0))
  t.same(store.counts(), { scheduled: 0, ready: 1, active: 2, dead: 0 }, 'as before')

  system.before = () => {}
  t.match(await store.claim(QUEUE, 5), [{ jobKey: 'c', attempt: 1 }])
  t.same(await store.finish([a!]), [true], 'a refused completion can be sent again')
  t.match(await store.enqueue([newJob('d')]), [{ created: true }], 'a refused job does not hold its key')
  t.same(await keys(await openFake(system.copy())), ['b', 'c', 'd'])
  await store.close()
  t.same(await keys(await openFake(system)), ['b', 'c', 'd'])
})

t.test('a disk that is full only for the zeros ahead takes the batch alone', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system)
  let refused = 0
  const { write } = system
  system.write = function (file, parts, position) {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    if (bytes < 10_000) return write.call(this, file, parts, position)
    refused++
    throw systemError('ENOSPC', '')
  }
  await add(store, 'a', 'b')
  t.ok(refused > 0)
  t.same(await keys(await openFake(system.copy())), ['a', 'b'])
})

t.test('a disk that fills up while a segment is sealed loses nothing', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { segmentBytes: SMALL })
  await add(store, ...Array.from({ length: 10 }, (_, i) => `job ${i}`))
  system.before = (call, path) => {
    if (call === 'write' && path === system.segments()[0]) throw systemError('ENOSPC', path)
  }
  const many = Array.from({ length: 12 }, (_, i) => newJob(`more ${i}`))
  t.match(await outcome(store.enqueue(many)), { code: 'STORE_FULL' })
  t.equal((await keys(await openFake(system.copy()))).length, 10)
  system.before = () => {}
  await store.enqueue(many)
  await store.close()
  t.equal((await keys(await openFake(system))).length, 22)
})

t.test('a record that only a newer program knows is refused, unless it may be ignored', async (t) => {
  const { JournalWriter } = await import('#offstage/persistence/journal/writer.js')
  const { recover } = await import('#offstage/persistence/journal/recovery.js')
  const log = { info() {}, warn() {}, error() {} }
  for (const ignorable of [false, true]) {
    const system = new FakeFs()
    await (await openFake(system)).close()
    const clock = () => 1
    const { end } = recover({ system, folder: '/journal', log, clock, cacheBytes: 0 })
    const writer = new JournalWriter({ system, folder: '/journal', segmentBytes: SMALL, clock }, end)
    const record = Buffer.alloc(24)
    record.writeUInt32LE(24, 0)
    record[8] = 77
    record[9] = ignorable ? 128 : 0
    record.writeUInt16LE(1, 10)
    writer.append([record], record.length, 1, 1)
    writer.sync()
    const opened = await openFake(system.copy()).then(
      () => undefined,
      (error: StoreError) => error,
    )
    if (ignorable) t.equal(opened, undefined)
    else t.match(opened, { code: 'JOURNAL_CORRUPT', message: /type 77 was written by a newer offstage/ })
  }
})
