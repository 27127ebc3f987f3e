/** Cancellation and deadlines of a call, before, during and after its turn. */
import t from 'tap'
import { type Rig, rig, workerSource } from './support.js'

const SOURCE = workerSource(
  `ran = []
  block(ms) { const end = performance.now() + ms; while (performance.now() < end); }
  note(n) { this.ran.push(n) }
  notes() { return this.ran }
  async patient(answer) {
    const { signal, deadline } = this
    this.cache.set('in', deadline instanceof Date ? deadline.getTime() : null)
    await new Promise((done) => signal.addEventListener('abort', done))
    this.ran.push(signal.reason.name)
    if (answer !== undefined) return answer
    throw signal.reason
  }
  asked() { return [this.signal.aborted, String(this.deadline)] }`,
)

async function until(r: Rig, heard: string): Promise<void> {
  while (!r.heard.includes(heard)) await new Promise((done) => setImmediate(done))
}

for (const host of ['thread', 'process', 'inline'] as const) {
  const start = (t: Parameters<typeof rig>[0]) => rig(t, SOURCE, { overrides: { host } })

  t.test(`cancel in a host of kind ${host}`, async (t) => {
    t.test('before the message was sent: it never runs', async (t) => {
      const r = await start(t)
      const { outcome, cancel } = r.cancelable('note', { arg: 1 })
      cancel()
      cancel()
      await t.rejects(outcome, { code: 'CANCELLED', executed: 'no' })
      t.same(await r.call('notes'), [])
    })

    t.test('before its turn: it never runs, and the answer does not wait for the turn', async (t) => {
      const r = await start(t)
      const running = r.cancelable('patient', { arg: 'done' })
      const waiting = r.cancelable('note', { arg: 1 })
      await until(r, 'cache in')
      waiting.cancel()
      await t.rejects(waiting.outcome, { code: 'CANCELLED', executed: 'no' })
      running.cancel()
      t.equal(await running.outcome, 'done', 'a method that answers in spite of it has answered')
      t.same(await r.call('notes'), ['Cancelled'])
    })

    t.test('while it runs: its signal fires, and what it throws then is the cancellation', async (t) => {
      const r = await start(t)
      const running = r.cancelable('patient')
      await until(r, 'cache in')
      running.cancel()
      await t.rejects(running.outcome, { code: 'CANCELLED', executed: 'maybe', message: /patient/ })
      t.equal(r.actor.info().mailbox, 0)
    })

    t.test('after it has ended: nothing, also not to the next call in its place', async (t) => {
      const r = await start(t)
      const first = r.cancelable('note', { arg: 1 })
      await first.outcome
      const second = r.cancelable('patient', { arg: 'still here' })
      await until(r, 'cache in')
      first.cancel()
      t.same(r.actor.info().inFlight, 1)
      second.cancel()
      t.equal(await second.outcome, 'still here')
    })
  })

  t.test(`deadlines in a host of kind ${host}`, async (t) => {
    t.test('passed before its turn: not executed, and the caller knows at once', async (t) => {
      const r = await start(t)
      const running = r.cancelable('patient', { arg: 0 })
      const late = r.call('note', { arg: 1, timeout: 10 })
      const job = r.call('note', { arg: 2, timeout: 10, jobId: 1, attempt: 1 })
      await t.rejects(late, { code: 'DEADLINE_EXCEEDED', executed: 'no' })
      await t.rejects(job, { code: 'DEADLINE_EXCEEDED', executed: 'no' })
      running.cancel()
      await running.outcome
      t.same(await r.call('notes'), ['Cancelled'])
      t.equal(r.actor.info().mailbox, 0)
    })

    t.test('passed while a call runs: its signal fires, the caller does not wait for its end', async (t) => {
      const r = await start(t)
      const began = Date.now()
      const late = r.call('patient', { arg: 'too late', timeout: 100 })
      await t.rejects(late, { code: 'DEADLINE_EXCEEDED', executed: 'maybe', message: /patient/ })
      await until(r, 'cache in')
      const deadline = r.cache.get('in') as number
      t.ok(Math.abs(deadline - began - 100) < 1000, `deadline ${deadline} of a call at ${began}`)
      t.same(await r.call('notes'), ['DeadlineExceeded'])
      t.equal(r.actor.info().mailbox, 0, 'and its end was heard of')
    })

    t.test('passed while a queued job runs: it has an outcome only when it has ended', async (t) => {
      const r = await start(t)
      t.equal(await r.call('patient', { arg: 'saved', timeout: 20, jobId: 1, attempt: 1 }), 'saved')
      await t.rejects(r.call('patient', { timeout: 20, jobId: 1, attempt: 1 }), { code: 'DEADLINE_EXCEEDED' })
    })

    t.test('none: no deadline, no aborted signal', async (t) => {
      const r = await start(t)
      t.same(await r.call('asked'), [false, 'undefined'])
      const [aborted, deadline] = (await r.call('asked', { timeout: 60_000 })) as [boolean, string]
      t.equal(aborted, false)
      t.match(deadline, /\d{4}/)
    })

    t.test('many at once, each with its own', async (t) => {
      const r = await start(t)
      const running = r.cancelable('patient', { arg: 0 })
      const calls = Array.from({ length: 500 }, (_, i) =>
        r.call('note', { arg: i, timeout: i % 2 === 0 ? 5 + (i % 50) : 600_000 }).then(
          () => 'ran',
          (error) => error.code,
        ),
      )
      await Promise.all(calls.filter((_, i) => i % 2 === 0))
      running.cancel()
      const outcomes = await Promise.all(calls)
      t.ok(outcomes.every((outcome, i) => outcome === (i % 2 === 0 ? 'DEADLINE_EXCEEDED' : 'ran')))
    })
  })
}

