/** Timers of a worker are turns. */
import t from 'tap'
import { rig, workerSource } from './support.js'

for (const host of ['thread', 'process', 'inline'] as const) {
  const make = (t: Parameters<typeof rig>[0], body: string) => rig(t, workerSource(`static host = '${host}'\n${body}`))

  t.test(`timers in a host of kind ${host}`, async (t) => {
    t.test('never run beside a message', async (t) => {
      const r = await make(
        t,
        `log = []
        create() { this.addTimer(0.001, () => { this.log.push('timer') }) }
        async long() { this.log.push('in'); await new Promise((done) => setTimeout(done, 30)); this.log.push('out') }
        get() { return this.log }`,
      )
      await r.call('long')
      const log = (await r.call('get')) as string[]
      t.ok(log.join() === 'in,out,timer' || log.join() === 'timer,in,out', log.join())
    })

    t.test('hold up messages while they run', async (t) => {
      const r = await make(
        t,
        `log = []
        create() { this.addTimer(0, async () => {
          this.log.push('in'); await new Promise((done) => setTimeout(done, 20)); this.log.push('out'); this.cache.set('t', 1)
        }) }
        note() { this.log.push('message') }
        get() { return this.log }`,
      )
      while (!r.heard.includes('cache t')) await r.call('note')
      const log = (await r.call('get')) as string[]
      t.equal(log.indexOf('out'), log.indexOf('in') + 1)
    })

    t.test('repeat until they are cancelled', async (t) => {
      const r = await make(
        t,
        `n = 0
        create() { const timer = this.addPeriodicTimer(0.002, () => { this.cache.set('n', ++this.n); if (this.n === 5) timer.cancel() }) }
        async wait() { const n = this.n; await new Promise((done) => setTimeout(done, 15)); return n }`,
      )
      while (!(r.cache.get('n') === 5)) await new Promise((done) => setImmediate(done))
      await r.call('wait')
      await r.call('wait')
      t.equal(await r.call('wait'), 5)
    })

    t.test('that fail are logged, and the worker goes on', async (t) => {
      const r = await make(
        t,
        `create() {
          this.addTimer(0, () => { throw new RangeError('bad timer') })
          this.addTimer(0, () => Promise.reject(new TypeError('bad promise')))
          this.addTimer(0, () => Promise.reject())
        }
        fine() { return 1 }`,
      )
      const line = (text: RegExp) => r.line(({ level, message }) => level === 'error' && text.test(message ?? ''))
      t.match(await line(/bad timer/), { fields: { worker: 'w', method: 'timer', err: { name: 'RangeError' } } })
      await line(/bad promise/)
      await line(/undefined/)
      t.equal(await r.call('fine'), 1)
      t.equal(r.actor.info().restarts, 0)
    })

    t.test('have no job key, and a signal of their own', async (t) => {
      const r = await make(
        t,
        `set() { this.addTimer(0, () => this.cache.set('t', [this.jobKey ?? null, this.persistentJob ?? null, this.signal.aborted])) }`,
      )
      await r.call('set', { jobKey: 'a', jobId: 4, attempt: 1 })
      while (!r.cache.has('t')) await new Promise((done) => setImmediate(done))
      t.same(r.cache.get('t'), [null, null, false])
    })

    t.test('end with the worker', async (t) => {
      const r = await make(
        t,
        `create() { this.addPeriodicTimer(0.001, () => this.cache.set('n', 1)); this.addTimer(3600, () => undefined) }`,
      )
      while (!r.cache.has('n')) await new Promise((done) => setImmediate(done))
      await r.actor.stop(10_000)
      const heard = r.heard.length
      await new Promise((done) => setTimeout(done, 20))
      t.equal(r.heard.length, heard)
    })

    t.test('refuse what makes no sense', async (t) => {
      const r = await make(
        t,
        `negative() { this.addTimer(-1, () => {}) }
        often() { this.addPeriodicTimer(0, () => {}) }
        text() { this.addTimer('1', () => {}) }
        nothing() { this.addTimer(1) }`,
      )
      await t.rejects(r.call('negative'), { message: /addTimer takes a number of seconds/ })
      await t.rejects(r.call('often'), { message: /addPeriodicTimer takes a number of seconds above 0/ })
      await t.rejects(r.call('text'), { message: /number of seconds/ })
      await t.rejects(r.call('nothing'), { message: /function/ })
    })
  })
}
