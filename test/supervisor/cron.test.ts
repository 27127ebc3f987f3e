import { createTask } from 'node-cron'
import t from 'tap'
import { parseCron } from '#offstage/supervisor/cron.js'

t.test('a start with a step runs to the end of its field', async (t) => {
  t.strictSame(parseCron('6/2 1/15 3/4 * * *', 'x').expressions, ['6-59/2 1-59/15 3-23/4 * * *'])
  t.strictSame(parseCron('0,30/10 * * 2/7 3/3 1/2', 'x').expressions, [
    '0,30-59/10 * * 2-31/7 3-12/3 *',
    '0,30-59/10 * * * 3-12/3 1-6/2',
  ])
})

t.test('when day and weekday are both restricted, either is enough', async (t) => {
  const { expressions } = parseCron('0 0 0 13 * 5', 'x')
  const tasks = expressions.map((expression) => createTask(expression, () => {}, { timezone: 'UTC' }))
  t.teardown(() => Promise.all(tasks.map((task) => task.destroy())))
  const matches = (day: string) => tasks.some((task) => task.match(new Date(`${day}T00:00:00Z`)))
  t.ok(matches('2026-11-13'), 'Friday 13th')
  t.ok(matches('2026-11-20'), 'another Friday')
  t.ok(matches('2026-12-13'), 'a Sunday 13th')
  t.notOk(matches('2026-11-19'), 'neither')
})

t.test('years are lists, ranges and steps', async (t) => {
  t.equal(parseCron('* * * * * *', 'x').years, undefined)
  t.equal(parseCron('* * * * * * *', 'x').years, undefined)
  t.strictSame([...parseCron('* * * * * * 2026,2030-2032', 'x').years!], [2026, 2030, 2031, 2032])
  t.equal(parseCron('* * * * * * 2026/2', 'x').years!.has(2028), true)
  t.equal(parseCron('* * * * * * 2026/2', 'x').years!.has(2027), false)
})

for (const [line, problem] of [
  ['* * * * *', /5 fields/],
  ['* * * * * * * *', /8 fields/],
  ['60 * * * * *', /second/],
  ['* * 24 * * *', /hour/],
  ['* * * 32 * *', /day/],
  ['* * * * * * 20', /the year "20"/],
  ['* * * * * * 2030-2020', /the year "2030-2020"/],
  ['a * * * * *', /second/],
] as const) {
  t.test(`refuses ${line}`, async (t) => {
    t.throws(() => parseCron(line, 'schedules.w.m'), { message: problem, code: 'CONFIGURATION' })
    t.throws(() => parseCron(line, 'schedules.w.m'), { message: /^schedules\.w\.m: / })
  })
}
