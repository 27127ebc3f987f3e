/** What an actor says of itself: events, log lines with names that do not change, dead letters, figures. */
import t from 'tap'
import { DeadLetters } from '#offstage/actors/dead-letters.js'
import { type WorkerEvent, WorkerEvents } from '#offstage/actors/worker-events.js'
import { type Line, loadable, rig, SEPARATE_HOSTS, workerSource } from './support.js'

function listener() {
  const seen: WorkerEvent[] = []
  const errors: unknown[] = []
  const events = new WorkerEvents((error) => errors.push(error))
  events.subscribe((event) => seen.push(event))
  const types = () => seen.map(({ type }) => type)
  return { events, seen, errors, types }
}

function collector() {
  const lines: Line[] = []
  const add = (level: string) => (fields: object, message?: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message })
  const log = { debug: add('debug'), info: add('info'), warn: add('warn'), error: add('error') }
  return { lines, log }
}

for (const host of SEPARATE_HOSTS) {
  t.test(`the life of a worker in a host of kind ${host}, as events and as lines`, async (t) => {
    const { events, seen, types } = listener()
    const source = workerSource('static maxRestarts = 1\ndie() { process.exit(3) }\nnote() {}')
    const r = await rig(t, source, { events, overrides: { host }, workerKey: 'key', random: () => 0 })
    const dead = r.call('die')
    const kept = r.call('note')
    await t.rejects(dead, { code: 'WORKER_CRASHED' })
    await kept
    t.match(seen, [
      { type: 'started', worker: 'w', workerKey: 'key', at: Number },
      { type: 'crashed', reason: /code 3/, lost: 1, kept: 1 },
      { type: 'backingOff', pause: 50 },
      { type: 'restarted', restarts: 1 },
    ])
    await t.rejects(r.call('die'), { code: 'WORKER_CRASHED' })
    t.same(types().slice(4), ['crashed', 'failed'])
    t.same(
      r.lines.map(({ fields }) => fields.event),
      types(),
      'a line for each, of the same name',
    )
    await r.actor.stop(0)
    t.equal(seen.length, 6, 'what has failed does not stop')
  })
}

t.test('a worker that is stopped says so once; one that never started says nothing', async (t) => {
  const { events, types } = listener()
  const r = await rig(t, workerSource(''), { events })
  await r.actor.stop(1_000)
  await r.actor.stop(1_000)
  t.same(types(), ['started', 'stopped'])
  const loaded = loadable(t, workerSource(''), { events })
  await loaded.actor.load()
  await loaded.actor.stop(0)
  t.equal(types().length, 2)
})

t.test('a listener that throws harms neither the worker nor other listeners; one may leave', async (t) => {
  const { events, seen, errors } = listener()
  const leave = events.subscribe(() => {
    throw new Error('no')
  })
  events.emit({ type: 'stopped', worker: 'w', workerKey: '', at: 1 })
  leave()
  events.emit({ type: 'stopped', worker: 'w', workerKey: '', at: 2 })
  t.equal(errors.length, 1)
  t.equal(seen.length, 2)
})

t.test('what a stopped worker leaves are dead letters, but for queued jobs and what had started', async (t) => {
  const { log, lines } = collector()
  const source = workerSource(`async wait() { this.cache.set('in', 1); await new Promise(() => undefined) }
    next() {}`)
  const r = await rig(t, source, { deadLetters: new DeadLetters(log), workerKey: 'key' })
  const outcomes = [
    r.call('wait', { jobKey: 'started' }),
    r.call('next', { jobKey: 'one' }),
    r.call('next', { jobKey: 'job', jobId: 1, attempt: 1 }),
    r.call('next', { jobKey: 'two' }),
  ].map((outcome) => t.rejects(outcome, { code: 'WORKER_STOPPED' }))
  while (!r.heard.includes('cache in')) await new Promise((done) => setImmediate(done))
  await r.actor.stop(0)
  await Promise.all(outcomes)
  const fields = { event: 'deadLetter', worker: 'w', workerKey: 'key', method: 'next', why: 'WORKER_STOPPED' }
  t.same(
    lines.map((line) => line.fields),
    [
      { ...fields, jobKey: 'one' },
      { ...fields, jobKey: 'two' },
    ],
  )
  t.match(lines[0], { level: 'warn', message: 'a message for w.next cannot be delivered: worker w has been stopped' })
})

t.test('what waits when a worker fails for good are dead letters', async (t) => {
  const { log, lines } = collector()
  const source = workerSource('static maxRestarts = 0\ndie() { process.exit(1) }\nnext() {}')
  const r = await rig(t, source, { deadLetters: new DeadLetters(log) })
  const dead = r.call('die')
  const next = r.call('next')
  await t.rejects(dead, { code: 'WORKER_CRASHED' })
  await t.rejects(next, { code: 'WORKER_STOPPED', executed: 'no' })
  t.match(lines, [{ fields: { method: 'next', why: 'WORKER_STOPPED' }, message: /not started again/ }])
})

t.test('ten dead letters a second are written, and how many more there were for each worker', async (t) => {
  const { log, lines } = collector()
  const letters = new DeadLetters(log)
  const why = { code: 'OVERLOADED', message: 'full' }
  for (let i = 0; i < 100; i++) {
    letters.add({ worker: i % 4 === 0 ? 'a' : 'b', workerKey: '', method: 'm', jobKey: String(i) }, why)
  }
  t.equal(lines.length, 10)
  letters.flush()
  t.same(
    lines.slice(10).map(({ fields }) => fields),
    [
      { event: 'deadLettersLeftOut', worker: 'b', leftOut: 68 },
      { event: 'deadLettersLeftOut', worker: 'a', leftOut: 22 },
    ],
  )
  letters.flush()
  t.equal(lines.length, 12)
  letters.add({ worker: 'a', workerKey: '', method: 'm', jobKey: '' }, why)
  t.equal(lines.length, 13, 'and then again')
  letters.flush()
})

t.test('a full mailbox: how many were refused, how old the oldest message is', async (t) => {
  const r = await rig(t, workerSource('wait() { return new Promise(() => undefined) }'), {
    overrides: { mailboxLimit: 2 },
  })
  t.match(r.actor.info(), { mailbox: 0, oldest: 0, refused: 0 })
  const outcomes = Promise.allSettled([r.call('wait'), r.call('wait')])
  await t.rejects(r.call('wait'), { code: 'OVERLOADED' })
  await t.rejects(r.call('wait'), { code: 'OVERLOADED' })
  t.match(r.actor.info(), { mailbox: 2, refused: 2 })
  while (r.actor.info().oldest < 5) await new Promise((done) => setImmediate(done))
  await r.actor.stop(0)
  await outcomes
  t.match(r.actor.info(), { mailbox: 0, oldest: 0, refused: 2 })
})
