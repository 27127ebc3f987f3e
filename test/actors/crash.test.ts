/** What a crash of a worker's thread or process means for its messages, and when it is started again. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { callBody, impatient, loadable, type Rig, rig, workerSource } from './support.js'

interface Crash {
  what: string
  /** Inside a method; what follows it is waited for. */
  code: string
  reason: RegExp
  /** It hits the whole process, whatever thread it comes from. */
  processOnly?: true
}

const CRASHES: readonly Crash[] = [
  { what: 'an uncaught error', code: `setTimeout(() => { throw new RangeError('late') })`, reason: /RangeError: late/ },
  {
    what: 'a rejection outside a turn that nobody handles',
    code: `Promise.reject(new TypeError('unheard'))`,
    reason: /TypeError: unheard/,
  },
  { what: 'process.exit(0)', code: 'process.exit(0)', reason: /process\.exit.*code 0/ },
  { what: 'process.exit(1)', code: 'process.exit(1)', reason: /process\.exit.*code 1/ },
  {
    what: 'something thrown that is not an Error',
    code: `setTimeout(() => { throw 'text' })`,
    reason: /threw text/,
  },
  {
    what: 'running out of memory',
    code: 'const all = []; for (;;) all.push(new Array(100_000).fill(1.5))',
    reason: /memory/,
  },
  {
    what: 'endless recursion outside a turn',
    code: 'setTimeout(function f() { f() })',
    reason: /Maximum call stack/,
  },
  {
    what: 'a native abort',
    code: 'process.abort()',
    reason: /aborted.*SIGABRT/,
    processOnly: true,
  },
  {
    what: 'a signal that nobody can catch',
    code: `process.kill(process.pid, 'SIGKILL')`,
    reason: /SIGKILL/,
    processOnly: true,
  },
  {
    what: 'a crash in native code',
    code: `process.kill(process.pid, 'SIGSEGV')`,
    reason: /native code \(SIGSEGV\)/,
    processOnly: true,
  },
]

for (const host of ['thread', 'process'] as const) {
  t.test(`the crash of a ${host}`, (t) => crashes(t, host))
}

