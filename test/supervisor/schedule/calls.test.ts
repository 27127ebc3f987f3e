import t from 'tap'
import type { ReplySink } from '#offstage/actors/reply.js'
import { DeadlineExceeded } from '#offstage/errors.js'
import { ScheduledCalls } from '#offstage/supervisor/schedule/calls.js'
import { readPlan, type Schedule } from '#offstage/supervisor/schedule/plan.js'
import { encodeFailure } from '#offstage/wire/failure.js'

/** A worker whose calls end when the test says so, and what the log says. */
function worker() {
  const running: number[] = []
  const timeouts: number[] = []
  const said: string[] = []
  const say = (_fields: unknown, text: string) => said.push(text)
  const send = (_body: Buffer, _method: string, timeout: number, _sink: ReplySink, tag: number) => {
    timeouts.push(timeout)
    return running.push(tag)
  }
  const unused = () => Promise.reject(new Error('no instance of its own was asked for'))
  const registry = {
    reloads: () => false,
    startFresh: unused,
    find: () => undefined,
    remove: unused,
    instance: () => ({ send }),
  }
  const calls = new ScheduledCalls(registry, { info: () => undefined, warn: say, error: say } as never)
  return { calls, running, timeouts, said }
}

function schedule(overlap: Schedule['overlap'], timeout?: number): Schedule {
  const plan = { cron: '* * * * * *', overlap, ...(timeout === undefined ? {} : { timeout }) }
  const planned = readPlan({ worker: 'w', workerKey: '', method: 'm' }, plan, 'a schedule')
  return { ...planned, times: planned.timesFrom(0) }
}

t.test('skip leaves a firing out while the one before runs, and says so', async (t) => {
  const { calls, running, said } = worker()
  const every = schedule('skip')
  calls.fire(every, 0)
  calls.fire(every, 0)
  t.equal(running.length, 1)
  t.match(said, [/still runs/])
  calls.result(running[0]!)
  calls.fire(every, 0)
  t.equal(running.length, 2)
})

t.test('queue runs each firing, one after the other', async (t) => {
  const { calls, running } = worker()
  const every = schedule('queue')
  for (let i = 0; i < 3; i++) calls.fire(every, 0)
  for (let i = 0; i < 3; i++) {
    t.equal(running.length, i + 1)
    calls.result(running[i]!)
  }
  t.equal(running.length, 3)
})

t.test('parallel sends each firing at once', async (t) => {
  const { calls, running } = worker()
  const every = schedule('parallel')
  for (let i = 0; i < 3; i++) calls.fire(every, 0)
  t.equal(running.length, 3)
})

t.test('two schedules are not in the way of each other', async (t) => {
  const { calls, running } = worker()
  calls.fire(schedule('skip'), 0)
  calls.fire(schedule('skip'), 0)
  t.equal(running.length, 2)
})

t.test('a call beyond its timeout is reported, and runs until it has ended', async (t) => {
  const { calls, running, timeouts, said } = worker()
  const every = schedule('queue', 50)
  calls.fire(every, 0)
  calls.fire(every, 0)
  t.strictSame(timeouts, [50])
  const failure = Buffer.from(encodeFailure(new DeadlineExceeded('it took too long')))
  calls.overdue(running[0]!, failure, 0, failure.length)
  t.match(said, [/a scheduled call failed: it took too long/])
  t.equal(running.length, 1, 'it still runs')
  calls.stopped(running[0]!)
  t.equal(running.length, 2)
})

t.test('what waits is not started any more after the stop, nor when the schedule is gone', async (t) => {
  for (const end of ['stop', 'forget'] as const) {
    const { calls, running } = worker()
    const every = schedule('queue')
    calls.fire(every, 0)
    calls.fire(every, 0)
    if (end === 'stop') calls.stop()
    else calls.forget(every)
    calls.result(running[0]!)
    t.equal(running.length, 1)
  }
})
