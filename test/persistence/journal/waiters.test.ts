import t from 'tap'
import { DEFAULT_BACKOFF } from '#offstage/persistence/backoff.js'
import { Waiters } from '#offstage/persistence/journal/waiters.js'
import { MemoryBodies } from '#offstage/persistence/memory/bodies.js'
import { JobColumns } from '#offstage/persistence/queue/job-columns.js'
import { Queue } from '#offstage/persistence/queue/queue.js'
import { QueueState } from '#offstage/persistence/queue/queue-state.js'
import { newJob } from '../../contract/job-store.js'

const FULL = new Error('full')

function setup(...keys: string[]) {
  const state = new QueueState(new JobColumns(), new MemoryBodies(), 1)
  const queue = new Queue(state, { backoff: DEFAULT_BACKOFF, random: Math.random })
  for (const [index, key] of keys.entries()) queue.enqueue(newJob(key), index + 1, 0)
  const waiters = new Waiters()
  const add = <T>(
    seq: number,
    ids: readonly number[],
    answer: T,
    relies: readonly number[] = [],
    adds = true,
  ): Promise<T> => waiters.add({ seq, owner: queue, ids, answer, relies, adds })
  return { queue, waiters, add }
}

function settled(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise, Promise.resolve('waiting')]).catch((error: unknown) => error)
}

t.test('answers in order, each when its records are stored, and commits what they hold', async (t) => {
  const { queue, waiters, add } = setup('a', 'b', 'c')
  const first = add(2, [1, 2], 'first')
  const second = add(3, [3], 'second')
  waiters.stored(1, 0)
  t.equal(await settled(first), 'waiting')
  waiters.stored(2, 0)
  t.equal(await settled(first), 'first')
  t.equal(await settled(second), 'waiting')
  t.equal(queue.counts().ready, 2)
  waiters.stored(3, 0)
  t.equal(await settled(second), 'second')
  t.equal(waiters.empty, true)
})

t.test('who relied on a refused record is refused, while its own later records are still stored', async (t) => {
  const { queue, waiters, add } = setup('a', 'b', 'c')
  const original = add(1, [1], 'original')
  const relies = add(2, [2], 'relies', [1])
  const other = add(3, [3], 'other')
  waiters.refused(1, FULL, 0)
  t.equal(await settled(original), FULL)
  t.match(await settled(relies), { code: 'STORE_FULL', executed: 'maybe', cause: FULL })
  t.equal(queue.isStoring(1), false, 'forgotten')
  t.equal(queue.isStoring(2), true)
  waiters.stored(3, 0)
  t.equal(await settled(other), 'other')
  t.equal(queue.counts().ready, 2)
})

t.test('an answer that relies on a record which is stored first is not held up by a refusal after it', async (t) => {
  const { waiters, add } = setup('a', 'b')
  const original = add(1, [1], 'original')
  const relies = add(1, [], 'relies', [1])
  waiters.stored(1, 0)
  t.equal(await settled(original), 'original')
  t.equal(await settled(relies), 'relies')
  const later = add(2, [2], 'later')
  waiters.refused(2, FULL, 0)
  t.equal(await settled(later), FULL)
})

t.test('what only the order held back is answered when the call before it is refused', async (t) => {
  const { queue, waiters, add } = setup('a', 'b')
  const original = add(1, [1], 'original')
  waiters.stored(1, 0)
  const before = add(3, [2], 'before')
  const relies = add(1, [], 'relies', [1])
  t.equal(await settled(original), 'original')
  waiters.refused(3, FULL, 0)
  t.equal(await settled(before), FULL)
  t.equal(await settled(relies), 'relies')
  t.equal(queue.counts().ready, 1)
})

t.test('when only new jobs are refused, the other calls wait on for their records', async (t) => {
  const { queue, waiters, add } = setup('a', 'b')
  const added = add(1, [1], 'added')
  const ended = add(2, [2], 'ended', [], false)
  waiters.refused(2, FULL, 0, true)
  t.equal(await settled(added), FULL)
  t.equal(await settled(ended), 'waiting')
  waiters.stored(2, 0)
  t.equal(await settled(ended), 'ended')
  t.equal(queue.counts().ready, 1)
})

t.test('a failure rejects all, and thousands of answers leave nothing behind', async (t) => {
  const { waiters, add } = setup()
  const answered: Promise<number>[] = []
  for (let seq = 1; seq <= 10_000; seq++) answered.push(add(seq, [], seq))
  waiters.stored(4000, 0)
  waiters.stored(9999, 0)
  t.equal(await answered[9998], 9999)
  const failed = new Error('failed')
  waiters.failed(failed)
  await t.rejects(answered[9999]!, failed)
  t.equal(waiters.empty, true)
})

t.test('who relied on several records is refused when any of them is', async (t) => {
  const { waiters, add } = setup('a', 'b', 'c')
  const relies = add(3, [3], 'relies', [1, 2])
  const only = add(2, [], 'only', [1, 2])
  waiters.refused(1, FULL, 0)
  t.match(await settled(relies), { code: 'STORE_FULL', executed: 'maybe' })
  t.equal(await settled(only), FULL, 'nothing of it was to be stored')
  waiters.stored(3, 0)
  t.equal(waiters.empty, true)
})
