/** `this.threadPool.defer`: real threads, in each kind of host. */
import t from 'tap'
import { rig, workerSource } from '../support.js'

const IMPORTS = `import { threadId } from 'node:worker_threads'`

for (const host of ['thread', 'process', 'inline'] as const) {
  const make = (t: Parameters<typeof rig>[0], body: string) =>
    rig(t, workerSource(`static host = '${host}'\n${body}`, IMPORTS))

  t.test(`deferring from a host of kind ${host}`, async (t) => {
    t.test('runs the method in another thread, and gives what it returns', async (t) => {
      const r = await make(
        t,
        `async where(n) { return [threadId, ...(await this.threadPool.defer('there', { n, at: new Map([[1, 2n]]) }))] }
        there({ n, at }) { return [threadId, n, at.get(1), this.workerName, this.workerKey] }`,
      )
      const [here, there, ...rest] = (await r.call('where', { arg: 7 })) as unknown[]
      t.not(here, there)
      t.same(rest, [7, 2, 'w', ''])
    })

    t.test('runs as many at a time as the pool has threads, truly beside each other', async (t) => {
      // Each waits, without giving up its thread, until all have come: one after the other would never end.
      const r = await make(
        t,
        `static poolSize = 3
        async meet() {
          const words = new Int32Array(new SharedArrayBuffer(8))
          const ids = await Promise.all([0, 1, 2].map(() => this.threadPool.defer('arrive', words)))
          return new Set(ids).size
        }
        arrive(words) {
          Atomics.add(words, 0, 1)
          Atomics.notify(words, 0)
          for (let n = Atomics.load(words, 0); n < 3; n = Atomics.load(words, 0)) Atomics.wait(words, 0, n)
          return threadId
        }`,
      )
      t.equal(await r.call('meet'), 3)
    })

    t.test('runs no more at a time than poolSize', async (t) => {
      const r = await make(
        t,
        `static poolSize = 2
        async many() {
          const words = new Int32Array(new SharedArrayBuffer(8))
          await Promise.all(Array.from({ length: 12 }, () => this.threadPool.defer('one', words)))
          return words[1]
        }
        async one(words) {
          const now = Atomics.add(words, 0, 1) + 1
          for (let most = Atomics.load(words, 1); now > most; most = Atomics.load(words, 1)) Atomics.compareExchange(words, 1, most, now)
          await new Promise((done) => setImmediate(done))
          Atomics.sub(words, 0, 1)
        }`,
      )
      const most = Number(await r.call('many'))
      t.ok(most === 1 || most === 2, `at most ${most}`)
    })

    t.test('knows job key, queued job and deadline of the call that defers', async (t) => {
      const r = await make(
        t,
        `both() { return this.threadPool.defer('there', this.deadline.getTime()) }
        there(deadline) { return [this.jobKey, this.persistentJob.id, this.persistentJob.attempt, Math.abs(this.deadline - deadline) < 50, this.signal.aborted] }`,
      )
      const options = { jobKey: 'boy', jobId: 9, attempt: 2, timeout: 100_000 }
      t.same(await r.call('both', options), ['boy', 9, 2, true, false])
    })

    t.test('ends the queued job by hand from there', async (t) => {
      const r = await make(
        t,
        `finish() { return this.threadPool.defer('there', false) }
        release() { return this.threadPool.defer('there', true) }
        async there(release) {
          const job = this.persistentJob
          return release ? [await job.release(), await job.finish()] : [await job.finish(), await job.release()]
        }`,
      )
      t.same(await r.call('finish', { jobKey: 'a', jobId: 1, attempt: 1 }), [true, false])
      t.same(await r.call('release', { jobKey: 'b', jobId: 2, attempt: 1 }), [true, false])
      t.same(
        r.settlements.map(({ how }) => how),
        ['finish', 'release'],
      )
    })

    t.test('has the cache of the worker there: what one side sets the other gets', async (t) => {
      const r = await make(
        t,
        `async both() {
          this.cache.set('here', { n: 1 }).set('gone', 1)
          const seen = await this.threadPool.defer('there')
          return [seen, this.cache.get('there'), this.cache.has('gone'), this.cache.size]
        }
        there() {
          const { cache } = this
          const before = [cache.get('here'), cache.has('there'), cache.get('nothing'), cache.size]
          cache.set('there', [1, 2])
          return [...before, cache.delete('gone'), cache.delete('nothing'), cache.get('there'), cache.size]
        }
        clear() { return this.threadPool.defer('clearIt') }
        clearIt() { this.cache.clear(); return this.cache.size }`,
      )
      t.same(await r.call('both'), [[{ n: 1 }, false, undefined, 2, true, false, [1, 2], 2], [1, 2], false, 2])
      t.same(
        [...r.cache],
        [
          ['here', { n: 1 }],
          ['there', [1, 2]],
        ],
        'and so does the supervisor',
      )
      t.ok(r.heard.indexOf('cache there') < r.heard.indexOf('result 1'), 'before the result')
      t.equal(await r.call('clear'), 0)
      t.equal(r.cache.size, 0)
    })

    t.test('gets from the cache what it asks for also when the wake-up for the answer before comes late', async (t) => {
      const r = await make(
        t,
        `async go() {
          const { notify } = Atomics
          let late = 1
          // The host is held up between its first answer and the wake-up, which then finds the thread in its next wait.
          Atomics.notify = (words, at) => {
            if (words.length !== 1 || late-- !== 1) return notify(words, at)
            while (notify(words, at) === 0);
          }
          this.cache.set('a', 1).set('b', 2)
          try { return await this.threadPool.defer('there') } finally { Atomics.notify = notify }
        }
        there() {
          const { wait } = Atomics
          Atomics.wait = (words, at, before) => {
            if (before === 0) while (Atomics.load(words, at) === 0);
            return wait(words, at, before)
          }
          try { return [this.cache.get('a'), this.cache.get('b')] } finally { Atomics.wait = wait }
        }`,
      )
      t.same(await r.call('go'), [1, 2])
    })

    t.test('calls one after the other share a thread', async (t) => {
      const r = await make(
        t,
        `async go() {
          const ids = new Set()
          for (let i = 0; i < 50; i++) ids.add(await this.threadPool.defer('there', i % 2 === 0).catch(({ code }) => code))
          return ids.size
        }
        there(fine) { if (fine) return threadId; throw Object.assign(new Error('odd'), { code: threadId }) }`,
      )
      t.equal(await r.call('go'), 1)
    })

    t.test('logs from there with the worker, the method and the job key', async (t) => {
      const r = await make(
        t,
        `go() { return this.threadPool.defer('there') }
        there() { this.logger.warn({ n: 5 }, 'from afar'); console.log('plain') }`,
      )
      await r.call('go', { jobKey: 'k' })
      const line = await r.line(({ message }) => message === 'from afar')
      t.match(line, { level: 'warn', fields: { n: 5, worker: 'w', method: 'there', jobKey: 'k' } })
      if (host !== 'inline') t.match(await r.line(({ message }) => message === 'plain'), { fields: { worker: 'w' } })
    })

    t.test('rejects with the error of the method: name, message, code and stack', async (t) => {
      const r = await make(
        t,
        `async caught(kind) {
          try { await this.threadPool.defer('fail', kind) }
          catch (e) { return [e.name, e.message, e.code ?? null, e instanceof TypeError, e instanceof Error, e.stack.includes('w.mjs')] }
        }
        passed() { return this.threadPool.defer('fail', 'own') }
        fail(kind) {
          if (kind === 'type') throw new TypeError('no such thing')
          if (kind === 'text') throw 'text'
          throw Object.assign(new Error('own one'), { name: 'OwnError', code: 'E_OWN' })
        }`,
      )
      t.same(await r.call('caught', { arg: 'type' }), ['TypeError', 'no such thing', null, true, true, true])
      t.same(await r.call('caught', { arg: 'own' }), ['OwnError', 'own one', 'E_OWN', false, true, true])
      t.match(await r.call('caught', { arg: 'text' }), [String, /text/])
      await t.rejects(r.call('passed'), {
        code: 'WORKER_ERROR',
        remote: { name: 'OwnError', message: 'own one', code: 'E_OWN', stack: /w\.mjs/ },
      })
    })

    t.test('logs a failure that nobody waits for, and the worker goes on', async (t) => {
      const r = await make(
        t,
        `go() { void this.threadPool.defer('fail'); return 'gone on' }
        fail() { throw new RangeError('unheard') }
        fine() { return 1 }`,
      )
      t.equal(await r.call('go', { jobKey: 'x' }), 'gone on')
      const line = await r.line(({ level }) => level === 'error')
      t.match(line, {
        message: /fail of w failed in the thread pool: unheard/,
        fields: { worker: 'w', jobKey: 'x', err: { name: 'RangeError' } },
      })
      t.equal(await r.call('fine'), 1)
      t.equal(r.actor.info().restarts, 0)
    })

    t.test('says what cannot be deferred or sent', async (t) => {
      const r = await make(
        t,
        `defer([name, arg]) { return this.threadPool.defer(name, arg) }
        function() { return this.threadPool.defer('echo', () => 1) }
        back() { return this.threadPool.defer('fn') }
        get accessor() { return 1 }
        echo(x) { return x }
        _hidden(x) { return x + 1 }
        fn() { return () => 1 }`,
      )
      for (const [name, message] of [
        ['nothing', /takes the name of a method of w, and it has none of the name "nothing"/],
        ['create', /not create/],
        ['constructor', /not constructor/],
        ['addTimer', /none of the name "addTimer"/],
        ['hasOwnProperty', /none of the name/],
        ['accessor', /accessor is none/],
        [7, /not number/],
      ] as const) {
        await t.rejects(r.call('defer', { arg: [name, 1] }), { code: 'WORKER_ERROR', message })
      }
      t.equal(await r.call('defer', { arg: ['_hidden', 1] }), 2, 'a method that clients cannot call')
      await t.rejects(r.call('function'), { message: /the argument of echo cannot be sent to a thread/ })
      await t.rejects(r.call('back'), { message: /what fn returned cannot be sent from its thread/ })
    })

    t.test('says what the instance there does not have', async (t) => {
      const r = await make(
        t,
        `initial = 'initial'
        memo
        set = 0
        create() { this.set = 1; this.made = 2; this.list = [3] }
        defer(name) { this.set++; this.memo = 4; return this.threadPool.defer(name) }
        fromConstructor() { return [this.initial, this.memo ?? null] }
        readSet() { return this.set }
        readMade() { return this.made }
        write() { this.made = 5; return this.made }
        timer() { this.addTimer(1, () => {}) }
        again() { return this.threadPool.defer('fromConstructor') }`,
      )
      t.same(await r.call('defer', { arg: 'fromConstructor' }), ['initial', null])
      t.equal(await r.call('defer', { arg: 'write' }), 5)
      for (const [name, message] of [
        ['readSet', /this\.set is not there in the pool thread that runs readSet: create set it/],
        ['readMade', /this\.made is not there/],
        ['timer', /addTimer and addPeriodicTimer cannot be used in timer, which runs in a pool thread/],
        ['again', /threadPool cannot be used in again/],
      ] as const) {
        await t.rejects(r.call('defer', { arg: name }), { code: 'WORKER_ERROR', message })
      }
    })

    t.test('works in create, from a timer, and in work that outlives its turn', async (t) => {
      const r = await make(
        t,
        `async create() {
          this.made = await this.threadPool.defer('there', 'create')
          this.addTimer(0, async () => this.cache.set('timer', await this.threadPool.defer('there', 'timer')))
        }
        get() { return this.made }
        later() { setImmediate(async () => this.cache.set('later', await this.threadPool.defer('there', 'later'))) }
        there(from) { return [from, this.jobKey ?? null] }`,
      )
      t.same(await r.call('get'), ['create', null])
      await r.call('later', { jobKey: 'a' })
      await r.until(() => r.cache.has('timer') && r.cache.has('later'))
      t.same(r.cache.get('timer'), ['timer', null])
      t.same(r.cache.get('later'), ['later', 'a'])
    })
  })
}
