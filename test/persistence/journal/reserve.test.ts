import t from 'tap'
import type { OffstageError } from '#offstage/errors.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { add, FAILURE, keys, openFake, QUEUE } from './journals.js'

const RESERVE = '/journal/RESERVE'
const KEPT = 32 * 1024
const argument = Buffer.alloc(1000)

function setup() {
  const system = new FakeFs()
  const told: string[] = []
  const tell = (_: object, message: string) => told.push(message)
  const options = { reserveBytes: KEPT, segmentBytes: 64 * 1024, log: { info: tell, warn: tell, error: tell } }
  return { system, told, options, open: () => openFake(system, options) }
}

/** Enqueues until the disk is full; the number of jobs that were acknowledged. */
async function fill(enqueue: (key: string) => Promise<unknown>): Promise<number> {
  for (let i = 0; ; i++) {
    const error = await enqueue(`job ${i}`).then(
      () => undefined,
      (error: OffstageError) => error,
    )
    if (error === undefined) continue
    t.match(error, { code: 'STORE_FULL', executed: 'no', retryable: true })
    return i
  }
}

t.test('the reserve is made of written bytes, once', async (t) => {
  const { system, open } = setup()
  const store = await open()
  await add(store, 'a')
  t.equal(system.bytes(RESERVE).length, KEPT)
  await store.close()
  let made = 0
  system.before = (call, path) => {
    if (call === 'create' && path.includes('RESERVE')) made++
  }
  await (await open()).close()
  t.equal(made, 0)
})

t.test('on a full disk new jobs are refused, jobs still run and end, and it resumes by itself', async (t) => {
  const { system, told, open } = setup()
  const store = await open()
  await add(store, 'first')
  system.capacity = 300_000
  const acknowledged = await fill((key) => store.enqueue([newJob(key, { payload: argument })]))
  t.ok(acknowledged > 50)
  // Together with an enqueue, which alone is refused.
  const [job, other] = await store.claim(QUEUE, 2)
  const [refused, finished, failed] = await Promise.allSettled([
    store.enqueue([newJob('no room')]),
    store.finish([job!]),
    store.fail(other!, FAILURE),
  ])
  t.match(refused, { status: 'rejected', reason: { code: 'STORE_FULL' } })
  t.match(finished, { status: 'fulfilled', value: [true] })
  t.match(failed, { status: 'fulfilled', value: { state: 'retry' } })
  t.equal(told.filter((message) => /disk is full/.test(message)).length, 1)
  for (let i = 0; i < 60; i++) t.same(await store.finish(await store.claim(QUEUE, 1)), [true])
  t.notOk(system.files.has(RESERVE), 'its room was needed')
  const [retried] = await store.inspect({ jobKey: other!.jobKey })
  t.same(retried?.failure, FAILURE)
  const left = await keys(store)
  t.same(await keys(await openFake(system.copy())), left, 'as the disk has it')

  system.capacity = 330_000
  t.match(
    await store.enqueue([newJob('no room')]).catch((error) => error),
    { code: 'STORE_FULL' },
    'not for a few bytes',
  )
  system.capacity = 1_000_000
  t.match(await store.enqueue([newJob('room')]), [{ created: true }])
  t.ok(told.some((message) => /has room again/.test(message)))
  t.ok(system.files.has(RESERVE))
  t.same(await keys(await openFake(system.copy())), [...left, 'room'])
  await store.close()
  t.same(await keys(await openFake(system)), [...left, 'room'])
})

t.test('a disk that has no room for the reserve at the start takes no jobs before it has', async (t) => {
  const { system, told, options } = setup()
  await (await openFake(system, { ...options, reserveBytes: 0 })).close()
  system.capacity = 10_000
  const store = await openFake(system, options)
  t.match(await store.enqueue([newJob('a')]).catch((error) => error), { code: 'STORE_FULL' })
  t.match(told.join(), /disk is full/)
  system.capacity = 1_000_000
  t.match(await store.enqueue([newJob('a')]), [{ created: true }])
  await store.close()
})

t.test('an enqueue that relies on a refused one is refused with it', async (t) => {
  const { system, open } = setup()
  const store = await open()
  await add(store, 'runs')
  const [job] = await store.claim(QUEUE, 1)
  system.capacity = 0
  await fill((key) => store.enqueue([newJob(key, { runAt: 9e12, payload: argument })]))
  const [first, second, end] = await Promise.allSettled([
    store.enqueue([newJob('same')]),
    store.enqueue([newJob('same')]),
    store.finish([job!]),
  ])
  t.match(first, { reason: { code: 'STORE_FULL' } })
  t.match(second, { reason: { code: 'STORE_FULL' } })
  t.match(end, { value: [true] })
  system.capacity = Number.POSITIVE_INFINITY
  t.match(await store.enqueue([newJob('same')]), [{ created: true }])
})
