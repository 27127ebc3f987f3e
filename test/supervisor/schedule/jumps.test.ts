/** The clock set back and forward by hours: nothing early, nothing twice, nothing lost. */
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { VirtualClock } from '#offstage/actors/virtual-clock.js'
import { CallSchedule, type CallScheduleOptions } from '#offstage/supervisor/schedule/call-schedule.js'
import { type Plan, readPlan } from '#offstage/supervisor/schedule/plan.js'
import { ScheduleTimer } from '#offstage/supervisor/schedule/timer.js'
import { FakeClock, noFaketime } from '../../support/faketime.js'
import type { Run } from '../../support/record.js'
import { setup } from './place.js'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const START = Date.UTC(2026, 0, 1)

interface Fired {
  /** The time that it is for, and what the clock showed. */
  readonly at: number
  readonly wall: number
}

/** Lets time pass and the wall clock jump, as `steps` say in milliseconds; returns what has fired, and the latest time seen. */
async function live(plan: Plan, steps: readonly { pass: number; jump: number }[]) {
  const clock = new VirtualClock()
  let ahead = START
  const wall = () => clock.now() + ahead
  const fired: Fired[] = []
  const kept = new Map<string, unknown>()
  const fakes = {
    calls: { fire: (_schedule: unknown, at: number) => fired.push({ at, wall: wall() }) },
    firings: {
      get: (name: string) => kept.get(name),
      set: async (name: string, value: unknown) => kept.set(name, value),
    },
    log: { warn() {}, error() {} },
  } as unknown as Pick<CallScheduleOptions, 'calls' | 'firings' | 'log'>
  const planned = readPlan({ worker: 'w', workerKey: '', method: 'm' }, { timezone: 'UTC', ...plan }, 'a schedule')
  const schedule = { ...planned, times: planned.timesFrom(START) }
  const active = new CallSchedule(schedule, { ...fakes, random: () => 0, now: wall })
  const timer = new ScheduleTimer(() => {}, clock, wall)
  await active.begin()
  const [ring, missed] = [(at: number) => active.ring(at), (at: number) => active.missed(at)]
  timer.add({ times: schedule.times, ring, missed, after: () => active.after })
  timer.start()
  let latest = wall()
  for (const { pass, jump } of steps) {
    await clock.advance(pass, async () => undefined)
    latest = Math.max(latest, wall())
    ahead += jump
    // Until it has looked at the clock.
    await clock.advance(SECOND, async () => undefined)
    latest = Math.max(latest, wall())
  }
  timer.stop()
  return { fired, latest, times: schedule.times }
}

const steps = fc.array(
  fc.record({
    pass: fc.integer({ min: 0, max: 60 }).map((minutes) => minutes * 60 * SECOND),
    jump: fc.integer({ min: -30, max: 30 }).map((halves) => (halves * HOUR) / 2),
  }),
  { minLength: 1, maxLength: 8 },
)

t.test('missed: once, on a virtual clock: each time once, or one run for those that a jump went over', async (t) => {
  const plans: Plan[] = [
    { cron: '0 0 * * * *' },
    { cron: '0 30 9,17 * * *' },
    { start: 'in 3 hours', repeat_interval: '2 hours' },
  ]
  for (const plan of plans) {
    await fc.assert(
      fc.asyncProperty(steps, async (given) => {
        const { fired, latest, times } = await live({ ...plan, missed: 'once' }, given)
        const early = fired.some(({ at, wall }) => wall < at)
        const twice = fired.some(({ at }, i) => i > 0 && at <= fired[i - 1]!.at)
        const lost: number[] = []
        for (let at = times(START); at !== undefined && at <= latest; at = times(at)) {
          if (!fired.some((run) => run.at <= at! && at! <= run.wall)) lost.push(at)
        }
        return !early && !twice && lost.length === 0
      }),
      { numRuns: 40 },
    )
  }
  t.pass('for all of them')
})

