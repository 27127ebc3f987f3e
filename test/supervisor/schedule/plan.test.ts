import t from 'tap'
import { type Plan, planSchema, readPlan } from '#offstage/supervisor/schedule/plan.js'

const NOW = Date.parse('2026-11-27T10:00:00Z')
const target = { worker: 'w', workerKey: '', method: 'm' }
const read = (plan: Plan) => readPlan(target, planSchema.parse(plan), 'schedules.w.m')

function timesOf(plan: Plan, most = 10, after = NOW): string[] {
  const times = read(plan).timesFrom(NOW)
  const found: string[] = []
  for (let at = times(after); at !== undefined && found.length < most; at = times(at)) {
    found.push(new Date(at).toISOString())
  }
  return found
}

t.test('start alone is once, and never again after it', async (t) => {
  for (const [start, at] of [
    ['in 5 seconds', '2026-11-27T10:00:05.000Z'],
    ['in 1.5 hours', '2026-11-27T11:30:00.000Z'],
    ['in 2 weeks', '2026-12-11T10:00:00.000Z'],
    ['2026-12-01T08:00Z', '2026-12-01T08:00:00.000Z'],
    ['2026-12-01 08:00:30.250+02:00', '2026-12-01T06:00:30.250Z'],
    [new Date('2026-12-01T08:00Z'), '2026-12-01T08:00:00.000Z'],
  ] as const) {
    t.strictSame(timesOf({ start }), [at], String(start))
  }
  t.strictSame(timesOf({ start: '2026-11-27T09:59Z' }), [], 'in the past')
})

t.test('a time without a zone is one on the wall of the schedule, also when the clocks are changed', async (t) => {
  const timezone = 'America/New_York'
  t.strictSame(timesOf({ start: '2026-12-01T08:00', timezone }), ['2026-12-01T13:00:00.000Z'])
  t.strictSame(timesOf({ start: '2026-12-01', timezone }), ['2026-12-01T05:00:00.000Z'])
  t.strictSame(timesOf({ start: '2027-03-14T02:30', timezone }), ['2027-03-14T07:30:00.000Z'], 'in a gap')
  t.strictSame(timesOf({ start: '2027-11-07T01:30', timezone }), ['2027-11-07T05:30:00.000Z'], 'in a repeated hour')
})

t.test('start, end and repeat_interval are steps of elapsed time, the end included', async (t) => {
  const wanted = ['2026-11-27T10:00:05.000Z', '2026-11-27T10:01:05.000Z', '2026-11-27T10:02:05.000Z']
  const end = '2026-11-27T10:02:05Z'
  t.strictSame(timesOf({ start: 'in 5 seconds', end, repeat_interval: 60 }), wanted)
  t.strictSame(timesOf({ start: 'in 5 seconds', end, repeat_interval: '1 minute' }), wanted)
  t.strictSame(
    timesOf({ trigger_args: { start: 'in 5 seconds', end, repeat_interval: 60 } }),
    wanted,
    'as in old files',
  )
  const over = { start: 'in 5 seconds', end: '2026-11-27T10:00:04Z', repeat_interval: 60 }
  t.strictSame(timesOf(over), [], 'nothing when the end has passed by the start of the server')
  const past = { start: '2026-01-01T00:00Z', repeat_interval: '1 day' }
  t.strictSame(timesOf(past, 1), ['2026-11-28T00:00:00.000Z'], 'it keeps step with a start long ago')
  t.strictSame(timesOf(past, 1, Date.parse('2026-11-28T00:00Z')), ['2026-11-29T00:00:00.000Z'])
})

t.test('what nothing is said about has its defaults', async (t) => {
  const { overlap, missed, jitter, timeout, persistent, name } = read({ cron: '* * * * * *' })
  t.strictSame(
    { overlap, missed, jitter, timeout, persistent, name },
    { overlap: 'skip', missed: 'skip', jitter: 0, timeout: -1, persistent: false, name: 'w.m' },
  )
  const full = read({ cron: '* * * * * *', jitter: '2 minutes', timeout: 1500 })
  t.strictSame([full.jitter, full.timeout], [120_000, 1_500])
  t.strictSame([read({ cron: '* * * * * *', jitter: 2 }).jitter], [2_000], 'a number counts seconds')
})

const always = { cron: '* * * * * *' }
for (const [plan, problem] of [
  [{}, /schedules\.w\.m needs one of: "cron"/],
  [{ cron: '* * * * * *', start: 'in 5 seconds' }, /needs one of/],
  [{ end: '2030-01-01' }, /has no start/],
  [{ start: '2026-12-01', end: '2027-01-01' }, /an end, but no repeat_interval/],
  [{ start: '2026-12-01', end: '2026-11-30', repeat_interval: 5 }, /end lies before its start/],
  [{ start: 'tomorrow' }, /start is "tomorrow"; allowed: an ISO time/],
  [{ start: '2026-02-31' }, /start is "2026-02-31"/],
  [{ start: '2026-02-31T10:00:00Z' }, /start is "2026-02-31T10:00:00Z"/],
  [{ start: 'in 5 lightyears' }, /start is "in 5 lightyears"/],
  [{ start: 'in 5 seconds', repeat_interval: 0 }, /repeat_interval is 0; allowed: a number of seconds above 0/],
  [{ start: 'in 5 seconds', repeat_interval: 0.1 }, /repeat_interval is below one second/],
  [{ ...always, jitter: '2 parsecs' }, /jitter is "2 parsecs"/],
  [{ ...always, timeout: -1 }, /timeout is -1; allowed: a number of milliseconds/],
  [{ ...always, persistent: true, overlap: 'skip' }, /overlap has no meaning with persistent: true/],
  [{ ...always, persistent: true, missed: 'skip' }, /missed has no meaning with persistent: true/],
  [{ ...always, persistent: true, timeout: 5 }, /timeout has no meaning with persistent: true/],
] as const) {
  t.test(`refuses ${JSON.stringify(plan)}`, async (t) => {
    t.throws(() => read(plan), { message: problem, code: 'CONFIGURATION' })
  })
}

t.test('create cannot be scheduled', async (t) => {
  t.throws(() => readPlan({ ...target, method: 'create' }, always, 'x'), { message: /x: create .*another method/ })
})
