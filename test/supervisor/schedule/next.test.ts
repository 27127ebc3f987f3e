import { createTask } from 'node-cron'
import t from 'tap'
import { parseCron } from '#offstage/supervisor/schedule/cron.js'
import { next } from '#offstage/supervisor/schedule/next.js'
import { Zone } from '#offstage/supervisor/schedule/zone.js'
import { Days, fieldsOf, fits } from './scan.js'

/** First days of windows that hold both changes of a year, and one without. */
const ZONES: Record<string, string[]> = {
  'Europe/London': ['2026-03-27T00:00Z', '2026-10-23T00:00Z', '2027-12-30T00:00Z'],
  'America/New_York': ['2026-03-06T00:00Z', '2026-10-30T00:00Z', '2028-02-27T00:00Z'],
  'Australia/Lord_Howe': ['2026-04-02T00:00Z', '2026-10-01T00:00Z', '2026-06-29T00:00Z'],
  UTC: ['2026-12-30T00:00Z'],
}
const DAYS = 4
/** Firings compared after each moment. */
const MOST = 2

const written = `
* * * * * *|*/7 * * * * *|6/2 * * * * *|0 * * * * *|59 59 23 * * *|0 0 0 * * *|0 30 1 * * *|0 30 2 * * *|0 15 2 * * *
0 0 1 * * *|0 0 2 * * *|0 0 3 * * *|0 0,30 1,2 * * *|0 */10 1-3 * * *|*/20 * 2 * * *|0 45 1 * * *|0 0 * * * *|0 */15 * * * *
0 59 1 * * *|0 0 */2 * * *|0 0 1/2 * * *|0 30 */3 * * *|0 0 0-23 * * *|0 5/20 0-23/1 * * *|10,20,50 29-31 1-2 * * *
0 0 0 1 * *|0 0 0 31 * *|0 0 12 29 2 *|0 0 0 * 1 *|0 0 0 1 JAN *|0 0 0 1 january,MAR,4-10/3 *|0 30 2 * * SUN|0 30 1 * * 0
0 30 1 * * 7|0 0 9 * * MON-FRI|0 0 9 * * fri-sun|0 0 9 * * sat-sun|0 0 9 * * 5-7|0 0 9 * * */2|0 0 9 * * 1/2|0 0 9 1/2 * ?
0 0 9 ? * 3|0 0 9 13 * 5|0 0 9 28 * sunday|0 0 9 */5 * 1|0 0 9 1-3 * tue,thu|0 0 9 * * * 2026|0 0 9 * * * 2027,2028
0 0 9 * * * 2026-2030/2|0 0 9 * * * 2026/2|0 30 1 29 3 * 2026|0 30 2 8 3 * 2026|0 15 2 4 10 * 2026|0 45 1 5 4 * 2026
`
const lines = written.trim().split(/[|\n]/)

/** And others from pools of fields, always the same. */
const POOLS = [
  ['0', '30', '*/15', '7,11,59', '50/3', '10-20/5'],
  ['0', '*', '30', '*/10', '1,29,31,59', '45/7', '0-30/15'],
  ['*', '1', '2', '3', '1-2', '*/6', '0,1,2,3', '13/4', '22-23'],
  ['*', '?', '1', '8', '29', '*/3', '28-31', '1/7', '4,5,25'],
  ['*', '*', 'mar,apr,oct', '1-6', '10/1', '*/2', 'OCTOBER-DECEMBER'],
  ['*', '?', 'sun', '0,6', '1-5', 'SAT-SUN', '*/3', '4/1'],
  ['*', '*', '2026', '2026-2028/2', '2027/1'],
]
let state = 7
for (let i = 0; i < 160; i++) {
  const pick = (pool: readonly string[]) => {
    state = (state * 48_271) % 0x7fff_ffff
    return pool[state % pool.length]!
  }
  lines.push(POOLS.map(pick).join(' '))
}

const zones = Object.entries(ZONES).map(([name, starts]) => ({
  name,
  zone: new Zone(name),
  windows: starts.map((start) => new Days(name, start, DAYS)),
}))

t.test(`${lines.length} lines fire when a look at every second of ${DAYS} days around the changes says`, async (t) => {
  t.ok(new Set(lines).size >= 200)
  const changes = zones.map(({ name, windows }) => [name, ...windows.map((days) => days.changes.length)])
  const expected = Object.entries(ZONES).map(([name]) => (name === 'UTC' ? [name, 0] : [name, 1, 1, 0]))
  t.strictSame(changes, expected, 'each window has the change that it is for')
  let compared = 0
  for (const line of lines) {
    const cron = parseCron(line, 'a line')
    for (const { name, zone, windows } of zones) {
      for (const days of windows) {
        const start = days.minutes[0]!.at
        const change = days.changes[0] ?? start + 86_400_000
        for (const minutes of [-61, -0.01, 0, 29, 61]) {
          const after = change + Math.round(minutes * 60_000)
          const wanted = days.firings(line, after, MOST)
          const found: number[] = []
          let at = next(cron, zone, after)
          // Only the window is known; what comes after it is not compared.
          while (at !== undefined && at < days.end && found.length < MOST) {
            found.push(at)
            at = next(cron, zone, at)
          }
          const iso = (times: readonly number[]) => times.map((at) => new Date(at).toISOString())
          compared++
          if (String(wanted) === String(found)) continue
          t.strictSame(iso(found), iso(wanted), `${line} in ${name} after ${new Date(after).toISOString()}`)
        }
      }
    }
  }
  t.ok(compared >= 10_000, `${compared} comparisons`)
})

