/** What the death of a pool thread means, and what becomes of the pool when its worker is cancelled or ends. */
import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { rig, workerSource } from '../support.js'

const CRASHES = {
  'process.exit()': ['process.exit(3)', /pool thread that ran die ended: it ended by itself \(process\.exit, code 3\)/],
  'an uncaught error': [
    "setTimeout(() => { throw new RangeError('late') })",
    /pool thread that ran die ended: RangeError: late/,
  ],
  'an unhandled rejection': ["Promise.reject(new TypeError('unheard'))", /TypeError: unheard/],
  'running out of memory': ['const all = []; for (;;) all.push(new Array(100_000).fill(1.5))', /memory/],
} as const

for (const host of ['thread', 'process', 'inline'] as const) {
  for (const [what, [code, message]] of Object.entries(CRASHES)) {
    t.test(`${what} in a pool thread, host ${host}: that call rejects, calls that wait still run`, async (t) => {
      const r = await rig(
        t,
        workerSource(`static host = '${host}'
          static poolSize = 1
          static memoryLimit = 64
          async go() {
            const calls = [this.threadPool.defer('die'), this.threadPool.defer('fine', 1), this.threadPool.defer('fine', 2)]
            const [died, ...rest] = await Promise.allSettled(calls)
            return [died.reason.name, died.reason.code, died.reason.executed, died.reason.message, ...rest.map(({ value }) => value), await this.threadPool.defer('fine', 3)]
          }
          die() { this.cache.set('before', 1); ${code}; return new Promise(() => undefined) }
          fine(n) { return n }`),
      )
      t.match(await r.call('go'), ['WorkerCrashed', 'WORKER_CRASHED', 'maybe', message, 1, 2, 3])
      t.equal(r.cache.get('before'), 1, 'what it had done before is kept')
      t.equal(r.actor.info().restarts, 0, 'and the worker itself goes on')
    })
  }

  const make = (t: Parameters<typeof rig>[0], body: string) => rig(t, workerSource(`static host = '${host}'\n${body}`))

  t.test(`a cancel reaches the deferred method, host ${host}`, async (t) => {
    const r = await make(
      t,
      `go() { return this.threadPool.defer('wait') }
      async wait() {
        this.cache.set('waits', 1)
        const { signal } = this
        if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done))
        this.cache.set('reason', signal.reason.code)
        signal.throwIfAborted()
      }`,
    )
    const { outcome, cancel } = r.cancelable('go')
    await r.until(() => r.cache.has('waits'))
    cancel()
    await t.rejects(outcome, { code: 'CANCELLED' })
    t.equal(r.cache.get('reason'), 'CANCELLED')
  })

  t.test(`a deadline reaches a deferred method that never pauses, host ${host}`, async (t) => {
    const r = await make(
      t,
      `go() { return this.threadPool.defer('spin') }
      spin() {
        this.cache.set('spins', 1)
        while (!this.signal.aborted);
        this.cache.set('reason', this.signal.reason.code)
      }`,
    )
    // Until a thread has begun in time.
    for (let timeout = 250; !r.cache.has('spins'); timeout *= 2) {
      await t.rejects(r.call('go', { timeout }), { code: 'DEADLINE_EXCEEDED' })
    }
    await r.until(() => r.cache.has('reason'))
    t.equal(r.cache.get('reason'), 'DEADLINE_EXCEEDED')
  })

  t.test(`a call that is cancelled while all threads are busy never runs, host ${host}`, async (t) => {
    const r = await make(
      t,
      `static poolSize = 1
      static concurrency = 3
      go(what) { return this.threadPool.defer(what) }
      async block() {
        this.cache.set('blocks', 1)
        while (!this.cache.has('open')) await new Promise((done) => setImmediate(done))
      }
      open() { this.cache.set('open', 1) }
      never() { this.cache.set('ran', 1) }
      last() { return 'last' }`,
    )
    const blocked = r.call('go', { arg: 'block' })
    await r.until(() => r.cache.has('blocks'))
    const { outcome, cancel } = r.cancelable('go', { arg: 'never' })
    cancel()
    await t.rejects(outcome, { code: 'CANCELLED' })
    await r.call('open')
    await blocked
    t.equal(await r.call('go', { arg: 'last' }), 'last')
    t.notOk(r.cache.has('ran'))
  })

  t.test(`stopping waits for what is deferred, also when no turn does, host ${host}`, async (t) => {
    const r = await make(
      t,
      `go() { void this.threadPool.defer('work') }
      async work() {
        this.cache.set('works', 1)
        const { signal } = this
        if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done))
        this.cache.set('ended', signal.reason.code)
      }`,
    )
    await r.call('go')
    await r.until(() => r.cache.has('works'))
    await r.actor.stop(60_000)
    t.equal(r.cache.get('ended'), 'CANCELLED', 'and tells it')
  })
}

const TASKS = '/proc/self/task'
const uncounted = existsSync(TASKS)
  ? false
  : `the threads of a process are counted in ${TASKS}, which this system does not have`

for (const host of ['thread', 'inline'] as const) {
  t.test(
    `the threads of the pool end with the worker, whatever they do, host ${host}`,
    { skip: uncounted },
    async (t) => {
      const source = `static host = '${host}'
      go() { void this.threadPool.defer('spin') }
      spin() { this.cache.set('spins', 1); for (;;); }`
      const counts: number[] = []
      // Node's own helper threads start in the first round.
      for (const _ of [1, 2]) {
        const r = await rig(t, workerSource(source))
        await r.call('go')
        await r.until(() => r.cache.has('spins'))
        await r.actor.stop(0)
        counts.push(readdirSync(TASKS).length)
      }
      t.equal(counts[1], counts[0])
    },
  )
}
