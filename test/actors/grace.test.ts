/** Methods that run longer than they may: the caller hears in time, and one that ignores its signal costs the host. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NO_PROGRESS, type Progress } from '#offstage/actors/gauge.js'
import { Mailbox } from '#offstage/actors/mailbox.js'
import type { ReplySink } from '#offstage/actors/reply.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { callBody, loadable, rig, SEPARATE_HOSTS, workerSource } from './support.js'

const SOURCE = workerSource(
  `loop(mark) { begun(mark); for (;;); }
  async ignore(mark) { begun(mark); await new Promise(() => undefined) }
  async loopLater(mark) { begun(mark); await new Promise((done) => setTimeout(done, 1)); for (;;); }
  async heed() {
    const { signal } = this
    await new Promise((done) => signal.addEventListener('abort', done))
    throw signal.reason
  }
  left() { return this.deadline === undefined ? null : this.deadline.getTime() - Date.now() }
  note(n) { return n }`,
  `import { writeFileSync } from 'node:fs'
  const begun = (mark) => { if (mark !== undefined) writeFileSync(mark, '') }`,
)

/** Short times for what will happen, so that the test is quick: nothing depends on how short they are. */
const SHORT = { grace: 30, concurrency: 1 }

/** A thread that is blocked can tell only by a file that it is. */
async function exists(file: string): Promise<void> {
  while (!existsSync(file)) await new Promise((done) => setImmediate(done))
}

