/** The test helper: a worker without a server, and with the same rules. */
import t from 'tap'
import { MetaWorker } from '#offstage/actors/index.js'
import { testWorker } from '#offstage/actors/testing.js'

class BillingWorker extends MetaWorker {
  static override workerName = 'billing_worker'
  rate = 0
  ticks = 0

  override async create(data?: { rate: number }) {
    await null
    if (data?.rate === -1) throw new RangeError('no such rate')
    this.rate = data?.rate ?? 1
    this.logger.info({ rate: this.rate }, 'ready')
  }

  async chargeCustomer(id: number) {
    this.cache.set(this.jobKey ?? 'none', { charged: id })
    this.logger.info({ id }, 'charged')
    return { id, amount: id * this.rate, at: new Date(5) }
  }

  async settle(how: 'finish' | 'release' | 'throw') {
    const job = this.persistentJob
    if (job === undefined) return 'no job'
    if (how === 'finish') return [await job.finish(), job.attempt]
    if (how === 'release') return [await job.release(), job.attempt]
    throw new TypeError('not today')
  }

  unsendable() {
    return { handler: () => 1 }
  }

  echo(value: unknown) {
    return value
  }

  startTimers() {
    this.addTimer(90, () => this.cache.set('once', ++this.ticks))
    this.addPeriodicTimer(60, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      this.cache.set('ticks', ++this.ticks)
    })
    this.addTimer(100, () => {
      throw new Error('bad timer')
    })
  }

  async waitForSignal() {
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve))
    throw this.signal.reason
  }

  _private() {
    return 'secret'
  }
}

t.test('calls methods as a client does, typed from the class', async (t) => {
  const run = await testWorker(BillingWorker, { data: { rate: 3 } })
  t.teardown(() => run.close())
  const result = await run.call('chargeCustomer', { arg: 7, jobKey: 'boy' })
  t.equal(result.amount, 21)
  t.same(result.at, new Date(5))
  t.same(run.askResult('boy'), { charged: 7 })
  t.equal(run.askResult('girl'), null)
  t.equal(run.instance.rate, 3)
  t.same(
    run.logs.map(({ level, message, fields }) => [level, message, fields]),
    [
      ['info', 'ready', { rate: 3, worker: 'billing_worker', workerKey: '', method: 'create' }],
      ['info', 'charged', { id: 7, worker: 'billing_worker', workerKey: '', method: 'chargeCustomer', jobKey: 'boy' }],
    ],
  )
})

t.test('arguments and results go through the codec, so what cannot be sent fails here', async (t) => {
  const run = await testWorker(BillingWorker)
  t.teardown(() => run.close())
  const value = { list: [1] }
  const back = await run.call('echo', { arg: value })
  t.same(back, value)
  t.not(back, value)
  await t.rejects(run.call('echo', { arg: { fn: () => 1 } }), { code: 'CANNOT_ENCODE', message: /arg\.fn/ })
  await t.rejects(run.call('unsendable'), { code: 'RESULT_NOT_ENCODABLE', message: /handler/ })
})

t.test('refuses what clients cannot call', async (t) => {
  const run = await testWorker(BillingWorker)
  t.teardown(() => run.close())
  for (const name of ['_private', 'create', 'constructor', 'rate', 'addTimer']) {
    await t.rejects(run.call(name as 'echo'), { name: 'RemoteWorkerError', code: 'NO_METHOD' }, name)
  }
})

t.test('says how a job would have ended', async (t) => {
  const run = await testWorker(BillingWorker)
  t.teardown(() => run.close())
  t.match(await run.job('chargeCustomer', { arg: 1, jobKey: 'a' }), { state: 'finished', value: { id: 1 } })
  t.same(await run.job('settle', { arg: 'finish', jobKey: 'a' }), { state: 'finished', value: [true, 1] })
  t.same(await run.job('settle', { arg: 'release', jobKey: 'a', attempt: 3 }), { state: 'released', value: [true, 3] })
  const failed = await run.job('settle', { arg: 'throw', jobKey: 'a' })
  t.equal(failed.state, 'failed')
  t.match(failed.error, { code: 'WORKER_ERROR', remote: { name: 'TypeError', message: 'not today' } })
  t.equal(await run.call('settle', { arg: 'finish' }), 'no job')
})

