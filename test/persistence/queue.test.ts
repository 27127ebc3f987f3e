import fc from 'fast-check'
import t from 'tap'
import { backoffDelay, DEFAULT_BACKOFF } from '#offstage/persistence/backoff.js'
import { MemoryBodies } from '#offstage/persistence/memory/bodies.js'
import { JobColumns } from '#offstage/persistence/queue/job-columns.js'
import { Queue } from '#offstage/persistence/queue/queue.js'
import { QueueState } from '#offstage/persistence/queue/queue-state.js'
import type { NewJob } from '#offstage/persistence/store.js'
import { QueueModel } from './queue-model.js'

const A = { worker: 'a', workerKey: '' }
const RULES = { backoff: DEFAULT_BACKOFF, random: () => 0.5 }
const FAILURE = { name: 'Error', message: 'no' }

function newJob(jobKey: string, more: Partial<NewJob> = {}): NewJob {
  return {
    ...A,
    method: 'run',
    jobKey,
    payload: new Uint8Array(),
    runAt: 0,
    priority: 0,
    maxAttempts: 5,
    atMostOnce: false,
    ...more,
  }
}

function newState(): QueueState {
  return new QueueState(new JobColumns(), new MemoryBodies(), 1)
}

function setup() {
  const queue = new Queue(newState(), RULES)
  let next = 1
  const add = (jobKey: string, more: Partial<NewJob> = {}) => {
    const id = queue.enqueue(newJob(jobKey, more), next, 0)
    if (id === next) queue.commit(next++, 0)
    return id
  }
  return { queue, add }
}

t.test('backoff doubles from one second, stays within an hour and its jitter', async (t) => {
  t.equal(backoffDelay(DEFAULT_BACKOFF, 1, 0.5), 1000)
  t.equal(backoffDelay(DEFAULT_BACKOFF, 4, 0.5), 8000)
  t.equal(backoffDelay(DEFAULT_BACKOFF, 1, 0), 800)
  t.ok(backoffDelay(DEFAULT_BACKOFF, 1, 0.9999) <= 1200)
  t.equal(backoffDelay(DEFAULT_BACKOFF, 60, 0.9), 3_600_000)
  t.equal(backoffDelay(DEFAULT_BACKOFF, 5000, 0), 2_880_000)
})

t.test('a job that is not durable can be neither claimed nor seen, and holds its key', async (t) => {
  const { queue } = setup()
  t.equal(queue.enqueue(newJob('k'), 1, 0), 1)
  t.equal(queue.isStoring(1), true)
  t.same(queue.claim(A, 10, 0), [])
  t.same(await queue.inspect({}), [])
  t.equal(queue.remove(A, 'k'), undefined)
  t.equal(queue.enqueue(newJob('k'), 2, 0), 1)
  queue.abort(1)
  t.equal(queue.enqueue(newJob('k'), 2, 0), 2, 'a refused job frees its key')
})

t.test('while a completion is not durable the attempt is over and the key is held', async (t) => {
  const { queue, add } = setup()
  add('k')
  const [job] = queue.claim(A, 1, 0)
  queue.commit(1, 0)
  t.equal(queue.finish(job!, 0), true)
  t.equal(queue.finish(job!, 0), false)
  t.same(queue.fail(job!, FAILURE, 0), { state: 'stale' })
  t.equal(add('k'), 1)
  queue.abort(1)
  t.equal(queue.finish(job!, 0), true, 'a refused completion can be sent again')
  queue.commit(1, 0)
  t.equal(add('k'), 2)
})

t.test('a refused claim gives its attempt back', async (t) => {
  const { queue, add } = setup()
  add('k')
  t.equal(queue.claim(A, 1, 0)[0]?.attempt, 1)
  queue.abort(1)
  t.equal(queue.claim(A, 1, 0)[0]?.attempt, 1)
})

t.test('a job whose removal is not durable cannot be claimed; refused, it can', async (t) => {
  const { queue, add } = setup()
  add('k')
  t.equal(queue.remove(A, 'k'), 1)
  t.same(queue.claim(A, 1, 0), [])
  queue.abort(1)
  t.equal(queue.claim(A, 1, 0).length, 1)
})

t.test(
  'of jobs on their last attempt only as many are claimed as can start, and what comes after them waits',
  async (t) => {
    const { queue, add } = setup()
    add('many')
    add('last', { maxAttempts: 1 })
    add('once', { atMostOnce: true })
    add('more')
    const keys = (lastAttempts: number) => queue.claim(A, 9, 0, lastAttempts).map((job) => job.jobKey)
    t.same(keys(0), ['many'])
    t.same(keys(0), [], 'the order is kept')
    t.same(keys(1), ['last'])
    t.same(keys(1), ['once', 'more'])
  },
)