t.test(
  'missed: skip, on a virtual clock: what is meant for a certain time does not run again when that comes again',
  async (t) => {
    const back = [
      { pass: 2 * HOUR, jump: -HOUR },
      { pass: 2 * HOUR, jump: 0 },
    ]
    const at = async (plan: Plan) => (await live(plan, back)).fired.map((run) => (run.at - START) / HOUR)
    t.strictSame(await at({ cron: '0 30 1 * * *' }), [1.5], 'a line for some hours')
    t.strictSame(await at({ start: 'in 90 minutes' }), [1.5], 'once')
    t.strictSame(await at({ cron: '0 30 * * * *' }), [0.5, 1.5, 1.5, 2.5], 'a line for every hour follows the clock')
    t.strictSame(
      await at({ start: 'in 30 minutes', repeat_interval: '1 hour' }),
      [0.5, 1.5, 1.5, 2.5],
      'an interval, too',
    )
    const over = [
      { pass: HOUR, jump: HOUR },
      { pass: 0, jump: -HOUR },
      { pass: 2 * HOUR, jump: 0 },
    ]
    const { fired } = await live({ cron: '0 30 1 * * *' }, over)
    t.strictSame(
      fired.map((run) => (run.at - START) / HOUR),
      [1.5],
      'what a jump went over comes when the clock was set back',
    )
  },
)

t.test('a server whose clock is set back and forward by hours', { skip: noFaketime }, async (t) => {
  const hour = (new Date().getUTCHours() + 3) % 24
  const cron = `cron: "0 0 ${hour} * * *"`
  const clock = new FakeClock(join(t.testdir({}), 'clock'))
  const { start, runs } = setup(
    t,
    `
schedules:
  noting_worker:
    first: { ${cron}, missed: once }
    second: { ${cron}, persistent: true }
    third: { ${cron} }
    tick: { cron: "* * * * * *" }
`,
    undefined,
    clock.env,
  )
  const server = await start()
  const time = new Date()
  time.setUTCHours(hour, 0, 0, 0)
  const due = time.getTime() < Date.now() ? time.getTime() + 24 * HOUR : time.getTime()
  /** Sets the clock to `seconds` after the time, and waits until it has gone on a little. */
  const go = async (seconds: number, on = 2) => {
    const before = (await runs(() => true)).length
    clock.set(Math.round((due - Date.now()) / SECOND) + seconds)
    const [from, to] = [due + seconds * SECOND, due + (seconds + on) * SECOND]
    const there = ({ method, at }: Run) => method === 'tick' && at >= to && at < from + HOUR
    return (await runs((lines) => lines.slice(before).filter(there).length >= 2)).filter(
      ({ method }) => method !== 'tick',
    )
  }
  const counts = (lines: readonly Run[]) =>
    Object.fromEntries(
      ['first', 'second', 'third'].map((name) => [name, lines.filter(({ method }) => method === name).length]),
    )
  const DAY = 24 * 3_600

  t.same(counts(await go(-4, 1)), { first: 0, second: 0, third: 0 }, 'forward by hours, to just before the time')
  t.same(counts(await go(-3, 5)), { first: 1, second: 1, third: 1 }, 'at the time')
  t.same(counts(await go(-2 * 3_600)), { first: 1, second: 1, third: 1 }, 'back by two hours')
  t.same(counts(await go(-3, 6)), { first: 1, second: 1, third: 1 }, 'when that time comes again')
  t.same(counts(await go(-3_600)), { first: 1, second: 1, third: 1 }, 'back again')
  t.same(counts(await go(3_600)), { first: 1, second: 1, third: 1 }, 'over that time again')
  t.same(counts(await go(DAY + 3_600)), { first: 2, second: 2, third: 1 }, 'over the next time: skip leaves it out')
  t.same(counts(await go(DAY - 3, 6)), { first: 2, second: 2, third: 2 }, 'back before it, and on')
  const lines = await go(DAY + 3_600)
  t.same(counts(lines), { first: 2, second: 2, third: 2 })
  const keys = lines.filter(({ method }) => method === 'second').map(({ jobKey }) => Date.parse(jobKey.slice(7)))
  t.strictSame(keys, [due, due + 24 * HOUR])
  for (const { at, method } of lines) t.ok(at >= due, `${method} not early`)
  await server.kill()
})
