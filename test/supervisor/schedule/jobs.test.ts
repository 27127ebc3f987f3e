import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'

import t, { type Test } from 'tap'
import { StoreError } from '#offstage/errors.js'
import { MemoryStore } from '#offstage/persistence/memory/store.js'
import type { NewJob } from '#offstage/persistence/store.js'
import { openFirings } from '#offstage/supervisor/schedule/firings.js'
import { ScheduledJobs } from '#offstage/supervisor/schedule/jobs.js'
import { readPlan } from '#offstage/supervisor/schedule/plan.js'

/** A store that can be slow, or full. */
class TestStore extends MemoryStore {
  readonly asked = new EventEmitter()
  gate: Promise<void> | undefined
  full = false

  override async enqueue(jobs: readonly NewJob[]) {
    this.asked.emit('enqueue')
    await this.gate
    if (this.full) throw new StoreError('STORE_FULL', 'nothing was stored', { retryable: true })
    return super.enqueue(jobs)
  }
}

function setUp(t: Test) {
  const store = new TestStore()
  const firings = openFirings(join(t.testdir({}), 'schedules.json'))
  const log = { error() {} } as never
  const options = { store, firings, log, attemptsOf: () => 1, onScheduled() {}, random: () => 0 }
  const jobs = new ScheduledJobs(options)
  t.teardown(() => jobs.stop())
  const target = { worker: 'w', workerKey: '', method: 'm' }
  const planned = readPlan(target, { cron: '0 0 0 1 1 * 2199', timezone: 'UTC', persistent: true }, 'a schedule')
  const schedule = { ...planned, times: planned.timesFrom(Date.now()) }
  return { store, jobs, schedule, firings, queued: async () => (await store.inspect({})).map(({ jobKey }) => jobKey) }
}

t.test('a firing that the store took only after the schedule was paused is taken back', async (t) => {
  const { store, jobs, schedule, firings, queued } = setUp(t)
  let open = () => {}
  store.gate = new Promise((resolve) => {
    open = resolve
  })
  const planned = jobs.plan(schedule, Date.now())
  await jobs.takeBack(schedule)
  open()
  await planned
  t.same(await queued(), [])
  jobs.allow(schedule)
  await jobs.plan(schedule, Date.now())
  t.same(await queued(), ['m@2199-01-01T00:00:00.000Z'])
  t.match(firings.get('w.m'), { at: Date.UTC(2199, 0, 1), queued: { method: 'm' } })
})

t.test('a firing that the store refuses is tried again', async (t) => {
  const { store, jobs, schedule, firings, queued } = setUp(t)
  store.full = true
  await jobs.plan(schedule, Date.now())
  t.same(await queued(), [])
  store.full = false
  await once(store.asked, 'enqueue')
  while (firings.get('w.m') === undefined) await new Promise((resolve) => setImmediate(resolve))
  t.same(await queued(), ['m@2199-01-01T00:00:00.000Z'])
  // Behind what is being written, into a folder that goes with the test.
  await firings.set('another', undefined)
})