t.test('a thread that is blocked beyond the deadline of a waiting call does not hold up its caller', async (t) => {
  const r = await rig(t, SOURCE)
  const blocking = r.call('block', { arg: 300 })
  const late = r.call('note', { arg: 1, timeout: 20 })
  let done = false
  void blocking.then(() => {
    done = true
  })
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED', executed: 'no' })
  t.equal(done, false)
  await blocking
  t.same(await r.call('notes'), [], 'and it never ran')
})

for (const host of ['thread', 'process', 'inline'] as const) {
  t.test(`a full mailbox refuses, and takes again when there is room, host ${host}`, async (t) => {
    const r = await rig(t, SOURCE, { overrides: { host, mailboxLimit: 3 } })
    const running = r.cancelable('patient', { arg: 1 })
    const waiting = r.cancelable('note', { arg: 1 })
    const third = r.call('note', { arg: 2 })
    await t.rejects(r.call('note'), { code: 'OVERLOADED', retryable: true, executed: 'no', message: /full/ })
    t.equal(r.actor.room, 0)
    t.equal(r.actor.info().refused, 1)
    waiting.cancel()
    await t.rejects(waiting.outcome, { code: 'CANCELLED' })
    const fourth = r.call('note', { arg: 4 })
    await until(r, 'cache in')
    running.cancel()
    await Promise.all([running.outcome, third, fourth])
    t.same(await r.call('notes'), ['Cancelled', 2, 4])
  })
}

t.test('room follows the time that turns take', async (t) => {
  const r = await rig(t, SOURCE, { overrides: { concurrency: 2 } })
  t.equal(r.actor.room, 2, 'nothing is known yet')
  // A machine that is busy with other things makes turns look slow for a while.
  do await Promise.all(Array.from({ length: 2000 }, () => r.call('note')))
  while (r.actor.room <= 100)
  t.ok(r.actor.room <= 512)
  await Promise.all(Array.from({ length: 30 }, () => r.call('block', { arg: 8 })))
  t.equal(r.actor.room, 2, 'slow methods are not sent ahead')
})
