import fc from 'fast-check'
import t from 'tap'
import { createJob, type Job, type JobQueue } from '#offstage/persistence/job.js'
import { QueueState } from '#offstage/persistence/queue-state.js'
import { newJob } from '../contract/job-store.js'

function setup() {
  const state = new QueueState()
  let id = 1
  const add = (queue: JobQueue, jobKey: string): Job => {
    const job = createJob(newJob(jobKey), id++, queue, 0)
    state.jobs.set(job)
    state.keys.add(job)
    return job
  }
  const remove = (job: Job) => {
    state.keys.remove(job)
    state.jobs.delete(job.id)
  }
  return { state, add, remove }
}

t.test('keys of different queues are different keys', async (t) => {
  const { state, add, remove } = setup()
  const [a, b] = [state.ensure('a', ''), state.ensure('b', '')]
  const first = add(a, 'k')
  t.equal(state.keys.find(b, 'k'), undefined)
  const second = add(b, 'k')
  t.equal(state.keys.find(a, 'k'), first)
  remove(first)
  t.equal(state.keys.find(a, 'k'), undefined)
  t.equal(state.keys.find(b, 'k'), second)
  t.same([a.keys, b.keys], [0, 1])
})

t.test('removing a job that does not hold its key leaves the one that does', async (t) => {
  const { state, add } = setup()
  const queue = state.ensure('a', '')
  const dead = createJob(newJob('k'), 1_000_000, queue, 0)
  state.jobs.set(dead)
  const holder = add(queue, 'k')
  state.keys.remove(dead)
  t.equal(state.keys.find(queue, 'k'), holder)
})

// Over the smallest table's limit (683), so that it is nearly full for long, grows, and entries wrap around.
t.test('finds what is there and nothing else, however full and however often emptied', async (t) => {
  const steps = fc.array(fc.tuple(fc.nat(900), fc.boolean()), { minLength: 2000, maxLength: 6000, size: 'max' })
  const check = fc.property(steps, (steps) => {
    const { state, add, remove } = setup()
    const queue = state.ensure('a', '')
    const expected = new Map<string, Job>()
    const see = (key: string) => {
      if (state.keys.find(queue, key) !== expected.get(key)) throw new Error(`key ${key}`)
    }
    for (const [number, drop] of steps) {
      const key = `key ${number}`
      see(key)
      const job = expected.get(key)
      if (job === undefined) expected.set(key, add(queue, key))
      else if (drop) {
        remove(job)
        expected.delete(key)
      }
      see(key)
    }
    for (let number = 0; number <= 900; number++) see(`key ${number}`)
    return queue.keys === expected.size
  })
  fc.assert(check, { numRuns: 30 })
  t.pass()
})
