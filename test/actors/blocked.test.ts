/** A host whose event loop does not turn: the log and the worker's information say so, and which method is at it. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NO_PROGRESS } from '#offstage/actors/gauge.js'
import { blockedFor, blockedIn } from '#offstage/actors/loop-watch.js'
import { Mailbox } from '#offstage/actors/mailbox.js'
import { type WorkerEvent, WorkerEvents } from '#offstage/actors/worker-events.js'
import { encodeValue } from '#offstage/wire/codec.js'
import { callBody, loadable, type Rig, SEPARATE_HOSTS, workerSource } from './support.js'

/** Blocks its thread until there is a file, which the test writes once it has seen what it waits for. */
const SOURCE = workerSource(
  `create(mark) { if (mark !== undefined) blockUntil(mark) }
  now(mark) { blockUntil(mark); return 'done' }
  async later(mark) { await new Promise((done) => setTimeout(done, 1)); blockUntil(mark); return 'done' }
  async patient(mark) { while (!existsSync(mark)) await new Promise((done) => setTimeout(done, 10)); return 'done' }
  timer(mark) { this.addTimer(0, () => blockUntil(mark)) }
  outside(mark) { setTimeout(() => blockUntil(mark)) }
  note(n) { return n }`,
  `import { existsSync } from 'node:fs'
  const blockUntil = (mark) => { while (!existsSync(mark)); }`,
)

interface Case {
  what: string
  concurrency?: number
  begin: (r: Rig, mark: string) => Promise<unknown>[]
  method: string
  jobKey?: string
}

const CASES: Case[] = [
  {
    what: 'a method that computes',
    begin: (r, arg) => [r.call('now', { arg, jobKey: 'k-1' }), r.call('note', { arg: 1 })],
    method: 'now',
    jobKey: 'k-1',
  },
  {
    what: 'a method that computes after it has waited',
    begin: (r, arg) => [r.call('later', { arg, jobKey: 'k-2' })],
    method: 'later',
    jobKey: 'k-2',
  },
  {
    what: 'one of two that both wait: it may be either',
    concurrency: 2,
    begin: (r, arg) => [r.call('patient', { arg, jobKey: 'k-3' }), r.call('later', { arg, jobKey: 'k-4' })],
    method: 'patient or later',
  },
  {
    what: 'the second of two, without a break',
    concurrency: 2,
    begin: (r, arg) => [r.call('patient', { arg, jobKey: 'k-5' }), r.call('now', { arg, jobKey: 'k-6' })],
    method: 'now',
    jobKey: 'k-6',
  },
  { what: 'a timer', begin: (r, arg) => [r.call('timer', { arg })], method: 'timer' },
  { what: 'work outside of turns', begin: (r, arg) => [r.call('outside', { arg })], method: '' },
]

for (const host of SEPARATE_HOSTS) {
  t.test(`a blocked event loop in a host of kind ${host}`, async (t) => {
    const dir = t.testdir({ 'w.mjs': SOURCE })
    const file = join(dir, 'w.mjs')
    await Promise.all(
      CASES.map(async ({ what, concurrency = 1, begin, method, jobKey = '' }, i) => {
        const r = await loadable(t, '', { file, overrides: { host, concurrency, mailboxLimit: 10 } }).run()
        const mark = join(dir, `mark-${i}`)
        const outcomes = begin(r, mark)
        const line = await r.line(({ fields }) => fields.event === 'blocked')
        t.match(line, { level: 'warn', fields: { worker: 'w', method, jobKey } }, what)
        t.match(line.message, method === '' ? /s outside of its turns$/ : `s in method ${method}`)
        if (jobKey !== '') t.match(line.message, `(job key "${jobKey}")`)
        const ms = Number(line.fields.ms)
        const { blocked, oldest, mailbox } = r.actor.info()
        t.match(blocked, { method, jobKey })
        t.ok(blocked!.ms >= ms && ms >= 2_000, `${blocked!.ms} ms, and ${ms} before`)
        // The block is counted from the last beat, which may have come before the message.
        if (mailbox > 0) t.ok(oldest > 0, `the oldest message is ${oldest} ms old`)
        writeFileSync(mark, '')
        await Promise.all(outcomes)
        await r.line(({ fields }) => fields.event === 'unblocked')
        t.equal(r.actor.info().blocked, undefined)
        t.equal(r.actor.info().oldest, 0)
        t.equal(r.actor.info().restarts, 0, 'blocking alone does not end it')
      }),
    )
  })

  t.test(`a create that blocks in a host of kind ${host}, as an event, and again with growing distance`, async (t) => {
    const dir = t.testdir({ 'w.mjs': SOURCE })
    const mark = join(dir, 'mark')
    const seen: WorkerEvent[] = []
    const events = new WorkerEvents((error) => t.error(error))
    const twice = new Promise<void>((resolve) => {
      events.subscribe((event) => {
        seen.push(event)
        if (seen.filter(({ type }) => type === 'blocked').length === 2) resolve()
      })
    })
    const r = loadable(t, '', { file: join(dir, 'w.mjs'), overrides: { host }, events, data: encodeValue(mark) })
    const running = r.run()
    await twice
    t.notOk(existsSync(mark))
    writeFileSync(mark, '')
    await running
    const [first, second] = seen
    t.match(seen, [
      { type: 'blocked', method: 'create', worker: 'w', workerKey: '' },
      { type: 'blocked', method: 'create' },
    ])
    if (first?.type === 'blocked' && second?.type === 'blocked') t.ok(second.ms >= 2 * first.ms, `${second.ms} ms`)
    t.ok(seen.some(({ type }) => type === 'started'))
  })
}

t.test(
  'what is known of a host, and when: nothing before its first beat, its last sign of life otherwise',
  async (t) => {
    t.equal(blockedFor(NO_PROGRESS, 1e9), 0)
    const at = (lastBeat: number, runningSince: number, now: number) =>
      blockedFor({ ...NO_PROGRESS, lastBeat, runningSince }, now)
    t.equal(at(10_000, 5_000, 11_000), 0)
    t.equal(at(10_000, 5_000, 12_500), 2_500)
    t.equal(at(10_000, 12_000, 12_500), 0)
    t.equal(at(10_000, 12_000, 15_000), 3_000)
  },
)

t.test('of many methods that it may be, three are named, each once', async (t) => {
  const mailbox = new Mailbox(100)
  const sink = { result: () => undefined, failed: () => undefined, settle: () => undefined }
  for (const method of ['a', 'b', 'a', 'c', 'd', 'e']) mailbox.add(callBody(method, { jobKey: 'k' }), 0, sink, 1)
  while (mailbox.send() !== undefined);
  t.same(blockedIn({ ...NO_PROGRESS, taken: 6 }, mailbox), { method: 'a or b or c or another', jobKey: '' })
  t.same(blockedIn({ ...NO_PROGRESS, taken: 3 }, mailbox), { method: 'a or b', jobKey: '' })
  t.same(blockedIn({ ...NO_PROGRESS, taken: 1 }, mailbox), { method: 'a', jobKey: 'k' })
  t.same(blockedIn({ ...NO_PROGRESS, taken: 6, running: 2 }, mailbox), { method: 'b', jobKey: 'k' })
  t.same(blockedIn(NO_PROGRESS, mailbox), { method: '', jobKey: '' })
})