t.test('fires timers when time is moved, one after the other and to their end', async (t) => {
  const run = await testWorker(BillingWorker)
  t.teardown(() => run.close())
  await run.call('startTimers')
  t.same(run.timers, [
    { seconds: 90, periodic: false },
    { seconds: 60, periodic: true },
    { seconds: 100, periodic: false },
  ])
  await run.advance(59.9)
  t.equal(run.askResult('ticks'), null)
  await run.advance(0.1)
  t.equal(run.askResult('ticks'), 1)
  await run.advance(61)
  t.equal(run.askResult('once'), 2)
  t.equal(run.askResult('ticks'), 3)
  t.match(run.logs.at(-1), { level: 'error', message: /bad timer/ })
  t.same(run.timers, [{ seconds: 60, periodic: true }])
})

t.test('cancels by signal and by timeout', async (t) => {
  const run = await testWorker(BillingWorker)
  t.teardown(() => run.close())
  const controller = new AbortController()
  const call = run.call('waitForSignal', { signal: controller.signal })
  setImmediate(() => setImmediate(() => controller.abort()))
  await t.rejects(call, { code: 'CANCELLED' })
  await t.rejects(run.call('waitForSignal', { timeout: 5 }), { code: 'DEADLINE_EXCEEDED' })
  const aborted = run.call('echo', { signal: AbortSignal.abort(new Error('already')) })
  await t.rejects(aborted, { code: 'CANCELLED', executed: 'no', cause: { message: 'already' } })
})

t.test('rejects when create does, and refuses what is not a worker', async (t) => {
  await t.rejects(testWorker(BillingWorker, { data: { rate: -1 } }), { code: 'CREATE_FAILED', message: /no such rate/ })
  await t.rejects(testWorker(class Foo {} as typeof BillingWorker), { code: 'CONFIGURATION', message: /Foo/ })
})

t.test('after close nothing can be called; a worker cannot be made by hand', async (t) => {
  const run = await testWorker(BillingWorker, { workerKey: 'k' })
  t.equal(run.instance.workerKey, 'k')
  t.equal(run.instance.jobKey, undefined)
  t.equal(run.instance.signal.aborted, false)
  await run.close()
  t.equal(run.instance.signal.aborted, true)
  await t.rejects(run.call('echo'), { code: 'WORKER_STOPPED' })
  t.throws(() => new BillingWorker(), { message: /testWorker\(BillingWorker\)/ })
})

t.test('two workers side by side keep their calls apart', async (t) => {
  class Outer extends MetaWorker {
    async ask() {
      return [this.jobKey ?? null, await inner.call('chargeCustomer', { arg: 1 }), inner.instance.jobKey ?? null]
    }
  }
  const inner = await testWorker(BillingWorker)
  const outer = await testWorker(Outer)
  t.teardown(() => Promise.all([inner.close(), outer.close()]))
  const [key, , innerKey] = await outer.call('ask', { jobKey: 'outer' })
  t.equal(key, 'outer')
  t.equal(innerKey, null)
  t.same(inner.askResult('none'), { charged: 1 })
})

class Deferring extends MetaWorker {
  made: number | undefined

  override create(): void {
    this.made = 3
  }

  both(n: number): Promise<unknown[]> {
    return this.threadPool.defer('there', { n })
  }

  there({ n }: { n: number }): unknown[] {
    this.cache.set('n', n)
    this.logger.info('there')
    return [n, this.jobKey, this.persistentJob?.id !== undefined]
  }

  forbidden(): Promise<number | undefined> {
    return this.threadPool.defer('readMade')
  }

  readMade(): number | undefined {
    return this.made
  }
}

t.test('deferred methods run in the same thread, with the same rules', async (t) => {
  const run = await testWorker(Deferring)
  t.match(await run.job('both', { arg: 4, jobKey: 'k' }), { state: 'finished', value: [4, 'k', true] })
  t.equal(run.askResult('n'), 4)
  t.match(run.logs, [{ message: 'there', fields: { method: 'there', jobKey: 'k' } }])
  await t.rejects(run.call('forbidden'), { message: /this\.made is not there in the pool thread that runs readMade/ })
  await run.close()
})
