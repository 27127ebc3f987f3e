/** Schemas of arguments: a wrong one is refused with the path before a method runs or anything is stored. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MetaWorker } from 'offstage'
import { MiddleMan } from 'offstage/middleman'
import { startSupervisor } from 'offstage/supervisor'
import { testWorker } from 'offstage/testing'
import t from 'tap'
import { Checker } from '#offstage/actors/checks/checker.js'
import { Draining } from '#offstage/errors.js'
import { encodeValue } from '#offstage/wire/codec.js'
import { Server } from '../support/server.js'
import OrderWorker from './schema_workers/order_worker.js'
import type SleepingWorker from './schema_workers/sleeping_worker.js'

const WORKERS = join(import.meta.dirname, 'schema_workers')
const folder = t.testdir()
const server = await Server.start({ data: join(folder, 'data'), workers: WORKERS })
const middleMan = await MiddleMan.connect({ client: server.address })
const orders = middleMan.worker<typeof OrderWorker>('order_worker')
const untyped = middleMan.worker('order_worker')
t.teardown(async () => {
  await middleMan.close()
  await server.stop()
})

const WRONG = { id: 1, items: [{ price: 2 }, { price: -3 }] }
const REFUSED = {
  name: 'RemoteWorkerError',
  code: 'BAD_ARGUMENT',
  executed: 'no',
  message: /the argument of charge does not fit its schema: items\[1\]\.price: /,
  details: { method: 'charge', issues: [{ path: ['items', 1, 'price'], message: String }] },
}

/** Waits until the worker has run so many. */
async function ran(count: number): Promise<unknown[]> {
  for (;;) {
    const seen = (await orders.ran()) as unknown[]
    if (seen.length >= count) return seen
    await new Promise((resolve) => setImmediate(resolve))
  }
}

t.test('a call with a wrong argument is refused, and its method does not run', async (t) => {
  const before = await orders.ran()
  await t.rejects(orders.charge({ arg: WRONG }), REFUSED)
  await t.rejects(untyped.charge!(), { code: 'BAD_ARGUMENT', details: { issues: [{ path: [] }] } })
  t.same(await orders.ran(), before)
})

t.test('the method gets what the schema makes of the argument, whichever library it is of', async (t) => {
  t.same(await orders.charge({ arg: { id: '7' } }), { id: 7, sum: 0 }, 'zod')
  t.equal(await orders.ship({ arg: '2030-01-02' }), Date.UTC(2030, 0, 2), 'valibot')
  t.equal(await orders.cancel({ arg: { id: 5 } }), 5, 'arktype')
  t.equal(await orders.reserve({ arg: 'seat' }), 'seat', 'one that answers later')
  t.equal(await orders.note(), 'nothing')
  t.equal(await orders.note({ arg: 'text' }), 'text')
  const refused = { code: 'BAD_ARGUMENT', executed: 'no' }
  await t.rejects(orders.ship({ arg: 'tomorrow' }), { ...refused, details: { issues: [{ path: [] }] } })
  await t.rejects(untyped.cancel!({ arg: { id: 1.5 } }), { ...refused, details: { issues: [{ path: ['id'] }] } })
  await t.rejects(orders.reserve({ arg: 'taken' }), refused)
  await t.rejects(untyped.note!({ arg: 5 }), refused)
})

t.test('a wrong enqueue is refused, and nothing is stored', async (t) => {
  await t.rejects(orders.enqCharge({ arg: WRONG, jobKey: 'wrong' }), REFUSED)
  await t.rejects(orders.enqShip({ arg: 'tomorrow', jobKey: 'wrong' }), { code: 'BAD_ARGUMENT' })
  await t.rejects(untyped.enqCancel!({ arg: {}, jobKey: 'wrong' }), {
    code: 'BAD_ARGUMENT',
    details: { issues: [{ path: ['id'] }] },
  })
  await t.rejects(orders.enqReserve({ arg: 'taken', jobKey: 'wrong' }), { code: 'BAD_ARGUMENT' })
  t.equal(await orders.deqCharge({ jobKey: 'wrong' }), false)
  const before = (await ran(0)).length
  t.match(await orders.enqCharge({ arg: { id: '8' }, jobKey: 'right' }), { created: true })
  t.equal((await ran(before + 1)).at(-1), 8, 'a job gets what the schema makes of it, too')
})

