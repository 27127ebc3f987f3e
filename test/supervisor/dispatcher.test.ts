import t, { type Test } from 'tap'
import type { ReplySink } from '#offstage/actors/reply.js'
import { RemoteWorkerError, StoreError } from '#offstage/errors.js'
import { MemoryStore } from '#offstage/persistence/memory/store.js'
import type { Attempt, NewJob, QueueName } from '#offstage/persistence/store.js'
import { Dispatcher } from '#offstage/supervisor/dispatcher.js'
import { WatchedJobs } from '#offstage/supervisor/watched-jobs.js'
import { encodeFailure } from '#offstage/wire/failure.js'

const QUEUE = { worker: 'w', workerKey: '' }
const JOB: NewJob = {
  ...QUEUE,
  method: 'm',
  jobKey: 'k',
  payload: new Uint8Array(0),
  runAt: 0,
  priority: 0,
  maxAttempts: 2,
  atMostOnce: false,
}
const FULL = new StoreError('STORE_FULL', 'nothing was stored', { retryable: true })
const NOTHING = Buffer.alloc(0)

/** A store whose disk can be full, and whose claims can be held back. */
class TestStore extends MemoryStore {
  full = false
  gate: Promise<void> | undefined

  override async claim(queue: QueueName, limit: number, lastAttempts?: number) {
    if (this.full) throw FULL
    const jobs = await super.claim(queue, limit, lastAttempts)
    await this.gate
    return jobs
  }

  override async finish(attempts: readonly Attempt[]) {
    if (this.full) throw FULL
    return super.finish(attempts)
  }

  override async release(attempt: Attempt, options?: { runAt?: number; counted?: boolean }) {
    if (this.full) throw FULL
    return super.release(attempt, options)
  }
}

/** A dispatcher with one worker, which keeps what it is sent until the test answers. */
function setUp(t: Test) {
  const store = new TestStore()
  const sent: { sink: ReplySink; tag: number }[] = []
  let heard: () => void = () => {}
  const actor = {
    room: 1,
    free: 1,
    send(_body: Buffer, _method: string, _timeout: number, sink: ReplySink, tag: number) {
      sent.push({ sink, tag })
      heard()
      return 0
    },
  }
  const registry = { find: () => actor, retryOf: () => undefined }
  const log = { warn() {}, error() {} }
  const limits = { allowed: (_queue: QueueName, room: number) => room, claimed() {}, stop() {} }
  const dispatcher = new Dispatcher({
    store,
    registry,
    limits,
    watched: new WatchedJobs(store),
    log,
    releaseDelay: 60_000,
  } as never)
  dispatcher.start()
  t.teardown(() => dispatcher.stop())
  const turns = async (count: number) => {
    while (sent.length < count) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    return sent[count - 1]!
  }
  return { store, actor, dispatcher, turns }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('jobs that could not be claimed, because the disk was full, are claimed by a later sweep', async (t) => {
  const { store, dispatcher, turns } = setUp(t)
  store.full = true
  await store.enqueue([JOB])
  await turn()
  store.full = false
  dispatcher.sweep()
  const { sink, tag } = await turns(1)
  sink.result(tag, NOTHING, 0, 0)
})

t.test('an outcome that the disk had no room for is stored by a later sweep', async (t) => {
  const { store, dispatcher, turns } = setUp(t)
  await store.enqueue([JOB])
  const { sink, tag } = await turns(1)
  store.full = true
  sink.result(tag, NOTHING, 0, 0)
  await turn()
  await turn()
  t.match(store.counts(), { active: 1 })
  dispatcher.sweep()
  await turn()
  store.full = false
  dispatcher.sweep()
  await turn()
  t.match(store.counts(), { active: 0, ready: 0, scheduled: 0, dead: 0 })
})

for (const how of ['finish', 'release'] as const) {
  t.test(`persistentJob.${how}() waits for the disk to have room`, async (t) => {
    const { store, dispatcher, turns } = setUp(t)
    await store.enqueue([JOB])
    const { sink, tag } = await turns(1)
    store.full = true
    const done = new Promise((resolve) => sink.settle(tag, how, resolve))
    await turn()
    store.full = false
    dispatcher.sweep()
    t.equal(await done, true)
    sink.result(tag, NOTHING, 0, 0)
    t.match(store.counts(), { active: 0, scheduled: how === 'release' ? 1 : 0 })
  })
}

t.test('what still has no room when it stops is given up, and stop does not wait for it', async (t) => {
  const { store, dispatcher, turns } = setUp(t)
  await store.enqueue([JOB])
  const { sink, tag } = await turns(1)
  store.full = true
  sink.result(tag, NOTHING, 0, 0)
  await turn()
  await dispatcher.stop()
  t.match(store.counts(), { active: 1 })
})

t.test('stop waits for a claim that is under way: its jobs go back, and have lost no attempt', async (t) => {
  const { store, dispatcher } = setUp(t)
  let open: () => void = () => {}
  store.gate = new Promise((resolve) => {
    open = resolve
  })
  await store.enqueue([JOB])
  await turn()
  t.match(store.counts(), { active: 1 }, 'the claim has begun')
  let stopped = false
  const stopping = dispatcher.stop().then(() => {
    stopped = true
  })
  await turn()
  t.equal(stopped, false)
  open()
  await stopping
  t.match(await store.inspect({}), [{ state: 'ready', attempts: 0 }])
})

t.test('a job that cannot be started for a reason of its own uses up its attempts', async (t) => {
  const { store, turns } = setUp(t)
  await store.enqueue([{ ...JOB, maxAttempts: 1 }])
  const { sink, tag } = await turns(1)
  const bytes = Buffer.from(encodeFailure(new RemoteWorkerError('BAD_ARGUMENT', 'cannot be read')))
  sink.failed(tag, bytes, 0, bytes.length)
  await turn()
  t.match(await store.inspect({}), [{ state: 'dead', attempts: 1 }])
})
