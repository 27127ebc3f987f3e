/** Time and room of `this.cache`. What else it does is in contract/host.ts and pool/defer.test.ts. */
import t, { type Test } from 'tap'
import type { ActorOptions } from '#offstage/actors/actor-options.js'
import { type CacheOptions, MetaWorker } from '#offstage/actors/index.js'
import { testWorker } from '#offstage/actors/testing.js'
import { type OffstageError, ResultStorageError } from '#offstage/errors.js'
import { rig, workerSource } from './support.js'

class Keeper extends MetaWorker {
  keep([key, options]: [string, CacheOptions?]): unknown[] {
    this.cache.set(key, key, options)
    return this.seen()
  }

  keepThere(given: [string, CacheOptions?]): Promise<unknown> {
    return this.threadPool.defer('keep', given)
  }

  keepLater(key: string): void {
    this.addTimer(2, () => this.cache.set(key, key, { ttl: 500 }))
  }

  seen(): unknown[] {
    const { cache } = this
    return [cache.get('a') ?? null, cache.has('a'), cache.delete('none'), cache.size]
  }

  seenThere(): Promise<unknown> {
    return this.threadPool.defer('seen')
  }
}

for (const [where, keep, seen] of [
  ['in the worker', 'keep', 'seen'],
  ['in a pool thread', 'keepThere', 'seenThere'],
] as const) {
  t.test(`an entry is gone after its time to live, for the worker and for clients, when set ${where}`, async (t) => {
    const run = await testWorker(Keeper)
    t.teardown(() => run.close())
    t.same(await run.call(keep, { arg: ['a', { ttl: 1_500 }] }), ['a', true, false, 1])
    await run.advance(1.499)
    t.same(await run.call(seen), ['a', true, false, 1])
    t.equal(run.askResult('a'), 'a')
    await run.advance(0.001)
    t.same(await run.call(seen), [null, false, false, 0])
    t.equal(run.askResult('a'), null)
    t.same(await run.call(keep, { arg: ['a', { ttl: Number.POSITIVE_INFINITY }] }), ['a', true, false, 1])
    t.same(await run.call(keep, { arg: ['b', {}] }), ['a', true, false, 2], 'without a ttl it has no end')
    await run.advance(1e9)
    t.same(await run.call(seen), ['a', true, false, 2])
    t.equal(run.askResult('b'), 'b')
  })

  t.test(`a wrong option is refused, and nothing is kept, when set ${where}`, async (t) => {
    const run = await testWorker(Keeper)
    t.teardown(() => run.close())
    for (const ttl of [0, -1, Number.NaN, 315_360_000_001, '5', null]) {
      await t.rejects(run.call(keep, { arg: ['a', { ttl } as never] }), {
        code: 'WORKER_ERROR',
        message: /^ttl of cache.set\("a"\) is .*: it has to be a number of milliseconds over 0/,
      })
    }
    await t.rejects(run.call(keep, { arg: ['a', { tll: 5 } as never] }), { message: /has no option "tll"/ })
    await t.rejects(run.call(keep, { arg: ['a', 5 as never] }), { message: /takes a bag of options/ })
    t.equal(run.askResult('a'), null)
  })
}

t.test('a time to live counts from when the entry is set, and setting it again begins anew', async (t) => {
  const run = await testWorker(Keeper)
  t.teardown(() => run.close())
  await run.call('keepLater', { arg: 'a' })
  await run.advance(2)
  await run.advance(0.4)
  t.equal(run.askResult('a'), 'a')
  await run.call('keep', { arg: ['a', { ttl: 500 }] })
  await run.advance(0.4)
  t.equal(run.askResult('a'), 'a')
  await run.advance(0.1)
  t.equal(run.askResult('a'), null)
})

const KEEPER = workerSource(`
  keep(key) { this.cache.set(key, this.cache.size) }
  keepThere(key) { return this.threadPool.defer('keep', key) }
  keepLarge(n) { this.cache.set('large', 'x'.repeat(n)) }
  keepLargeThere(n) { return this.threadPool.defer('keepLarge', n) }
  keepBoth(keys) { for (const key of keys) this.cache.set(key, 0) }
  keepAndThrow(key) { this.cache.set(key, 0); throw new Error('no') }
  keepLater(key) { this.addTimer(0, () => this.cache.set(key, 0)) }
  keepFor([key, ttl]) { this.cache.set(key, 1, { ttl }) }
  get(key) { return this.cache.get(key) ?? null }`)

t.test('the configuration says how long is kept what the worker sets no time for', async (t) => {
  const heard: unknown[] = []
  const r = await rig(t, KEEPER, {
    cache: { ttl: 60_000, largest: 0, awaited: false },
    onCache: ({ key, ttl, number }) => void heard.push([key, ttl, number]),
  })
  await r.call('keep', { arg: 'a' })
  await r.call('keepThere', { arg: 'b' })
  await r.call('keepFor', { arg: ['c', 5_000] })
  await r.call('keepFor', { arg: ['d', Number.POSITIVE_INFINITY] })
  t.same(heard, [
    ['a', 60_000, 1],
    ['b', 60_000, 2],
    ['c', 5_000, 3],
    ['d', 0, 4],
  ])
})

t.test('what the supervisor has lost is gone for the worker, unless that has set it again meanwhile', async (t) => {
  const numbers: number[] = []
  const r = await rig(t, KEEPER, {
    initialCache: () => [{ key: 'early', value: Uint8Array.of(7), ttl: 0, number: 41 }],
    onCache: ({ number }) => void numbers.push(number),
  })
  const lose = (key: string, number: number) => r.actor.setCache({ key, value: undefined, ttl: 0, number })
  await r.call('keep', { arg: 'a' })
  await r.call('keep', { arg: 'a' })
  t.same(numbers, [42, 43], 'it goes on counting where the one before it stopped')
  lose('a', 42)
  t.equal(await r.call('get', { arg: 'a' }), 2, 'this one is newer than what was lost')
  lose('a', 43)
  t.equal(await r.call('get', { arg: 'a' }), null)
  lose('early', 41)
  t.equal(await r.call('get', { arg: 'early' }), null)
})