t.test('of many jobs none is stored when one is wrong, and the error says which', async (t) => {
  const job = (jobKey: string, arg: unknown, method = 'charge') => ({ worker: 'order_worker', method, jobKey, arg })
  const jobs = [job('a', { id: 1 }), job('b', 'x', 'plain'), job('c', WRONG), job('d', WRONG)]
  await t.rejects(middleMan.enqueueMany(jobs), {
    ...REFUSED,
    message: /the job "c" of order_worker: the argument of charge does not fit .* none of these jobs was stored/,
    details: { ...REFUSED.details, worker: 'order_worker', jobKey: 'c' },
  })
  const before = (await ran(0)).length
  const right = await middleMan.enqueueMany([job('a', { id: 1 }), job('b', 'x', 'plain'), job('c', { id: 2 })])
  t.same(
    right.map(({ created }) => created),
    [true, true, true],
  )
  t.same((await ran(before + 3)).slice(before), [1, 'x', 2])
})

t.test('jobs with and without a schema run in the order in which they were enqueued', async (t) => {
  const before = (await ran(0)).length
  const order = Array.from({ length: 60 }, (_, i) => i)
  await Promise.all(
    order.map((i) => {
      const jobKey = `order ${i}`
      return i % 3 === 0 ? orders.enqCharge({ arg: { id: i }, jobKey }) : orders.enqPlain({ arg: i, jobKey })
    }),
  )
  t.same((await ran(before + order.length)).slice(before), order)
})

t.test('a wrong asynchronous call is refused, and stands in the log', async (t) => {
  await t.rejects(orders.asyncCharge({ arg: WRONG, jobKey: 'nobody hears' }), REFUSED)
  t.match(await server.line(({ jobKey }) => jobKey === 'nobody hears'), { event: 'deadLetter', why: 'BAD_ARGUMENT' })
  const before = (await ran(0)).length
  await orders.asyncCharge({ arg: { id: 9 } })
  t.equal((await ran(before + 1)).at(-1), 9)
})

t.test('a worker that blocks its thread, or does not run, holds no check up', async (t) => {
  const file = join(folder, 'go on')
  const blocked = orders.block({ arg: file })
  await t.rejects(orders.enqCharge({ arg: WRONG, jobKey: 'wrong' }), REFUSED)
  t.match(await orders.enqCharge({ arg: { id: 10 }, jobKey: 'meanwhile' }), { created: true })
  writeFileSync(file, '')
  await blocked

  const sleeping = middleMan.worker<typeof SleepingWorker>('sleeping_worker')
  t.match(await sleeping.enqWake({ arg: { at: 1 }, jobKey: 'right' }), { created: true })
  const late = { code: 'BAD_ARGUMENT', details: { issues: [{ path: ['at'] }] } }
  await t.rejects(sleeping.enqWake({ arg: { at: 11 }, jobKey: 'wrong' }), late, 'it knows the variables of the worker')

  await middleMan.newWorker({ worker: 'sleeping_worker', workerKey: 'awake' })
  const awake = middleMan.worker<typeof SleepingWorker>('sleeping_worker', 'awake')
  t.equal(await awake.wake({ arg: { at: 10 } }), 10)
  await t.rejects(awake.wake({ arg: { at: 11 } }), late)
})