for (const host of SEPARATE_HOSTS) {
  const start = (t: Parameters<typeof rig>[0], overrides: object) =>
    rig(t, SOURCE, { overrides: { host, ...SHORT, ...overrides }, random: () => 0 })

  t.test(`a method that goes on beyond its grace in a host of kind ${host}`, async (t) => {
    for (const method of ['loop', 'ignore', 'loopLater']) {
      t.test(`${method}, called with a deadline: its caller knows, the host is ended, what waited runs`, async (t) => {
        const r = await start(t, {})
        // Long enough for its turn to begin, also on a busy machine: it counts from now.
        const late = r.call(method, { timeout: 1_000, jobKey: 'k-1' })
        const kept = [1, 2, 3].map((n) => r.call('note', { arg: n }))
        await t.rejects(late, { code: 'DEADLINE_EXCEEDED', executed: 'maybe', message: new RegExp(method) })
        t.equal(r.actor.info().restarts, 0, 'before its host is ended')
        t.same(await Promise.all(kept), [1, 2, 3])
        const reason = new RegExp(`${method} \\(job key "k-1"\\) went on for 30 ms after its deadline`)
        t.match(r.actor.info(), { status: 'running', restarts: 1, failure: reason })
        t.match(await r.line(({ level }) => level === 'error'), { message: reason, fields: { kept: 3 } })
      })

      t.test(`${method} as a queued job with a limit: the attempt is over when the host is`, async (t) => {
        const r = await start(t, { timeouts: { [method]: 20 } })
        const job = r.call(method, { jobKey: 'k-2', jobId: 7, attempt: 1 })
        const kept = r.call('note', { arg: 1, jobId: 8, attempt: 1 })
        await t.rejects(job, {
          code: 'WORKER_CRASHED',
          executed: 'maybe',
          message: new RegExp(`${method} \\(job key "k-2"\\)`),
        })
        t.equal(await kept, 1)
      })

      t.test(`${method}, cancelled by its caller`, async (t) => {
        const r = await start(t, {})
        const mark = join(t.testdirName, 'begun')
        const { outcome, cancel } = r.cancelable(method, { arg: mark })
        const kept = r.call('note', { arg: 1 })
        await exists(mark)
        cancel()
        await t.rejects(outcome, { code: 'WORKER_CRASHED', message: /30 ms after it was cancelled/ })
        t.equal(await kept, 1)
      })
    }

    t.test('other calls in work are lost with it, and say why', async (t) => {
      const r = await start(t, { concurrency: 2, timeouts: { ignore: 10 } })
      const other = r.call('heed')
      const late = r.call('ignore')
      const kept = r.call('note', { arg: 1 })
      await t.rejects(late, { code: 'DEADLINE_EXCEEDED', message: /ignore has run longer than the 10 ms/ })
      await t.rejects(other, { code: 'WORKER_CRASHED', executed: 'maybe', message: /ignore went on/ })
      t.equal(await kept, 1)
    })

    t.test('one that heeds its signal costs nothing', async (t) => {
      const r = await start(t, { grace: 60_000, timeout: 10 })
      await t.rejects(r.call('heed'), { code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
      await t.rejects(r.call('heed', { jobId: 1, attempt: 1 }), { code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
      t.equal(await r.call('note', { arg: 1 }), 1)
      t.equal(r.actor.info().restarts, 0)
    })
  })
}

t.test('the limits of a worker: its own deadline shows the one that ends first', async (t) => {
  const r = await rig(t, SOURCE, { overrides: { timeout: 60_000, timeouts: { heed: 0 } } })
  const between = async (options: object, least: number, most: number) => {
    const left = (await r.call('left', options)) as number
    t.ok(left > least && left < most + 1_000, `${left} ms`)
  }
  await between({}, 30_000, 60_000)
  await between({ jobId: 1, attempt: 1 }, 30_000, 60_000)
  await between({ timeout: 100_000 }, 30_000, 60_000)
  await between({ timeout: 25_000 }, 0, 25_000)
  const single = await rig(t, SOURCE, { overrides: { timeout: 10_000, timeouts: { left: 600_000 } } })
  const left = (await single.call('left')) as number
  t.ok(left > 300_000, `a method's own limit stands in place of the worker's: ${left} ms`)
})

t.test('limits that cannot be are refused when the class is loaded', async (t) => {
  const refused = async (statics: string, message: RegExp) => {
    const loading = loadable(t, workerSource(`${statics}\nwork() {}`))
    await t.rejects(loading.actor.load(), { code: 'CONFIGURATION', message })
  }
  await refused('static timeout = -1', /static timeout is -1: allowed is a number of milliseconds from 0/)
  await refused('static grace = "5 s"', /static grace is "5 s"/)
  await refused('static timeouts = { work: Infinity }', /static timeouts is an object/)
  await refused('static timeouts = [5]', /static timeouts/)
  await refused('static timeouts = { wrok: 5 }', /timeouts has "wrok", which clients cannot call; methods are: work/)
})

t.test('an inline host cannot be ended: the log says so, once', async (t) => {
  // A limit that counts from the start of the turn, since a deadline could pass before it.
  const r = await rig(t, SOURCE, { overrides: { host: 'inline', grace: 10, timeouts: { ignore: 10 } } })
  await t.rejects(r.call('ignore', { jobKey: 'k' }), { code: 'DEADLINE_EXCEEDED' })
  const line = await r.line(({ level }) => level === 'warn')
  t.match(line, { message: /ignore \(job key "k"\) went on .* inline/, fields: { method: 'ignore', jobKey: 'k' } })
  t.equal(r.actor.info().restarts, 0)
})

/** A mailbox with one message in its host, and what its sink heard. */
function sent(grace: number, limit: number) {
  const outcomes: string[] = []
  const sink: ReplySink = {
    result: () => outcomes.push('result'),
    failed: (_tag, bytes, start, end) => outcomes.push(decodeFailure(bytes.subarray(start, end)).code),
    settle: (_tag, _how, done) => done(true),
  }
  const mailbox = new Mailbox(10, grace)
  const id = mailbox.add(callBody('work'), 0, sink, 1, limit)
  const { index } = mailbox.send()!
  const progress = (more: Partial<Progress>): Progress => ({ ...NO_PROGRESS, taken: 1, ...more })
  const told: number[] = []
  const at = (now: number, more: Partial<Progress> = {}) =>
    mailbox.expire(now, progress(more), (which) => told.push(which))?.index
  return { mailbox, id, index, outcomes, told, at }
}

t.test("a worker's limit counts from the start of the turn, not from when it was sent", async (t) => {
  const { at, told, outcomes, mailbox } = sent(100, 1000)
  at(50_000, { taken: 0 })
  t.same(told, [], 'it has not started')
  t.equal(mailbox.earliestDeadline, 51_000)
  at(51_000, { takenAt: () => 50_500 })
  t.same(told, [])
  t.equal(mailbox.earliestDeadline, 51_500)
  at(51_500, { takenAt: () => 50_500 })
  t.same(told, [0])
  t.same(outcomes, ['DEADLINE_EXCEEDED'])
})

t.test('a method is not blamed while another blocks its thread, and then has its whole grace', async (t) => {
  const { at, index } = sent(100, 10)
  const other = { running: index + 2, runningSince: 1 }
  at(20)
  t.equal(at(130, other), undefined)
  t.equal(at(200), undefined, 'the other has ended')
  t.equal(at(229), undefined)
  t.equal(at(230, { running: index + 2, runningSince: 229 }), index, 'another that just runs is no excuse')

  const itself = sent(100, 10)
  itself.at(20)
  t.equal(itself.at(120, { running: itself.index + 1, runningSince: 1 }), itself.index)
})

t.test('the grace begins anew when the host has told the method; without a grace it never ends', async (t) => {
  const { at, mailbox, index } = sent(1e12, 10)
  at(20)
  mailbox.told(index)
  t.equal(at(1e12 + 21), undefined, 'told by the clock of this machine, which is later')

  const patient = sent(0, 10)
  patient.at(20)
  t.equal(patient.at(1e15), undefined)
  t.equal(patient.mailbox.earliestDeadline, Number.POSITIVE_INFINITY)
})

t.test('a cancelled call whose deadline passes is answered, though its method runs on', async (t) => {
  const { at, mailbox, id, outcomes, told } = sent(0, 10)
  t.equal(mailbox.cancel(id), 0)
  t.same(outcomes, [])
  at(20)
  t.same(outcomes, ['DEADLINE_EXCEEDED'])
  t.same(told, [0])
})
