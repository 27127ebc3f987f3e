import t from 'tap'
import { parseCron } from '#offstage/supervisor/schedule/cron.js'
import { zoneOf } from '#offstage/supervisor/schedule/zone.js'

for (const [line, problem] of [
  ['', /has no field; .* six or seven: second minute hour day month weekday/],
  ['* * * * *', /has 5 fields/],
  ['* * * * * * * *', /has 8 fields/],
  ['60 * * * * *', /the second is "60"; allowed: 0 to 59/],
  ['a * * * * *', /the second is "a"; allowed: 0 to 59/],
  ['*/0 * * * * *', /the second is "\*\/0"; allowed: a step from 1 to 59/],
  ['*/90 * * * * *', /a step from 1 to 59/],
  ['* 1,,2 * * * *', /the minute is ""/],
  ['* 1- * * * *', /the minute is "1-"; allowed: a value, a range/],
  ['* 30-10 * * * *', /the minute is "30-10"; allowed: a range that begins with its lower end/],
  ['* -1 * * * *', /the minute is "-1"/],
  ['* * 24 * * *', /the hour is "24"; allowed: 0 to 23/],
  ['* * 1.5 * * *', /the hour is "1.5"/],
  ['* * * 0 * *', /the day is "0"; allowed: 1 to 31/],
  ['* * * 32 * *', /the day is "32"/],
  ['* * * L * *', /the day is "L"/],
  ['* * * * 13 *', /the month is "13"; allowed: 1 to 12, or jan to dec/],
  ['* * * * juno *', /the month is "juno"/],
  ['* * * * * 8', /the weekday is "8"; allowed: 0 to 7, or sun to sat/],
  ['* * * * * 5#2', /the weekday is "5#2"/],
  ['* * * * * * 20', /the year is "20"; allowed: 1970 to 2199/],
  ['* * * * * * 2030-2020', /the year is "2030-2020"/],
] as const) {
  t.test(`refuses "${line}", naming what is wrong and what is allowed`, async (t) => {
    t.throws(() => parseCron(line, 'schedules.w.m'), { message: problem, code: 'CONFIGURATION' })
    t.throws(() => parseCron(line, 'schedules.w.m'), { message: /^schedules\.w\.m: / })
  })
}

t.test('refuses a time zone that there is not', async (t) => {
  t.throws(() => zoneOf('Europe/Londn', 'x'), { message: /^x: "Europe\/Londn" is no time zone/, code: 'CONFIGURATION' })
})