t.test('an entry that is too large throws in the line that sets it', async (t) => {
  const r = await rig(t, KEEPER, { cache: { ttl: 0, largest: 1_000, awaited: false } })
  for (const method of ['keepLarge', 'keepLargeThere']) {
    await r.call(method, { arg: 900 })
    await t.rejects(r.call(method, { arg: 1_000 }), {
      code: 'WORKER_ERROR',
      remote: { name: 'ResultStorageError', code: 'RESULT_STORAGE_TOO_LARGE' },
      message: /cache\["large"\] has 1003 bytes, and at most 1000 can be kept with its key/,
    })
    t.equal((r.cache.get('large') as string).length, 900, 'what was there is there')
  }
})

/** A worker whose changes are kept when the test says so. */
async function slow(t: Test, options: Partial<ActorOptions> = {}) {
  const waiting = new Map<string, (error?: OffstageError) => void>()
  const r = await rig(t, KEEPER, {
    cache: { ttl: 0, largest: 0, awaited: true },
    onCache: ({ key }) =>
      new Promise((resolve, reject) => {
        waiting.set(key, (error) => (error === undefined ? resolve() : reject(error)))
        r.events.emit('heard')
      }),
    ...options,
  })
  const kept = async (key: string, error?: OffstageError) => {
    await r.until(() => waiting.has(key))
    waiting.get(key)!(error)
    waiting.delete(key)
  }
  const arrived = (key: string) => r.until(() => waiting.has(key))
  return { r, kept, arrived }
}

const down = () => new ResultStorageError('RESULT_STORAGE_DOWN', 'nobody is there', { retryable: true })

for (const method of ['keep', 'keepThere']) {
  t.test(
    `a caller has its result once what was cached is kept, and others do not wait for that (${method})`,
    async (t) => {
      const { r, kept, arrived } = await slow(t)
      const first = r.call(method, { arg: 'a' })
      await arrived('a')
      t.equal(await r.call('get', { arg: 'a' }), 0, 'the worker goes on')
      t.notOk(r.heard.includes('result 1'))
      await kept('a')
      await first
      t.ok(r.heard.includes('result 1'))
    },
  )

  t.test(`what could not be kept is an error of the call that has cached it (${method})`, async (t) => {
    const { r, kept } = await slow(t)
    const failing = t.rejects(r.call(method, { arg: 'a' }), {
      name: 'ResultStorageError',
      code: 'RESULT_STORAGE_DOWN',
      executed: 'yes',
      retryable: true,
      message: `${method} has run, but what it cached is not kept: nobody is there`,
    })
    const job = t.rejects(r.call(method, { arg: 'b', jobId: 7, attempt: 1 }), { code: 'RESULT_STORAGE_DOWN' })
    const fine = r.call(method, { arg: 'c' })
    await kept('a', down())
    await kept('b', down())
    await kept('c')
    await Promise.all([failing, job, fine])
    t.equal(r.actor.info().restarts, 0)
  })
}

t.test('a call may cache several, and one that fails itself does not wait', async (t) => {
  const { r, kept } = await slow(t)
  const both = r.call('keepBoth', { arg: ['a', 'b'] })
  await kept('b')
  t.equal(await r.call('get', { arg: 'x' }), null)
  t.notOk(r.heard.includes('result 1'))
  await kept('a')
  await both
  await t.rejects(r.call('keepAndThrow', { arg: 'c' }), { code: 'WORKER_ERROR', message: 'no' })
  await kept('c', down())
  const line = await r.line(({ message }) => message?.includes('is not kept') === true)
  t.match(line, {
    level: 'error',
    message: 'what w has cached is not kept: nobody is there',
    fields: { method: 'keepAndThrow' },
  })
})

t.test('what a timer has cached and is not kept is logged', async (t) => {
  const { r, kept } = await slow(t)
  await r.call('keepLater', { arg: 'a' })
  await kept('a', down())
  const line = await r.line(({ message }) => message?.includes('is not kept') === true)
  t.match(line, { level: 'error', fields: { err: { code: 'RESULT_STORAGE_DOWN' } } })
  t.equal(r.actor.info().restarts, 0)
})

t.test('a caller that does not wait any longer is answered at once, and its worker goes on', async (t) => {
  const { r, kept, arrived } = await slow(t, { overrides: { grace: 100 } })
  const cancelled = r.cancelable('keep', { arg: 'a' })
  await arrived('a')
  cancelled.cancel()
  await t.rejects(cancelled.outcome, { code: 'CANCELLED', executed: 'maybe' })
  await t.rejects(r.call('keep', { arg: 'b', timeout: 50 }), { code: 'DEADLINE_EXCEEDED' })
  // Later than the grace, in which a method has to end that was told to.
  await new Promise((resolve) => setTimeout(resolve, 300))
  await kept('a')
  await kept('b', down())
  t.match(await r.line(({ message }) => message?.includes('is not kept') === true), { fields: { method: 'keep' } })
  t.equal(await r.call('get', { arg: 'a' }), 0)
  t.match(r.actor.info(), { restarts: 0, mailbox: 0 })
})

t.test('a worker that is stopped waits until what it has cached is kept', async (t) => {
  const { r, kept, arrived } = await slow(t)
  const call = r.call('keep', { arg: 'a' })
  await arrived('a')
  const stopped = r.actor.stop(60_000)
  await kept('a')
  await call
  await stopped
})