t.test('a suspect waits until nothing runs, and runs alone', async (t) => {
  const { queue, add } = setup()
  const settle = (id: number) => queue.commit(id, 10_000)
  for (const key of ['x', 'y', 'z']) add(key)
  const [x, y] = queue.claim(A, 2, 0)
  settle(1)
  settle(2)
  queue.fail(x!, FAILURE, 0, { crashed: true })
  settle(1)
  queue.takeGained()
  t.same(queue.claim(A, 9, 10_000), [], 'y still runs')
  queue.finish(y!, 0)
  settle(2)
  t.same(
    queue.takeGained().map((q) => q.worker),
    ['a'],
    'told when the suspect can run',
  )
  const alone = queue.claim(A, 9, 10_000)
  t.match(alone, [{ id: 1, suspect: true, attempt: 2 }])
  t.equal(alone.length, 1)
  settle(1)
  t.same(queue.claim(A, 9, 10_000), [], 'nothing beside it')
  queue.finish(alone[0]!, 0)
  settle(1)
  t.equal(queue.takeGained().length, 1, 'told when the others can run')
  t.equal(queue.claim(A, 9, 10_000).length, 1)
})

t.test('forgets queues that have no jobs', async (t) => {
  const state = newState()
  const queue = new Queue(state, RULES)
  for (let id = 1; id <= 100; id++) {
    const name = { worker: 'a', workerKey: `key ${id}` }
    queue.enqueue(newJob('k', name), id, 0)
    queue.commit(id, 0)
    const [job] = queue.claim(name, 1, 0)
    queue.commit(id, 0)
    queue.finish(job!, 0)
    queue.commit(id, 0)
  }
  t.same([...state.all()], [])
})

const operation = fc.oneof(
  fc.record({
    op: fc.constant('enqueue' as const),
    worker: fc.constantFrom('a', 'b'),
    jobKey: fc.constantFrom('1', '2', '3', '4', '5', '6'),
    delay: fc.constantFrom(0, 0, 0, 500, 5000),
    priority: fc.constantFrom(-1, 0, 0, 7),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    atMostOnce: fc.constantFrom(false, false, true),
    whenTaken: fc.constantFrom(undefined, undefined, 'replace' as const, 'debounce' as const),
    refused: fc.constantFrom(false, false, false, true),
  }),
  fc.record({
    op: fc.constant('claim' as const),
    worker: fc.constantFrom('a', 'b'),
    limit: fc.integer({ min: 0, max: 4 }),
    refused: fc.constantFrom(false, false, false, true),
  }),
  fc.record({
    op: fc.constantFrom('finish' as const, 'fail' as const, 'crash' as const, 'release' as const, 'unclaim' as const),
    pick: fc.nat(),
    older: fc.constantFrom(0, 0, 0, 0, 0, 1),
    current: fc.constantFrom(true, true, true, false),
    refused: fc.constantFrom(false, false, false, true),
  }),
  fc.record({
    op: fc.constant('remove' as const),
    worker: fc.constantFrom('a', 'b'),
    jobKey: fc.constantFrom('1', '2', '3', '4', '5', '6'),
    refused: fc.constantFrom(false, true),
  }),
  fc.record({
    op: fc.constant('reschedule' as const),
    pick: fc.nat(),
    delay: fc.integer({ min: -10, max: 3000 }),
    refused: fc.constantFrom(false, true),
  }),
  fc.record({ op: fc.constant('revive' as const), pick: fc.nat(), refused: fc.constantFrom(false, true) }),
  fc.record({ op: fc.constant('discard' as const), pick: fc.nat(), refused: fc.constantFrom(false, true) }),
  fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
)

