import fc from 'fast-check'
import t from 'tap'
import type { ClaimedJob, FoundJob, JobInfo, JobStore } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs } from './fake-fs.js'
import { allJobs, equal, FAILURE, openFake } from './journals.js'

const KEYS = ['1', '2', '3', '4', '5', '6']
const WORKERS = ['a', 'b']

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('enqueue' as const),
      worker: fc.constantFrom(...WORKERS),
      jobKeys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 4 }),
      delay: fc.constantFrom(0, 0, 5000),
      priority: fc.constantFrom(-1, 0, 7),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      atMostOnce: fc.constantFrom(false, false, true),
      whenTaken: fc.constantFrom(undefined, undefined, 'replace' as const, 'debounce' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('claim' as const),
      worker: fc.constantFrom(...WORKERS),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constantFrom('finish' as const, 'fail' as const, 'crash' as const, 'release' as const, 'unclaim' as const),
      pick: fc.nat(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('remove' as const),
      worker: fc.constantFrom(...WORKERS),
      jobKey: fc.constantFrom(...KEYS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('reschedule' as const),
      worker: fc.constantFrom(...WORKERS),
      jobKey: fc.constantFrom(...KEYS),
      delay: fc.integer({ min: -10, max: 5000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('revive' as const, 'discard' as const), pick: fc.nat() }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('close' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('kill' as const) }) },
)

t.test('any history, with stops and kills in between, is found again as it was', async (t) => {
  const check = fc.asyncProperty(fc.array(operation, { maxLength: 60 }), fc.boolean(), async (history, indexed) => {
    let system = new FakeFs()
    let now = 1_750_000_000_000
    const keep = { ms: 8000, entries: 4, bytes: 900 }
    const index = indexed ? { indexAfterMs: 0 } : {}
    const options = { segmentBytes: 1024, idleMs: 1_000_000, clock: () => now++, keep, ...index }
    let store = await openFake(system, options)
    const once = new Set<number>()
    let held: ClaimedJob[] = []
    for (const step of history) {
      if (step.op === 'wait') now += step.ms
      else if (step.op === 'enqueue') {
        const { worker, priority, maxAttempts, atMostOnce, delay, whenTaken } = step
        const more = { worker, priority, maxAttempts, atMostOnce, runAt: now + delay, whenTaken }
        const results = await store.enqueue(step.jobKeys.map((key) => newJob(key, more)))
        for (const { id, created, replaced } of results) {
          if (!created && !replaced) continue
          if (atMostOnce) once.add(id)
          else once.delete(id)
        }
      } else if (step.op === 'claim') held.push(...(await store.claim({ ...step, workerKey: '' }, step.limit)))
      else if (step.op === 'remove') await store.remove({ ...step, workerKey: '' }, step.jobKey)
      else if (step.op === 'reschedule') {
        const job = await store.find({ ...step, workerKey: '' })
        if (job !== undefined) await store.reschedule(job.id, now + step.delay)
      } else if (step.op === 'revive' || step.op === 'discard') {
        const dead = await store.inspect({ state: 'dead' })
        if (dead.length === 0) continue
        const { id } = dead[step.pick % dead.length]!
        if (step.op === 'revive') await store.revive(id)
        else await store.discard(id)
      } else if (step.op === 'close' || step.op === 'kill') {
        store.sweep()
        const before = await allJobs(store)
        const results = await allResults(store)
        if (step.op === 'close') await store.close()
        system = system.copy()
        store = await openFake(system, options)
        store.sweep()
        equal(
          await allResults(store),
          results.filter(({ runAt }) => runAt + keep.ms >= now),
        )
        held = []
        equal(
          (await allJobs(store)).map(whenever),
          before.map((job) => whenever(afterRestart(job, now, once))),
        )
      } else if (held.length > 0) {
        const [job] = held.splice(step.pick % held.length, 1)
        if (step.op === 'finish') await store.finish([{ ...job!, value: Buffer.alloc(step.pick % 300, job!.id) }])
        else if (step.op === 'release') await store.release(job!, { runAt: now + 100 })
        else if (step.op === 'unclaim') await store.release(job!, { counted: false })
        else await store.fail(job!, FAILURE, { crashed: step.op === 'crash' })
      }
    }
  })
  await fc.assert(check, { numRuns: 200 })
  t.pass()
})

async function allResults(store: JobStore): Promise<FoundJob[]> {
  const finished = await store.inspect({ state: 'finished' })
  const found = await Promise.all(finished.map(({ id }) => store.find({ id })))
  for (const job of found) equal(job?.value, Buffer.alloc(job!.value!.length, job!.id))
  return found.map((job) => job!)
}

/** Each start takes a job that died with its supervisor for one that has died now. */
function whenever(job: JobInfo): JobInfo {
  return job.failure?.name === 'SupervisorStopped' && job.state === 'dead' ? { ...job, runAt: 0 } : job
}

function afterRestart(job: JobInfo, now: number, once: Set<number>): JobInfo {
  if (job.state === 'scheduled' && job.runAt <= now) return { ...job, state: 'ready' }
  if (job.state !== 'active') return job
  if (job.attempts < job.maxAttempts && !once.has(job.id)) return { ...job, state: 'ready' }
  const message = `the supervisor stopped while attempt ${job.attempts} ran`
  const failure = {
    name: 'SupervisorStopped',
    message: once.has(job.id) ? `outcome unknown: ${message}` : message,
  }
  return { ...job, state: 'dead', failure }
}
