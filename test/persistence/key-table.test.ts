import fc from 'fast-check'
import t from 'tap'
import { MemoryBodies } from '#offstage/persistence/memory/bodies.js'
import { JobColumns, NONE } from '#offstage/persistence/queue/job-columns.js'
import type { JobQueue } from '#offstage/persistence/queue/job-queue.js'
import { QueueState } from '#offstage/persistence/queue/queue-state.js'
import { newJob } from '../contract/job-store.js'

function setup(seed = 1) {
  const state = new QueueState(new JobColumns(), new MemoryBodies(), seed)
  let id = 1
  const find = (queue: JobQueue, jobKey: string) => state.keys.find(queue.number, state.hash.ofText(jobKey), jobKey)
  const addJob = (queue: JobQueue, jobKey: string): number => {
    state.hash.ofText(jobKey)
    const row = state.add(id++, queue, 0, 0, 1, false)
    state.bodies.add(row, newJob(jobKey), 0)
    return row
  }
  const add = (queue: JobQueue, jobKey: string): number => {
    const row = addJob(queue, jobKey)
    state.keys.add(row)
    return row
  }
  return { state, find, add, addJob }
}

t.test('keys of different queues are different keys', async (t) => {
  const { state, find, add } = setup()
  const [a, b] = [state.ensure('a', ''), state.ensure('b', '')]
  const first = add(a, 'k')
  t.equal(find(b, 'k'), NONE)
  const second = add(b, 'k')
  t.equal(find(a, 'k'), first)
  state.forget(first)
  t.equal(find(a, 'k'), NONE)
  t.equal(find(b, 'k'), second)
  t.same([...state.all()], [b], 'a queue without jobs is not kept')
})

t.test('removing a job that does not hold its key leaves the one that does', async (t) => {
  const { state, find, add, addJob } = setup()
  const queue = state.ensure('a', '')
  const dead = addJob(queue, 'k')
  const holder = add(queue, 'k')
  t.equal(state.keys.remove(dead), false)
  t.equal(find(queue, 'k'), holder)
})

t.test('two keys with the same hash are two keys', async (t) => {
  const { state, find, add } = setup()
  const queue = state.ensure('a', '')
  const { jobs } = state
  const first = add(queue, 'one')
  state.keys.remove(first)
  const { a, b } = state.hash.ofText('two')
  jobs.hashA.set(first, a)
  jobs.hashB.set(first, b)
  state.keys.add(first)
  t.equal(find(queue, 'two'), NONE, 'the key itself is compared')
  const second = add(queue, 'two')
  t.equal(find(queue, 'two'), second)
})

// Several times what the smallest shards hold together, so that they are nearly full for long, grow, and wrap around.
t.test('finds what is there and nothing else, however full and however often emptied', async (t) => {
  const steps = fc.array(fc.tuple(fc.nat(4000), fc.boolean()), { minLength: 5000, maxLength: 9000, size: 'max' })
  const check = fc.property(steps, (steps) => {
    const { state, find, add } = setup(steps.length)
    const queue = state.ensure('a', '')
    add(queue, 'stays')
    const expected = new Map<string, number>()
    const see = (key: string) => {
      if (find(queue, key) !== (expected.get(key) ?? NONE)) throw new Error(`key ${key}`)
    }
    for (const [number, drop] of steps) {
      const key = `key ${number}`
      see(key)
      const row = expected.get(key)
      if (row === undefined) expected.set(key, add(queue, key))
      else if (drop) {
        state.forget(row)
        expected.delete(key)
      }
      see(key)
    }
    for (let number = 0; number <= 4000; number++) see(`key ${number}`)
    return queue.jobs === expected.size + 1
  })
  fc.assert(check, { numRuns: 30 })
  t.pass()
})