t.test('behaves as the naive model under any history', async (t) => {
  const check = fc.asyncProperty(
    fc.array(operation, { minLength: 20, maxLength: 120, size: 'max' }),
    async (history) => {
      const queue = new Queue(newState(), RULES)
      const model = new QueueModel()
      const given: { id: number; attempt: number }[] = []
      let now = 1_000_000
      let next = 1
      const delay = (attempt: number) => backoffDelay(DEFAULT_BACKOFF, attempt, 0.5)

      for (const step of history) {
        if (step.op === 'wait') now += step.ms
        else if (step.op === 'enqueue') {
          const job = newJob(step.jobKey, { ...step, runAt: now + step.delay })
          const id = queue.enqueue(job, next, now)
          if (id !== next) {
            equal(id, model.enqueue(next, job))
            const holder = model.get(id)
            const replaces = job.whenTaken !== undefined && holder.state === 'waiting'
            equal(queue.taken, replaces ? 'replaced' : 'kept')
            if (!replaces) continue
            if (step.refused) queue.abort(id)
            else {
              queue.commit(id, now)
              model.replace(id, job)
            }
          } else if (step.refused) queue.abort(next++)
          else {
            equal(id, model.enqueue(next, job))
            queue.commit(next++, now)
          }
        } else if (step.op === 'claim') {
          const jobs = queue.claim({ worker: step.worker, workerKey: '' }, step.limit, now)
          const ids = model.claimable(step.worker, step.limit, now)
          equal(
            jobs.map((job) => job.id),
            ids,
          )
          for (const job of jobs) {
            if (job.runAt > now) throw new Error('claimed too early')
            equal(job.suspect, model.get(job.id).suspect)
            if (step.refused) queue.abort(job.id)
            else {
              queue.commit(job.id, now)
              model.start(job.id)
              equal(job.attempt, model.get(job.id).attempts)
              given.push({ id: job.id, attempt: job.attempt })
            }
          }
        } else if (step.op === 'remove') {
          const id = queue.remove({ worker: step.worker, workerKey: '' }, step.jobKey)
          equal(id, model.waiting(step.worker, step.jobKey)?.id)
          if (id === undefined) continue
          if (step.refused) queue.abort(id)
          else {
            queue.commit(id, now)
            model.drop(id)
          }
        } else if (step.op === 'reschedule') {
          const runAt = now + step.delay
          const id = step.pick % next
          const waits = model.jobs.some((job) => job.id === id && job.state === 'waiting')
          equal(queue.reschedule(id, runAt), waits)
          if (!waits) continue
          if (step.refused) queue.abort(id)
          else {
            queue.commit(id, now)
            model.get(id).runAt = runAt
          }
        } else if (step.op === 'revive' || step.op === 'discard') {
          const id = step.pick % next
          const found = step.op === 'revive' ? queue.revive(id, now) : queue.discard(id)
          equal(found, step.op === 'revive' ? model.revivable(id) : model.discardable(id))
          if (found === false || found === 'unknown' || found === 'taken') continue
          if (step.refused) queue.abort(id)
          else {
            queue.commit(id, now)
            if (step.op === 'revive') model.revive(id, now)
            else model.drop(id)
          }
        } else if (given.length > 0) {
          const active = model.jobs.filter((job) => job.state === 'active')
          const [first] = active.slice(step.pick % (active.length || 1))
          const current = step.current ? first && { id: first.id, attempt: first.attempts } : undefined
          const held = current ?? given[step.pick % given.length]!
          const attempt = { id: held.id, attempt: held.attempt - step.older }
          const accepted = model.current(attempt.id, attempt.attempt) !== undefined
          const crashed = step.op === 'crash'
          if (step.op === 'finish') equal(queue.finish(attempt, 0), accepted)
          else if (step.op === 'release') equal(queue.release(attempt, now + 100, true, now), accepted)
          else if (step.op === 'unclaim') equal(queue.release(attempt, now, false, now), accepted)
          else equal(queue.fail(attempt, FAILURE, now, { crashed }).state !== 'stale', accepted)
          if (!accepted) continue
          if (step.refused) {
            queue.abort(attempt.id)
            continue
          }
          queue.commit(attempt.id, now)
          if (step.op === 'finish') model.drop(attempt.id)
          else if (step.op === 'release') model.release(attempt.id, now + 100, true, now)
          else if (step.op === 'unclaim') model.release(attempt.id, now, false, now)
          else model.fail(attempt.id, delay, crashed, now)
        }
        queue.sweep(now)
        await compare(queue, model, now)
      }
    },
  )
  await fc.assert(check, { numRuns: 600 })
  t.pass()
})

async function compare(queue: Queue, model: QueueModel, now: number): Promise<void> {
  const expected = model.jobs
    .map((job) => {
      const { id, attempts, runAt } = job
      const state = job.state === 'waiting' ? (runAt <= now ? 'ready' : 'scheduled') : job.state
      return { id, attempts, runAt, state }
    })
    .sort((a, b) => a.id - b.id)
  const jobs = await queue.inspect({ limit: 1000 })
  const found = jobs.map(({ id, attempts, runAt, state }) => ({ id, attempts, runAt, state }))
  equal(found, expected)
  for (const worker of ['a', 'b']) {
    const counts = queue.counts({ worker, workerKey: '' })
    for (const state of ['scheduled', 'ready', 'active', 'dead'] as const) {
      equal(counts[state], (await queue.inspect({ worker, state, limit: 1000 })).length)
    }
    const claimable = queue.claimable().some((q) => q.worker === worker)
    equal(claimable, model.claimable(worker, 1, now).length > 0)
  }
  const later = model.jobs.filter((job) => job.state === 'waiting' && job.runAt > now).map((job) => job.runAt)
  equal(queue.nextDue(), later.length > 0 ? Math.min(...later) : undefined)
}

function equal(found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  if (a !== b) throw new Error(`found ${a}, expected ${b}`)
}