t.test('far-off days are those that a look at every day finds', async (t) => {
  const far = ['29 2 *', '29 2 1', '31 12 FRI', '* 5 1/3', '30 4,6,9,11 *', '13 * ?', '29 2 * 2027-2050', '1 1 * 2100']
  for (const rest of far) {
    const line = `0 0 12 ${rest}`
    const fields = fieldsOf(line)
    for (const start of ['2026-11-27T12:00Z', '2096-02-29T12:00Z']) {
      let wanted: number | undefined
      for (let at = Date.parse(start) + 86_400_000; at < Date.UTC(2200, 0); at += 86_400_000) {
        const date = new Date(at)
        const day = { day: date.getUTCDate(), month: date.getUTCMonth() + 1, weekday: date.getUTCDay() }
        if (!fits(fields, { ...day, year: date.getUTCFullYear(), hour: 12, minute: 0 })) continue
        wanted = at
        break
      }
      const found = next(parseCron(line, 'a line'), new Zone('UTC'), Date.parse(start))
      t.equal(found, wanted, `${rest} after ${start}`)
    }
  }
  t.equal(next(parseCron('0 0 0 30 2 *', 'a line'), new Zone('UTC'), 0), undefined, 'the 30th of February')
})

t.test('where both know a line, it means the same to node-cron', async (t) => {
  const known = lines.filter((line) => {
    const [day, weekday] = [line.split(' ')[3]!, line.split(' ')[5]!]
    const either = ![day, weekday].some((text) => text === '*' || text === '?')
    return (
      !either &&
      !line.includes('?') &&
      !/\d\/|SAT-SUN|sat-sun|fri-sun|0-23\/1/.test(line) &&
      line.split(' ').length === 6
    )
  })
  t.ok(known.length >= 20, `${known.length} lines`)
  for (const line of known) {
    const task = createTask(line, () => {}, { timezone: 'UTC' })
    const [first, ...rest] = task.getNextRuns(4).map((date) => date.getTime()) as [number, ...number[]]
    await task.destroy()
    const found = rest
      .map((_, i) => [first, ...rest][i]!)
      .map((at) => next(parseCron(line, 'a line'), new Zone('UTC'), at))
    t.strictSame(found, rest, line)
  }
})

const cases: [string, string, string, string, string[]][] = [
  ['in a gap as much later', 'Europe/London', '0 30 1 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:30:00.000Z']],
  ['in a gap as much later', 'America/New_York', '0 30 2 * * *', '2026-03-08T05:00Z', ['2026-03-08T07:30:00.000Z']],
  ['in a gap as much later', 'Australia/Lord_Howe', '0 15 2 * * *', '2026-10-03T12:00Z', ['2026-10-03T15:45:00.000Z']],
  [
    'in a repeated hour once',
    'Europe/London',
    '0 30 1 * * *',
    '2026-10-24T12:00Z',
    ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z'],
  ],
  [
    'in a repeated hour once',
    'America/New_York',
    '0 30 1 * * *',
    '2026-11-01T03:00Z',
    ['2026-11-01T05:30:00.000Z', '2026-11-02T06:30:00.000Z'],
  ],
  [
    'in a repeated half hour once',
    'Australia/Lord_Howe',
    '0 45 1 * * *',
    '2026-04-04T12:00Z',
    ['2026-04-04T14:45:00.000Z', '2026-04-05T15:15:00.000Z'],
  ],
  [
    'at every hour, and in both that have one name',
    'Europe/London',
    '0 0 * * * *',
    '2026-10-24T23:59Z',
    ['2026-10-25T00:00:00.000Z', '2026-10-25T01:00:00.000Z', '2026-10-25T02:00:00.000Z'],
  ],
  [
    'at every hour that there is',
    'America/New_York',
    '0 30 * * * *',
    '2026-03-08T06:00Z',
    ['2026-03-08T06:30:00.000Z', '2026-03-08T07:30:00.000Z'],
  ],
]
for (const [what, zone, line, after, wanted] of cases) {
  t.test(`fires ${what}: ${line} in ${zone}`, async (t) => {
    const found: string[] = []
    let at = Date.parse(after)
    for (let i = 0; i < wanted.length; i++) {
      at = next(parseCron(line, 'a line'), new Zone(zone), at)!
      found.push(new Date(at).toISOString())
    }
    t.strictSame(found, wanted)
  })
}