async function crashes(t: Test, host: 'thread' | 'process') {
  const source = (body: string, before = '') => workerSource(`static host = '${host}'\n${body}`, before)

  for (const { what, code, reason, processOnly = false } of CRASHES) {
    if (host === 'thread' && processOnly) continue
    t.test(`${what} ends that host only: the running call fails, the worker is started again`, async (t) => {
      const { clock } = impatient()
      const text = source(`static memoryLimit = 48
        crash() { ${code}; return new Promise(() => undefined) }
        fine() { return 'fine' }`)
      const r = await rig(t, text, { clock })
      const crashed = r.call('crash')
      const behind = r.call('fine')
      await t.rejects(crashed, { code: 'WORKER_CRASHED', executed: 'maybe', message: reason })
      t.equal(await behind, 'fine')
      t.match(r.actor.info(), { status: 'running', restarts: 1, failure: reason })
      const line = await r.line(({ level }) => level === 'error')
      t.match(line, { message: reason, fields: { worker: 'w', state: 'loading.backingOff', lost: 1, kept: 1 } })
    })
  }

  t.test(
    'messages that wait when the host dies all run afterwards, in order; the one that ran has crashed',
    async (t) => {
      const { clock } = impatient()
      const text = source(
        `ran = []
      note(n) { this.ran.push(n); this.cache.set('n', n) }
      die() { process.exit(1) }
      all() { return this.ran }`,
      )
      const r = await rig(t, text, { clock })
      const before = r.call('note', { arg: -1 })
      const dead = r.call('die')
      const notes = Array.from({ length: 3000 }, (_, n) => r.call('note', { arg: n }))
      const all = r.call('all')
      await before
      await t.rejects(dead, { code: 'WORKER_CRASHED' })
      await Promise.all(notes)
      t.same(
        await all,
        Array.from({ length: 3000 }, (_, n) => n),
      )
    },
  )

  t.test('with concurrency, exactly the calls in work are lost', async (t) => {
    const { clock } = impatient()
    const text = source(
      `static concurrency = 4
      async work(n) { if (n === 3) setImmediate(() => process.exit(1)); await new Promise(() => undefined) }
      fine(n) { return n }`,
    )
    const r = await rig(t, text, { clock })
    const lost = [0, 1, 2, 3].map((n) => r.call('work', { arg: n }))
    const kept = [4, 5, 6].map((n) => r.call('fine', { arg: n }))
    const outcomes = (await Promise.allSettled(lost)) as PromiseRejectedResult[]
    t.same(
      outcomes.map(({ reason }) => (reason as { code: string }).code),
      Array(4).fill('WORKER_CRASHED'),
    )
    t.same(await Promise.all(kept), [4, 5, 6])
  })

  t.test('turns that were done when the host died have their results', async (t) => {
    const { clock } = impatient()
    const text = source('quick(n) { return n }\ndie() { process.exit(1) }')
    const r = await rig(t, text, { clock })
    const done = [1, 2, 3].map((n) => r.call('quick', { arg: n }))
    const dead = r.call('die')
    t.same(await Promise.all(done), [1, 2, 3])
    await t.rejects(dead, { code: 'WORKER_CRASHED' })
  })

  t.test('a message that kills its worker each time takes only itself away', async (t) => {
    const { clock } = impatient()
    const r = await rig(t, source('poison() { process.exit(9) }\ngood(n) { return n }'), { clock })
    const good: Promise<unknown>[] = []
    const poison: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++) {
      good.push(r.call('good', { arg: i }))
      if (i % 7 === 3) poison.push(r.call('poison'))
    }
    const outcomes = await Promise.allSettled(poison)
    t.equal(outcomes.filter(({ status }) => status === 'rejected').length, 3)
    t.same(
      await Promise.all(good),
      Array.from({ length: 20 }, (_, i) => i),
    )
    t.equal(r.actor.info().restarts, 3)
  })

  t.test(
    'a create that fails the first time and then works: start rejects, the worker runs all the same',
    async (t) => {
      const { clock } = impatient()
      const dir = t.testdir({})
      const text = source(
        `create() { if (!existsSync('${dir}/ready')) { writeFileSync('${dir}/ready', ''); throw new Error('not yet') } }
      hello() { return 'hello' }`,
        `import { existsSync, writeFileSync } from 'node:fs'`,
      )
      const r = loadable({ testdir: () => t.testdir({ 'w.mjs': text }), teardown: (fn) => t.teardown(fn) }, text, {
        clock,
      })
      await r.actor.load()
      await t.rejects(r.actor.start('supervised'), { code: 'CREATE_FAILED', message: /not yet/ })
      const waiting = r.call('hello')
      t.equal(r.actor.room, 0)
      t.equal(await waiting, 'hello')
      t.match(r.actor.info(), { status: 'running', restarts: 1 })
    },
  )

  t.test('a worker that crashes on every start stops as failed, and what waits fails', async (t) => {
    const { clock, pauses } = impatient()
    const text = source(
      'static maxRestarts = 3\ncreate() { if (this.workerKey === "bad") setTimeout(() => process.exit(2)); }\nhello() { return 1 }\nblock() { return new Promise(() => undefined) }',
    )
    const r = loadable(t, text, { clock, workerKey: 'bad', random: () => 0.999999 })
    await r.actor.load()
    await r.actor.start('supervised').catch(() => undefined)
    const codes: Promise<unknown>[] = []
    while (r.actor.info().status !== 'stopped') {
      try {
        codes.push(r.call('block').catch((error) => error.code))
      } catch {
        // It has stopped in between, which ends the loop.
      }
      await once(r.events, 'change')
    }
    t.match(r.actor.info(), { state: 'stopped.failed', restarts: 3, failure: /code 2/, mailbox: 0 })
    t.same(
      pauses.map((ms) => Math.round(ms)),
      [100, 200, 400],
    )
    t.ok(codes.length > 0)
    for (const code of await Promise.all(codes)) t.match(code, /WORKER_(CRASHED|STOPPED)/)
    t.throws(() => r.actor.send(callBody('hello'), 'hello', -1, r.sink, 1), {
      code: 'WORKER_STOPPED',
      message: /code 2/,
    })
    t.equal(r.actor.room, 0)
    await r.actor.stop(100)
    t.equal(r.actor.info().state, 'stopped.failed')
  })

  t.test('a worker with maxRestarts 0 is not started again', async (t) => {
    const r = await rig(t, source('static maxRestarts = 0\ndie() { process.exit(1) }\nnext() {}'))
    const dead = r.call('die')
    const next = r.call('next')
    await t.rejects(dead, { code: 'WORKER_CRASHED' })
    await t.rejects(next, { code: 'WORKER_STOPPED', executed: 'no', message: /not started again.*code 1/ })
    t.equal(r.actor.info().state, 'stopped.failed')
  })

  t.test('an instance started once that crashes in create is stopped', async (t) => {
    const r = loadable(t, source('create() { process.exit(3) }'))
    await t.rejects(r.run('once'), { code: 'WORKER_CRASHED', message: /code 3/ })
    t.equal(r.actor.info().state, 'stopped.failed')
  })

  t.test('the cache of before is there after a crash', async (t) => {
    const { clock } = impatient()
    const file = source('read() { return this.cache.get("k") }\ndie() { process.exit(1) }')
    const r: Rig = await rig(t, file, {
      clock,
      initialCache: () => [{ key: 'k', value: Uint8Array.of(0x18, 0x2a), ttl: 0, number: 1 }],
    })
    await t.rejects(r.call('die'))
    t.equal(await r.call('read'), 42)
  })

  t.test('stop ends a host in an endless loop when the deadline passes', async (t) => {
    const r = await rig(t, source('loop() { this.cache.set("in", 1); for (;;); }\nnext() {}'))
    const looping = r.call('loop')
    const next = r.call('next')
    const outcomes = Promise.allSettled([looping, next])
    while (r.actor.info().inFlight < 2) await new Promise((done) => setImmediate(done))
    const began = performance.now()
    await r.actor.stop(50)
    t.ok(performance.now() - began >= 49)
    const [first, second] = (await outcomes) as PromiseRejectedResult[]
    t.match(first!.reason, { code: 'WORKER_STOPPED' })
    t.match(second!.reason, { code: 'WORKER_STOPPED', executed: 'no' })
  })

  t.test('stop while the worker waits to be started again ends it there', async (t) => {
    const clock = { now: () => performance.now(), after: () => ({ cancel() {} }) }
    const r = await rig(t, source('die() { process.exit(1) }\nnext() {}'), { clock })
    const dead = r.call('die')
    const next = r.call('next')
    await t.rejects(dead)
    await r.state('loading.backingOff')
    const outcome = t.rejects(next, { code: 'WORKER_STOPPED', executed: 'no' })
    await r.actor.stop(10_000)
    await outcome
    t.equal(r.actor.info().state, 'stopped.normal')
  })

  t.test('what a host writes to stdout and stderr comes line by line into the log', async (t) => {
    const r = await rig(
      t,
      source(`speak() { process.stdout.write('one\\ntw'); process.stdout.write('o\\n'); console.error('thré') }
        die() { process.stdout.write('last words'); process.exit(1) }`),
    )
    await r.call('speak')
    const line = (text: string) => r.line(({ message }) => message === text)
    t.match(await line('one'), { level: 'info', fields: { worker: 'w', stream: 'stdout' } })
    t.match(await line('two'), { fields: { stream: 'stdout' } })
    t.match(await line('thré'), { fields: { stream: 'stderr' } })
    await t.rejects(r.call('die'))
    t.match(await line('last words'), { fields: { stream: 'stdout' } })
  })

  t.test('a worker that is stopped while it loads, or died before it was started, says so', async (t) => {
    const loading = loadable(t, source(''))
    const loaded = t.rejects(loading.actor.load(), { code: 'WORKER_STOPPED' })
    await loading.actor.stop(1000)
    await loaded
    t.equal(loading.actor.info().state, 'stopped.normal')

    const died = loadable(t, source('', 'setImmediate(() => process.exit(5))'))
    await died.actor.load()
    await died.state('stopped.failed')
    await t.rejects(died.actor.start('supervised'), { code: 'WORKER_STOPPED', message: /code 5/ })
  })
}
