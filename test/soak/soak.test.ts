import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t from 'tap'
import { checks } from './checks.js'
import { type SoakResult, soak } from './soak.js'

t.setTimeout(280_000)

t.test('20 workers crash at random under load, for some seconds: all of it is accounted for', async (t) => {
  // Not `t.testdir()`: a journal belongs on a disk.
  const folder = mkdtempSync(`${tmpdir()}/offstage-soak-`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const result = await soak({ folder, seconds: 4, rate: 100 })
  for (const { what, found, ok, speed } of checks(result)) {
    t.comment(`${what}: ${found}`)
    if (speed !== true) t.ok(ok, `${what}: ${found}`)
  }
})

t.test('and each of these would be noticed', async (t) => {
  const good: SoakResult = {
    calls: { answered: 9, rejected: { WORKER_CRASHED: 1 }, open: 0 },
    jobs: { enqueued: 2, finished: 1, dead: 1, stranded: [] },
    crashes: 1,
    notRunning: [],
    delays: { p99: 1, max: 9 },
    idle: { p99: 1, max: 9 },
    memory: { quarter: 100, end: 110 },
  }
  const failed = (change: Partial<SoakResult>) => checks({ ...good, ...change }).flatMap(({ ok }, i) => (ok ? [] : [i]))
  t.same(failed({}), [])
  t.same(failed({ crashes: 0 }), [0])
  t.same(failed({ calls: { ...good.calls, open: 1 } }), [1])
  t.same(failed({ jobs: { ...good.jobs, stranded: ['job 1'] } }), [2])
  t.same(failed({ notRunning: ['soak_1'] }), [3])
  t.same(failed({ memory: { quarter: 100, end: 200 } }), [4])
  t.same(failed({ delays: { p99: 51, max: 51 } }), [5])
})