t.test('a schema that fails is an error that says so', async (t) => {
  const failed = { code: 'WORKER_ERROR', executed: 'no', message: /the schema of broken failed: no table of prices/ }
  await t.rejects(untyped.broken!({ arg: 1 }), { ...failed, remote: { name: 'RangeError' } })
  await t.rejects(untyped.enqBroken!({ arg: 1, jobKey: 'k' }), failed)
  const later = { ...failed, message: /the schema of brokenLater failed: / }
  await t.rejects(untyped.brokenLater!({ arg: 1 }), later)
  await t.rejects(untyped.enqBrokenLater!({ arg: 1, jobKey: 'k' }), later)
})

t.test('what a schema says is cut between two characters, so that the path can be sent', async (t) => {
  const cut = `${'😀'.repeat(249)}�…`
  const details = { issues: [{ path: [`.${cut}`], message: `!${cut}` }] }
  const arg = '😀'.repeat(300)
  await t.rejects(untyped.chatty!({ arg }), { code: 'BAD_ARGUMENT', details })
  await t.rejects(untyped.enqChatty!({ arg, jobKey: 'k' }), { code: 'BAD_ARGUMENT', details })
})

t.test('a schema that ends its thread costs what was being checked, and no more', async (t) => {
  const ended = {
    code: 'WORKER_CRASHED',
    executed: 'no',
    message: /order_worker cannot be checked .*: its thread ended/,
  }
  await t.rejects(orders.enqExit({ arg: 'exit', jobKey: 'k' }), ended)
  t.match(await orders.enqExit({ arg: 'stay', jobKey: 'k' }), { created: true })
})

t.test('a schema that does not end is ended', async (t) => {
  const file = join(folder, 'endless_worker.mjs')
  writeFileSync(
    file,
    `import { MetaWorker } from 'offstage'
    const validate = (value) => { while (value === 'endless'); return { value } }
    export default class EndlessWorker extends MetaWorker {
      static schemas = { run: { '~standard': { version: 1, vendor: 'test', validate } } }
      run() {}
    }`,
  )
  const worker = { name: 'endless_worker', schemas: ['run'], env: {}, memoryLimit: 0 }
  const checker = new Checker({ file, worker, overrides: {}, patience: 4_000 })
  t.teardown(() => checker.end(new Draining('over')))
  t.equal(checker.check('other', new Uint8Array(0)), undefined)
  await checker.check('run', encodeValue('right'))
  const endless = checker.check('run', encodeValue('endless'))!
  const behind = checker.check('other', new Uint8Array(0))!
  await t.rejects(endless, { code: 'WORKER_CRASHED', executed: 'no', message: /no answer within 4 s/ })
  await t.rejects(behind, { code: 'WORKER_CRASHED', executed: 'no' })
  await checker.check('run', encodeValue('right again'))

  const left = t.rejects(checker.check('run', encodeValue('endless'))!, { code: 'DRAINING' })
  await checker.end(new Draining('over'))
  await left
  await t.rejects(checker.check('run', encodeValue('late'))!, { code: 'DRAINING' })
})

t.test('more arguments than a batch takes are checked one batch after the other', async (t) => {
  const job = (i: number, arg: unknown) => ({ worker: 'order_worker', method: 'reserve', jobKey: `seat ${i}`, arg })
  const seats = Array.from({ length: 1_500 }, (_, i) => job(i, 'x'.repeat(i < 8 ? 600_000 : 10)))
  const before = await middleMan.enqueueMany(seats)
  t.ok(before.every(({ created }) => created))
  const taken = [...seats.slice(0, 1_400), job(2_000, 'taken')]
  await t.rejects(middleMan.enqueueMany(taken.slice(8)), { code: 'BAD_ARGUMENT', details: { jobKey: 'seat 2000' } })
})

