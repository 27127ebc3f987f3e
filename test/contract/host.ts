/** What every kind of host does, and what an inline one cannot. Each kind runs this suite against itself. */
import type { Test } from 'tap'
import type { HostKind } from '#offstage/actors/settings.js'
import { callBody, loadable, rig, workerSource } from '../actors/support.js'

export async function hostContract(t: Test, host: HostKind): Promise<void> {
  const make = (t: Test, body: string, statics = '', before = '') =>
    rig(t, workerSource(`static host = '${host}'\n${statics}\n${body}`, before))

  t.test('gives back what a method returns, and what it resolves to', async (t) => {
    const r = await make(t, 'plain(a) { return a }\nasync later(a) { await null; return { got: a } }\nnothing() {}')
    t.same(await r.call('plain', { arg: [1, 'two', new Date(3)] }), [1, 'two', new Date(3)])
    t.same(await r.call('later', { arg: 7n }), { got: 7n })
    t.equal(await r.call('nothing'), undefined)
    t.equal(r.actor.info().status, 'running')
  })

  t.test('runs messages in order, one at a time, also when they wait inside', async (t) => {
    const r = await make(
      t,
      `log = []
        async wait(n) { this.log.push('in ' + n); await new Promise((done) => setImmediate(done)); this.log.push('out ' + n) }
        quick(n) { this.log.push('quick ' + n) }
        all() { return this.log }`,
    )
    void r.call('wait', { arg: 1 })
    void r.call('quick', { arg: 2 })
    void r.call('wait', { arg: 3 })
    t.same(await r.call('all'), ['in 1', 'out 1', 'quick 2', 'in 3', 'out 3'])
  })

  t.test('runs so many messages at a time as its concurrency says', async (t) => {
    const r = await make(
      t,
      `now = 0; most = 0; started = []
        async work(n) {
          this.started.push(n)
          this.most = Math.max(this.most, ++this.now)
          await new Promise((done) => setTimeout(done, 2))
          this.now--
        }
        report() { return { most: this.most, started: this.started } }`,
      'static concurrency = 3',
    )
    await Promise.all(Array.from({ length: 12 }, (_, n) => r.call('work', { arg: n })))
    t.same(await r.call('report'), { most: 3, started: Array.from({ length: 12 }, (_, n) => n) })
  })

  t.test('keeps the job key of each call when calls interleave, and in work that outlives its turn', async (t) => {
    const r = await make(
      t,
      `after = []
        async key(ms) {
          const before = this.jobKey
          setTimeout(() => this.after.push(this.jobKey), 5)
          await new Promise((done) => setTimeout(done, ms))
          return [before, this.jobKey, String(this.persistentJob?.id)]
        }
        async later() { await new Promise((done) => setTimeout(done, 10)); return this.after.sort() }`,
      'static concurrency = 10',
    )
    const answers = await Promise.all([
      r.call('key', { arg: 4, jobKey: 'a', jobId: 11, attempt: 1 }),
      r.call('key', { arg: 1, jobKey: 'b' }),
      r.call('key', { arg: 2, jobKey: 'c', jobId: 13, attempt: 2 }),
    ])
    t.same(answers, [
      ['a', 'a', '11'],
      ['b', 'b', 'undefined'],
      ['c', 'c', '13'],
    ])
    t.same(await r.call('later'), ['a', 'b', 'c'])
  })

  for (const [what, body, error] of [
    [
      'throws',
      "throw Object.assign(new TypeError('no such luck'), { code: 'E_LUCK' })",
      {
        name: 'RemoteWorkerError',
        code: 'WORKER_ERROR',
        executed: 'yes',
        message: 'no such luck',
        remote: { name: 'TypeError', message: 'no such luck', code: 'E_LUCK', stack: /method.*w\.mjs/s },
      },
    ],
    [
      'rejects',
      "return Promise.reject(new RangeError('too far'))",
      { code: 'WORKER_ERROR', remote: { name: 'RangeError', message: 'too far' } },
    ],
    [
      'rejects later',
      "return new Promise((_, reject) => setTimeout(reject, 1, 'just text'))",
      { code: 'WORKER_ERROR', message: /just text/ },
    ],
    [
      'recurses endlessly',
      'return this.method()',
      { code: 'WORKER_ERROR', remote: { name: 'RangeError', message: /call stack/ } },
    ],
    [
      'returns something whose then throws',
      "return { get then() { throw new Error('a trap') } }",
      { code: 'WORKER_ERROR', message: 'a trap' },
    ],
    [
      'returns what cannot be sent',
      'return { deep: [{ fn: () => 1 }] }',
      { code: 'RESULT_NOT_ENCODABLE', executed: 'yes', message: /deep\[0\]\.fn/ },
    ],
  ] as const) {
    t.test(`goes on after a method that ${what}`, async (t) => {
      const r = await make(t, `method() { ${body} }\nfine() { return 'fine' }`)
      const failing = r.call('method')
      const behind = r.call('fine')
      await t.rejects(failing, error)
      t.equal(await behind, 'fine')
      t.equal(r.actor.info().restarts, 0)
    })
  }

  t.test('refuses an argument that is not valid, without running the method', async (t) => {
    const r = await make(t, 'ran = 0\nhit() { this.ran++ }\ncount() { return this.ran }')
    const body = Buffer.concat([callBody('hit'), Buffer.from('bf', 'hex')])
    await t.rejects(
      new Promise((_, reject) =>
        r.actor.send(
          body,
          'hit',
          -1,
          {
            result: () => undefined,
            failed: (_tag, bytes, start, end) => reject(new Error(bytes.toString('latin1', start, end))),
            settle: () => undefined,
          },
          1,
        ),
      ),
      { message: /BAD_ARGUMENT/ },
    )
    t.equal(await r.call('count'), 0)
  })

  t.test('tells of cache changes before the result of the same turn', async (t) => {
    const r = await make(
      t,
      `put(v) {
          this.cache.set('k', v).set(1, [v]).set('gone', 1)
          const copy = this.cache.get(1); copy.push('changed')
          this.cache.delete('gone')
          return [this.cache.get(1), this.cache.has('1'), this.cache.has('gone'), this.cache.size]
        }
        bad() { this.cache.set('x', { a: Symbol('s') }) }
        wrongKey() { this.cache.set({}, 1) }
        empty() { this.cache.clear() }`,
    )
    t.same(await r.call('put', { arg: 'v' }), [['v'], true, false, 2])
    t.same(r.heard, ['cache k', 'cache 1', 'cache gone', 'cache gone', 'result 1'])
    t.same(
      [...r.cache],
      [
        ['k', 'v'],
        ['1', ['v']],
      ],
    )
    await t.rejects(r.call('bad'), { code: 'WORKER_ERROR', message: /cache\["x"\]\.a/ })
    await t.rejects(r.call('wrongKey'), { message: /cache key/ })
    await r.call('empty')
    t.equal(r.cache.size, 0)
    r.actor.setCache({ key: 'given', value: Uint8Array.of(0x07), ttl: 0, number: 0 })
    t.same(await r.call('put', { arg: 'w' }), [['w'], true, false, 3])
  })

  t.test('is given the data of create and its cache before the first message', async (t) => {
    const r = await rig(
      t,
      workerSource(
        `static host = '${host}'\nfield = this.cache.get('was')\nasync create(d) { await null; this.data = d }
          all() { return [this.data, this.field, this.workerKey, this.workerName] }`,
      ),
      {
        workerKey: 'key',
        data: Uint8Array.of(0x81, 0x01),
        initialCache: () => [{ key: 'was', value: Uint8Array.of(0x05), ttl: 0, number: 1 }],
      },
    )
    t.same(await r.call('all'), [[1], 5, 'key', 'w'])
  })

  t.test('answers 5,000 messages of very different length, each with its own', async (t) => {
    const r = await make(t, 'echo(a) { return a }')
    const sizes = Array.from({ length: 5_000 }, (_, i) => (i % 100 === 0 ? 40_000 : i % 257))
    const answers = await Promise.all(sizes.map((size, i) => r.call('echo', { arg: [i, 'x'.repeat(size)] })))
    t.ok(answers.every((answer, i) => (answer as [number, string])[0] === i))
    t.ok(answers.every((answer, i) => (answer as [number, string])[1].length === sizes[i]))
  })

  t.test('settles a queued job from inside its method, before the result', async (t) => {
    const r = await make(
      t,
      `async finishTwice() {
          const job = this.persistentJob
          return [job.id, job.attempt, await job.finish(), await this.persistentJob.finish(), await job.release()]
        }
        async putBack() { return this.persistentJob.release() }
        keep() { this.kept = this.persistentJob }
        late() { return this.kept.finish() }
        none() { return this.persistentJob === undefined }`,
    )
    t.same(await r.call('finishTwice', { jobId: 5, attempt: 2 }), [5, 2, true, true, false])
    t.same(r.settlements, [{ tag: 1, how: 'finish' }])
    t.same(r.heard, ['settle 1', 'result 1'])
    r.current = false
    t.equal(await r.call('putBack', { jobId: 6, attempt: 1 }), false)
    t.same(r.settlements.at(-1), { tag: 2, how: 'release' })
    await r.call('keep', { jobId: 7, attempt: 1 })
    t.equal(await r.call('late'), false, 'the end of the turn has settled the job')
    t.equal(await r.call('none'), true)
  })

  t.test('writes log lines that know their call', async (t) => {
    const r = await make(
      t,
      `work() {
          this.logger.info({ a: 1 }, 'hello')
          this.logger.warn('only text')
          this.logger.error(new TypeError('oh'))
          this.logger.debug({ fn() {}, big: 1n, self: this.constructor }, 'odd')
        }`,
    )
    await r.call('work', { jobKey: 'j' })
    const [info, warn, error, debug] = r.lines.filter((line) => line.fields.method === 'work')
    const common = { worker: 'w', workerKey: '', method: 'work', jobKey: 'j' }
    t.match(info, { level: 'info', message: 'hello', fields: { ...common, a: 1 } })
    t.match(warn, { level: 'warn', message: 'only text', fields: common })
    t.match(error, { level: 'error', message: 'oh', fields: { err: { name: 'TypeError', message: 'oh' } } })
    t.match(debug, { level: 'debug', message: 'odd', fields: { big: 1n, fn: /Function/ } })
  })

  t.test('fails create once, with the error of create', async (t) => {
    const failing = loadable(t, workerSource(`static host = '${host}'\ncreate() { throw new Error('no database') }`))
    await t.rejects(failing.run('once'), {
      code: 'CREATE_FAILED',
      message: /no database/,
      remote: { message: 'no database', stack: /create/ },
    })
    t.match(failing.actor.info(), { status: 'stopped', state: 'stopped.failed', failure: /no database/ })
    t.throws(() => failing.actor.send(callBody('x'), 'x', -1, failing.sink, 1), { code: 'WORKER_STOPPED' })
  })

  t.test('stops when what it has is done, and takes nothing new', async (t) => {
    const r = await make(t, 'async work(n) { await new Promise((done) => setTimeout(done, 2)); return n }')
    const work = [1, 2, 3].map((n) => r.call('work', { arg: n }))
    const stopped = r.actor.stop(10_000)
    t.equal(r.actor.info().state, 'running.draining')
    t.equal(r.actor.room, 0)
    await t.rejects(r.call('work'), { code: 'WORKER_STOPPED', executed: 'no' })
    t.same(await Promise.all(work), [1, 2, 3])
    await stopped
    t.equal(r.actor.info().state, 'stopped.normal')
  })

  t.test('stops at the deadline while a method waits, and says what is left', async (t) => {
    const r = await make(
      t,
      `async forever() { this.cache.set('in', 1); await new Promise(() => undefined) }
        next() { return 1 }`,
    )
    const running = r.call('forever')
    const waiting = r.call('next')
    const results = Promise.allSettled([running, waiting])
    while (!r.heard.includes('cache in')) await new Promise((done) => setImmediate(done))
    await r.actor.stop(20)
    const [first, second] = (await results) as PromiseRejectedResult[]
    t.match(first!.reason, { code: 'WORKER_STOPPED', executed: 'maybe' })
    t.match(second!.reason, { code: 'WORKER_STOPPED', executed: 'no' })
    t.equal(r.actor.info().state, 'stopped.normal')
  })

  // An inline host shares thread, heap, output, environment and globals of the supervisor, and ends or blocks with it.
  if (host === 'inline') return

  t.test('does not lose what was done when it ends by itself, and starts again', async (t) => {
    const r = await make(t, 'quick(n) { return n }\ndie() { process.exit(1) }')
    const done = [1, 2, 3].map((n) => r.call('quick', { arg: n }))
    const dead = r.call('die')
    const after = r.call('quick', { arg: 4 })
    t.same(await Promise.all(done), [1, 2, 3])
    await t.rejects(dead, { code: 'WORKER_CRASHED', executed: 'maybe' })
    t.equal(await after, 4)
  })

  t.test('can be ended while a method is in an endless loop', async (t) => {
    const r = await make(t, 'loop() { for (;;); }')
    const looping = t.rejects(r.call('loop'), { code: 'WORKER_STOPPED' })
    await r.actor.stop(1)
    await looping
    t.equal(r.actor.info().state, 'stopped.normal')
  })

  t.test('has a heap of its own with a limit', async (t) => {
    const r = await make(
      t,
      `limit() { return getHeapStatistics().heap_size_limit }`,
      'static memoryLimit = 64',
      `import { getHeapStatistics } from 'node:v8'`,
    )
    const limit = Number(await r.call('limit')) / 1024 / 1024
    t.ok(limit >= 64 && limit < 512, `${limit} MiB with what V8 takes for new objects`)
  })

  t.test('has its stdout and stderr line by line in its log', async (t) => {
    const r = await make(t, `speak() { console.log('to stdout'); console.error('to stderr') }`)
    await r.call('speak')
    for (const stream of ['stdout', 'stderr']) {
      const line = await r.line(({ message }) => message === `to ${stream}`)
      t.match(line, { level: 'info', fields: { worker: 'w', stream } })
    }
  })

  t.test('has variables of its own in its environment, besides the inherited ones', async (t) => {
    const r = await make(
      t,
      `read() { return [process.env.OWN, process.env.PATH] }
      set() { process.env.OFFSTAGE_HOST_MARK = '1' }`,
      `static env = { OWN: 'a value = with anything' }`,
    )
    t.same(await r.call('read'), ['a value = with anything', process.env.PATH])
    await r.call('set')
    t.equal(process.env.OWN, undefined)
    t.equal(process.env.OFFSTAGE_HOST_MARK, undefined)
  })

  t.test('has globals of its own', async (t) => {
    const r = await make(t, 'set() { globalThis.offstageHostMark = 1 }')
    await r.call('set')
    t.equal(Reflect.get(globalThis, 'offstageHostMark'), undefined)
  })
}
