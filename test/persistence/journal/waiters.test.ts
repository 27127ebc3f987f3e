import t from 'tap'
import { DEFAULT_BACKOFF } from '#offstage/persistence/backoff.js'
import { Waiters } from '#offstage/persistence/journal/waiters.js'
import { Queue } from '#offstage/persistence/queue.js'
import { QueueState } from '#offstage/persistence/queue-state.js'
import { newJob } from '../../contract/job-store.js'

const FULL = new Error('full')

function setup(...keys: string[]) {
  const queue = new Queue(new QueueState(), { backoff: DEFAULT_BACKOFF, random: Math.random })
  for (const [index, key] of keys.entries()) queue.enqueue(newJob(key), index + 1, 0)
  return { queue, waiters: new Waiters(queue) }
}

function settled(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise, Promise.resolve('waiting')]).catch((error: unknown) => error)
}

t.test('answers in order, each when its records are stored, and commits what they hold', async (t) => {
  const { queue, waiters } = setup('a', 'b', 'c')
  const first = waiters.add(2, [1, 2], 'first')
  const second = waiters.add(3, [3], 'second')
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
  const { queue, waiters } = setup('a', 'b', 'c')
  const original = waiters.add(1, [1], 'original')
  const relies = waiters.add(2, [2], 'relies', 1)
  const other = waiters.add(3, [3], 'other')
  waiters.refused(1, FULL)
  t.equal(await settled(original), FULL)
  t.equal(await settled(relies), FULL)
  t.equal(queue.isStoring(1), false, 'forgotten')
  t.equal(queue.isStoring(2), true)
  waiters.stored(3, 0)
  t.equal(await settled(other), 'other')
  t.equal(queue.counts().ready, 2)
})

t.test('an answer that relies on a record which is stored first is not held up by a refusal after it', async (t) => {
  const { waiters } = setup('a', 'b')
  const original = waiters.add(1, [1], 'original')
  const relies = waiters.add(1, [], 'relies', 1)
  waiters.stored(1, 0)
  t.equal(await settled(original), 'original')
  t.equal(await settled(relies), 'relies')
  const later = waiters.add(2, [2], 'later')
  waiters.refused(2, FULL)
  t.equal(await settled(later), FULL)
})

t.test('a failure rejects all, and thousands of answers leave nothing behind', async (t) => {
  const { waiters } = setup()
  const answered: Promise<number>[] = []
  for (let seq = 1; seq <= 10_000; seq++) answered.push(waiters.add(seq, [], seq))
  waiters.stored(4000, 0)
  waiters.stored(9999, 0)
  t.equal(await answered[9998], 9999)
  const failed = new Error('failed')
  waiters.failed(failed)
  await t.rejects(answered[9999]!, failed)
  t.equal(waiters.empty, true)
})
