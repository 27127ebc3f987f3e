import t from 'tap'
import { command } from '../../support/command.js'

t.test('schedule next prints ISO times, one a line, for a line in a zone', async (t) => {
  const zone = ['--tz', 'Europe/London', '--after', '2026-03-28T00:00Z']
  const { status, out, errors } = await command('schedule', 'next', '0 30 1 * * *', ...zone, '-n', '3')
  t.equal(out, '2026-03-28T01:30:00.000Z\n2026-03-29T01:30:00.000Z\n2026-03-30T00:30:00.000Z\n')
  t.equal(errors, '')
  t.equal(status, 0)
})

t.test('schedule next begins now, with five times', async (t) => {
  const before = Date.now()
  const { out } = await command('schedule', 'next', '* * * * * *')
  const times = out.trim().split('\n').map(Date.parse)
  t.equal(times.length, 5)
  t.ok(times[0]! > before && times[0]! <= Date.now() + 1_000)
  t.strictSame(
    times.slice(1).map((time, i) => time - times[i]!),
    [1_000, 1_000, 1_000, 1_000],
  )
})

t.test('schedule next says when there is no time, or none after some', async (t) => {
  const never = await command('schedule', 'next', '0 0 0 30 2 *')
  t.match(never, { status: 1, out: '', errors: /fires never/ })
  const some = await command('schedule', 'next', '0 0 0 1 1 * 2198,2199', '--tz', 'UTC')
  t.match(some, { status: 0, errors: /fires no more/ })
  t.equal(some.out, '2198-01-01T00:00:00.000Z\n2199-01-01T00:00:00.000Z\n')
})

for (const [args, problem] of [
  [['0 0 25 * * *'], /the hour is "25"/],
  [['* * * * * *', '--tz', 'Nowhere'], /"Nowhere" is no time zone/],
  [['* * * * * *', '-n', '0'], /whole number from 1/],
  [['* * * * * *', '--after', '2026-01-01'], /an ISO time with its zone/],
  [[], /missing required argument/],
] as const) {
  t.test(`schedule next ${args.join(' ')} is wrong usage`, async (t) => {
    t.match(await command('schedule', 'next', ...args), { status: 64, out: '', errors: problem })
  })
}
