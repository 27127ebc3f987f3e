/** What belongs to a call stays with it when calls interleave: through timers, nested work, errors, and after its end. */
import t from 'tap'
import { rig, SEPARATE_HOSTS, workerSource } from './support.js'

/** Calls wait for each other in every way that there is, so that each goes on in a moment that another one made. */
const SOURCE = workerSource(
  `static concurrency = 100
  barrier = new Barrier()
  late = []
  own() {
    const { jobKey, persistentJob, deadline, signal } = this
    return [jobKey ?? null, persistentJob?.id ?? null, persistentJob?.attempt ?? null, deadline?.getTime() !== undefined, signal.aborted]
  }
  async walk({ n, all }) {
    const seen = [this.own()]
    const look = () => seen.push(this.own())
    await this.barrier.wait(all)
    look()
    await new Promise((done) => setTimeout(() => { look(); done() }, (n * 7) % 5))
    await new Promise((done) => setImmediate(() => { look(); done() }))
    await new Promise((done) => process.nextTick(() => { look(); queueMicrotask(() => { look(); done() }) }))
    await this.nested(3, look)
    await Promise.all([1, 2].map(async () => { await null; look() }))
    try { await this.fails(n) } catch (error) { seen.push(error.message === 'failed ' + this.jobKey ? this.own() : ['another error: ' + error.message]) }
    await readFile(import.meta.filename)
    look()
    for await (const _ of setInterval(1, undefined, { signal: AbortSignal.timeout(10_000) })) { look(); break }
    const bus = new EventEmitter()
    setTimeout(() => bus.emit('go'), n % 3)
    await once(bus, 'go')
    look()
    this.logger.info({ n }, 'walked')
    this.addTimer(0, () => this.late.push(['timer', ...this.own()]))
    setTimeout(() => { this.late.push(['after', n, ...this.own()]); this.logger.info({ n }, 'after the end') }, 3)
    return seen
  }
  async nested(depth, look) { await new Promise((done) => setTimeout(done, depth)); look(); if (depth > 0) await this.nested(depth - 1, look) }
  async fails() { await new Promise((done) => setTimeout(done, 1)); throw new Error('failed ' + this.jobKey) }
  async explode(all) {
    await this.barrier.wait(all)
    this.logger.error('before ' + this.jobKey)
    throw new RangeError(this.jobKey)
  }
  async lateOnes(count) {
    while (this.late.length < count) await new Promise((done) => setTimeout(done, 1))
    return this.late
  }
  async aborted() {
    const { signal, jobKey } = this
    this.cache.set('waiting ' + jobKey, 1)
    await new Promise((done) => signal.addEventListener('abort', done))
    return [jobKey, this.jobKey, this.signal === signal, signal.reason.name]
  }
  create() { this.inCreate = this.own() }
  created() { return this.inCreate }`,
  `import { EventEmitter, once } from 'node:events'
  import { readFile } from 'node:fs/promises'
  import { setInterval } from 'node:timers/promises'
  class Barrier {
    #waiting = []
    wait(all) {
      return new Promise((done) => {
        this.#waiting.push(done)
        if (this.#waiting.length === all) for (const go of this.#waiting.splice(0).reverse()) go()
      })
    }
  }`,
)

for (const host of [...SEPARATE_HOSTS, 'inline'] as const) {
  t.test(`the context of calls in a host of kind ${host}`, async (t) => {
    const r = await rig(t, SOURCE, { overrides: { host } })
    t.same(await r.call('created'), [null, null, null, false, false], 'create has none')

    const all = 30
    const calls = Array.from({ length: all }, (_, n) => ({
      arg: { n, all },
      jobKey: `key ${n}`,
      ...(n % 3 === 0 ? { jobId: 1000 + n, attempt: 1 + (n % 2) } : {}),
      ...(n % 2 === 0 ? { timeout: 600_000 } : {}),
    }))
    const expected = calls.map(({ jobKey, jobId = null, attempt = null, timeout }) => [
      jobKey,
      jobId,
      attempt,
      timeout !== undefined,
      false,
    ])
    const answers = (await Promise.all(calls.map((call) => r.call('walk', call)))) as unknown[][]
    for (const [n, seen] of answers.entries()) {
      t.equal(seen.length, 16)
      t.ok(
        seen.every((own) => JSON.stringify(own) === JSON.stringify(expected[n])),
        `call ${n}: ${JSON.stringify(seen)}`,
      )
    }
    for (const n of calls.keys()) {
      for (const text of ['walked', 'after the end']) {
        const line = await r.line(({ message, fields }) => message === text && fields.n === n)
        t.match(line.fields, { method: 'walk', jobKey: `key ${n}` })
      }
    }

    const late = (await r.call('lateOnes', { arg: 2 * all })) as unknown[][]
    const after = late.filter(([what]) => what === 'after').sort((a, b) => Number(a[1]) - Number(b[1]))
    t.same(
      after.map((entry) => entry.slice(2)),
      expected,
      'work that outlives its turn keeps what was its own',
    )
    const timers = late.filter(([what]) => what === 'timer')
    t.same(timers, Array(all).fill(['timer', null, null, null, false, false]), 'a timer is a turn of its own')

    const errors = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => r.call('explode', { arg: 20, jobKey: `e ${n}` })),
    )
    for (const [n, outcome] of errors.entries()) {
      t.match(outcome, {
        reason: { remote: { name: 'RangeError', message: `e ${n}` }, details: { method: 'explode' } },
      })
      t.match((await r.line(({ message }) => message === `before e ${n}`)).fields, { jobKey: `e ${n}` })
    }

    const waiting = ['x', 'y', 'z'].map((jobKey) => r.cancelable('aborted', { jobKey }))
    for (const key of ['x', 'y', 'z']) {
      while (!r.cache.has(`waiting ${key}`)) await new Promise((done) => setImmediate(done))
    }
    waiting[1]!.cancel()
    t.same(await waiting[1]!.outcome, ['y', 'y', true, 'Cancelled'])
    t.equal(r.actor.info().mailbox, 2, 'only its own signal fires')
    for (const { cancel } of waiting) cancel()
    t.same(await waiting[2]!.outcome, ['z', 'z', true, 'Cancelled'])
    t.same(await waiting[0]!.outcome, ['x', 'x', true, 'Cancelled'])
  })
}