t.test('data of schedules is checked at the start', async (t) => {
  const start = (data: string) => {
    const cwd = t.testdir({
      'offstage.yml': `schedules:\n  order_worker:\n    charge:\n      cron: "0 0 0 1 1 *"\n      data: ${data}\n`,
    })
    return startSupervisor({ cwd, workers: WORKERS, port: 0, log_level: 'silent', persistent_disabled: true })
  }
  await t.rejects(start('{ id: 1, items: [{ price: cheap }] }'), {
    name: 'ConfigurationError',
    message: /schedules: order_worker\.charge: data: the argument of charge .* items\[0\]\.price: /,
  })
  const supervisor = await start('{ id: 1 }')
  const client = await MiddleMan.connect({ client: supervisor.address })
  const bring = (data: unknown) =>
    client.newWorker({ worker: 'order_worker', workerKey: 'a', schedule: { charge: { cron: '0 0 0 1 1 *', data } } })
  const message = /the argument of charge .* items\[0\]\.price: /
  await t.rejects(
    bring({ id: 1, items: [{ price: 'cheap' }] }),
    { message, executed: 'no' },
    'and when a worker brings it',
  )
  t.equal(await bring({ id: 1 }), 'a')
  await client.close()
  await supervisor.stop()
})

t.test('a worker that is loaded again has its new schemas', async (t) => {
  const cwd = t.testdir({ workers: {} })
  const file = join(cwd, 'workers/number_worker.mjs')
  const write = (type: string) =>
    writeFileSync(
      file,
      `import { MetaWorker } from 'offstage'
      const validate = (value) => (typeof value === '${type}' ? { value } : { issues: [{ message: 'no ${type}' }] })
      export default class NumberWorker extends MetaWorker {
        static schemas = { take: { '~standard': { version: 1, vendor: 'test', validate } } }
        take() {}
      }`,
    )
  write('number')
  const supervisor = await startSupervisor({ cwd, port: 0, log_level: 'silent', watch: true })
  const client = await MiddleMan.connect({ client: supervisor.address })
  const worker = client.worker('number_worker')
  await t.rejects(worker.enqTake!({ arg: 'text', jobKey: 'k' }), { message: /: no number$/ })
  const again = new Promise<void>((resolve) => {
    supervisor.events.subscribe(({ type }) => {
      if (type === 'restarted') resolve()
    })
  })
  write('string')
  await again
  t.match(await worker.enqTake!({ arg: 'text', jobKey: 'k' }), { created: true })
  await t.rejects(worker.enqTake!({ arg: 1, jobKey: 'l' }), { message: /: no string$/ })
  await client.close()
  await supervisor.stop()
})

t.test('in a test of a worker, arguments are checked as well', async (t) => {
  const run = await testWorker(OrderWorker)
  t.teardown(() => run.close())
  await t.rejects(run.call('charge', { arg: WRONG }), { code: 'BAD_ARGUMENT', executed: 'no' })
  t.same(await run.call('charge', { arg: { id: '7' } }), { id: 7, sum: 0 })
  t.match(await run.job('charge', { arg: WRONG, jobKey: 'k' }), { state: 'failed', error: { code: 'BAD_ARGUMENT' } })
})

t.test('what is no schema, or for no method, is an error when the worker is loaded', async (t) => {
  const load = (schemas: unknown) =>
    testWorker(
      class extends MetaWorker {
        static override schemas = schemas as NonNullable<typeof MetaWorker.schemas>
        charge(): void {}
      },
    )
  const wrong = { name: 'ConfigurationError' }
  const { charge } = OrderWorker.schemas
  await t.rejects(load({ chagre: charge }), { ...wrong, message: /schemas has "chagre", .* methods are: charge/ })
  await t.rejects(load({ create: charge }), { ...wrong, message: /schemas has "create"/ })
  for (const none of [{}, () => true, null, { '~standard': {} }]) {
    await t.rejects(load({ charge: none }), { ...wrong, message: /static schemas\.charge is no schema/ })
  }
  for (const none of [null, [charge], 'zod']) {
    await t.rejects(load(none), { ...wrong, message: /static schemas has to be an object/ })
  }
})
