import t from 'tap'
import * as errors from '#offstage/errors.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { Verb } from '#offstage/wire/envelope.js'
import { echo, type Script, ScriptedServer } from './scripted-server.js'

async function connected(t: { teardown(fn: () => unknown): void }, script: Script = echo) {
  const server = await ScriptedServer.start(script)
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.stopListening()
  })
  return { server, middleMan, worker: middleMan.worker('foo_worker') }
}

t.test('each name of a method sends its verb', async (t) => {
  const { server, worker } = await connected(t)
  t.same(await worker.someTask!({ arg: { a: [1, 2] } }), { a: [1, 2] })
  t.equal(await worker.asyncSomeTask!({ arg: 1 }), undefined)
  t.same(await worker.enqSomeTask!({ arg: 1, jobKey: 'k' }), {
    id: 3,
    created: true,
    replaced: false,
    server: server.address,
  })
  t.equal(await worker.deqSomeTask!({ jobKey: 'k' }), true)
  await worker.some_task!()
  await worker.async_some_task!({ args: 5, jobKey: 'boy' })
  await worker.enq_some_task!({ jobKey: 'k' })
  await worker.deq_some_task!({ jobKey: 'k' })
  await worker.asynchronous!()
  await worker.enqueue!()
  await worker.async_!()
  t.same(
    server.received.map(({ verb, method, jobKey, arg }) => [verb, method, jobKey, arg]),
    [
      [Verb.CALL, 'someTask', '', { a: [1, 2] }],
      [Verb.ASYNC, 'someTask', '', 1],
      [Verb.ENQUEUE, 'someTask', 'k', 1],
      [Verb.DEQUEUE, 'someTask', 'k', undefined],
      [Verb.CALL, 'some_task', '', undefined],
      [Verb.ASYNC, 'some_task', 'boy', 5],
      [Verb.ENQUEUE, 'some_task', 'k', undefined],
      [Verb.DEQUEUE, 'some_task', 'k', undefined],
      [Verb.CALL, 'asynchronous', '', undefined],
      [Verb.CALL, 'enqueue', '', undefined],
      [Verb.CALL, 'async_', '', undefined],
    ],
  )
  t.ok(server.received.every((call) => call.worker === 'foo_worker' && call.workerKey === ''))
})

t.test('the other requests send theirs', async (t) => {
  const { server, middleMan } = await connected(t)
  const worker = middleMan('foo_worker', 'key')
  await worker.askResult('cached')
  t.equal(await worker.resetResult('cached', { p: 1 }), undefined)
  await worker.resetResult('cached')
  t.match(await worker.workerInfo(), { worker: 'foo_worker', workerKey: 'key', status: 'running' })
  t.equal(await worker.delete(), undefined)
  t.equal(await middleMan.newWorker({ worker: 'foo_worker', workerKey: 'new', data: [1] }), 'new')
  t.same(await middleMan.allWorkerInfo(), {
    [server.address]: [{ worker: 'w', workerKey: '', status: 'running', server: server.address }],
  })
  t.same(
    server.received.map(({ verb, workerKey, jobKey, arg }) => [verb, workerKey, jobKey, arg]),
    [
      [Verb.ASK_RESULT, 'key', 'cached', undefined],
      [Verb.RESET_RESULT, 'key', 'cached', { p: 1 }],
      [Verb.RESET_RESULT, 'key', 'cached', undefined],
      [Verb.WORKER_INFO, 'key', '', undefined],
      [Verb.DELETE, 'key', '', undefined],
      [Verb.NEW_WORKER, 'new', '', [1]],
      [Verb.ALL_WORKER_INFO, '', '', undefined],
    ],
  )
})

t.test('an argument that is undefined is no argument, null is one', async (t) => {
  const { server, worker } = await connected(t)
  await worker.someTask!({ arg: undefined })
  await worker.someTask!({ arg: null })
  t.equal(server.received[0]!.arg, undefined)
  t.equal(server.received[1]!.arg, null)
})

t.test('options of an enqueue reach the server', async (t) => {
  const { server, worker } = await connected(t)
  const at = new Date('2031-02-03T04:05:06.789Z')
  for (const scheduledAt of [at, at.toISOString(), at.getTime(), '2031-02-03T05:05:06.789+01:00']) {
    await worker.enqSomeTask!({ jobKey: 'k', scheduledAt, priority: -5, attempts: 3, atMostOnce: true, timeout: 5000 })
  }
  for (const call of server.received) {
    t.match(call, { runAt: at.getTime(), priority: -5, attempts: 3, atMostOnce: true, timeout: 5000 })
  }
  await worker.enqSomeTask!({ jobKey: 'plain' })
  t.match(server.received.at(-1), { runAt: -1, priority: 0, attempts: 0, atMostOnce: false, timeout: -1 })
})

t.test('many calls are in flight at once and may be answered in any order', async (t) => {
  const held: (() => void)[] = []
  const { server, worker } = await connected(t, (call) => held.push(() => call.result(call.arg)))
  const answers = Array.from({ length: 1000 }, (_, i) => worker.echo!({ arg: i }))
  await server.calls(1000)
  t.same(
    server.received.map(({ corr }) => corr),
    Array.from({ length: 1000 }, (_, i) => i + 1),
    'correlation numbers grow by one',
  )
  held.sort(() => Math.random() - 0.5)
  for (const answer of held) answer()
  t.same(
    await Promise.all(answers),
    Array.from({ length: 1000 }, (_, i) => i),
  )
})

t.test('an ERROR rejects its call with the class that goes with the code', async (t) => {
  const remote = { name: 'TypeError', message: 'boom', stack: 'at x', code: 'E_BOOM' }
  const list = [
    new errors.RemoteWorkerError('WORKER_ERROR', 'boom', { executed: 'yes', remote }),
    new errors.WorkerCrashed('crashed'),
    new errors.Overloaded('full'),
    new errors.StoreError('STORE_FULL', 'no room'),
  ]
  const { worker } = await connected(t, (call) => call.fail(list[call.arg as number]!))
  await t.rejects(worker.x!({ arg: 0 }), { name: 'RemoteWorkerError', code: 'WORKER_ERROR', executed: 'yes', remote })
  await t.rejects(worker.x!({ arg: 1 }), { name: 'WorkerCrashed', executed: 'maybe' })
  await t.rejects(worker.x!({ arg: 2 }), { name: 'Overloaded', executed: 'no', retryable: true })
  await t.rejects(worker.x!({ arg: 3 }), { name: 'StoreError', code: 'STORE_FULL' })
})

t.test('without a job key nothing is enqueued, removed or sent', async (t) => {
  const { server, middleMan, worker } = await connected(t)
  for (const options of [undefined, {}, { arg: 1 }, { jobKey: '' }, { jobKey: undefined }]) {
    await t.rejects(worker.enqSomeTask!(options), { name: 'NoJobKey', code: 'NO_JOB_KEY', executed: 'no' })
    await t.rejects(worker.deq_some_task!(options === undefined || 'arg' in options ? {} : options), {
      name: 'NoJobKey',
    })
  }
  const good = { worker: 'w', method: 'm', jobKey: 'k' }
  await t.rejects(middleMan.enqueueMany([good, { worker: 'w', method: 'm' } as typeof good]), {
    name: 'NoJobKey',
    message: /jobs\[1\]/,
  })
  await worker.last!()
  t.equal(server.received.length, 1, 'only the call after them came')
  t.equal(server.received[0]!.corr, 1)
})

t.test('wrong options reject with the option, its value and what is allowed; nothing is sent', async (t) => {
  const { server, middleMan, worker } = await connected(t)
  type Options = Parameters<NonNullable<typeof worker.x>>[0]
  const cases: [string, unknown, RegExp][] = [
    ['x', 5, /foo_worker\.x takes one bag of options, such as \{ arg: 42 \}, and not 5/],
    ['x', 'text', /not "text"/],
    ['x', [1], /not an array/],
    ['x', null, /not null/],
    ['x', { agr: 1 }, /there is no option "agr": allowed are arg \(or args\), jobKey, host/],
    ['x', { priority: 1 }, /there is no option "priority"/],
    ['x', { arg: 1, args: 2 }, /arg and args are two names of one option/],
    ['x', { jobKey: 5 }, /jobKey is 5: it has to be text/],
    ['x', { jobKey: '' }, /jobKey is "": it has to be text/],
    ['x', { jobKey: 'k'.repeat(1025) }, /jobKey is "kkk/],
    ['x', { timeout: -1 }, /timeout of foo_worker\.x is -1: it has to be a number of milliseconds over 0/],
    ['x', { timeout: 0 }, /is 0/],
    ['x', { timeout: Number.NaN }, /is NaN/],
    ['x', { timeout: 2 ** 31 }, /is 2147483648.*at most 2147483647/],
    ['x', { timeout: '5' }, /is "5"/],
    ['x', { signal: {} }, /signal is an object: it has to be an AbortSignal/],
    ['x', { idempotent: 1 }, /idempotent is 1: it has to be true or false/],
    ['x', { host: 5 }, /host is 5/],
    [
      'x',
      { host: '10.1.2.3:11006' },
      /host is "10\.1\.2\.3:11006": it has to be 'all', 'local' or a configured server/,
    ],
    ['x', { jobKey: 'half \ud800' }, /half a surrogate pair/],
    ['enqX', { jobKey: 'k', priority: 1.5 }, /priority is 1\.5: it has to be a whole number within 32 bits/],
    ['enqX', { jobKey: 'k', priority: 2 ** 31 }, /priority is 2147483648/],
    ['enqX', { jobKey: 'k', priority: '1' }, /priority is "1"/],
    ['enqX', { jobKey: 'k', attempts: 0 }, /attempts is 0: it has to be a whole number from 1 to 1000/],
    ['enqX', { jobKey: 'k', atMostOnce: 'yes' }, /atMostOnce is "yes"/],
    ['enqX', { jobKey: 'k', scheduledAt: 1_700_000_000 }, /scheduledAt is 1700000000: .*in the years 2000 to 9999/],
    ['enqX', { jobKey: 'k', scheduledAt: new Date(Number.NaN) }, /scheduledAt is an invalid Date/],
    ['enqX', { jobKey: 'k', scheduledAt: new Date(-1) }, /scheduledAt is the date 1969/],
    ['enqX', { jobKey: 'k', scheduledAt: 'tomorrow' }, /scheduledAt is "tomorrow"/],
    ['enqX', { jobKey: 'k', scheduledAt: '2031-02-03T04:05:06' }, /an ISO time with its zone/],
    ['enqX', { jobKey: 'k', scheduledAt: Number.POSITIVE_INFINITY }, /scheduledAt is Infinity/],
    ['enqX', { jobKey: 'k', scheduledAt: 10n ** 20n }, /scheduledAt is 100000000000000000000n/],
    ['enqX', { jobKey: 'k', unique: 1 }, /there is no option "unique".*scheduledAt, expiresAt/],
    ['enqX', { jobKey: 'k', uniqueness: 1 }, /uniqueness is 1: it has to be 'reject'/],
    ['deqX', { jobKey: 'k', arg: 1 }, /there is no option "arg": allowed are jobKey, host, timeout, signal/],
    ['deqX', { jobKey: 'k', priority: 1 }, /there is no option "priority"/],
  ]
  for (const [method, options, message] of cases) {
    let promise: Promise<unknown> | undefined
    t.doesNotThrow(() => {
      promise = worker[method]!(options as Options)
    })
    await t.rejects(
      promise!,
      { name: 'InvalidArgument', code: 'INVALID_ARGUMENT', executed: 'no', message },
      String(message),
    )
  }
  await t.rejects(worker.x!({ arg: { callback() {} } }), {
    name: 'CannotEncode',
    message: /^arg\.callback is a function/,
  })
  await t.rejects(middleMan.worker(5 as unknown as string).x!(), { message: /the name of the worker is 5/ })
  await t.rejects(middleMan.worker('').x!(), { message: /the name of the worker is ""/ })
  await t.rejects(middleMan.worker('w', {} as string).x!(), { message: /the key of the worker is an object/ })
  await t.rejects(worker.askResult(5 as unknown as string), { message: /the key of askResult is 5/ })
  await t.rejects(worker.askResult('k', { x: 1 } as object), {
    message: /no option "x": allowed are host, timeout, signal/,
  })
  await t.rejects(middleMan.newWorker({ worker: 'w', workerKey: 1 } as never), { message: /workerKey is 1/ })
  await t.rejects(middleMan.newWorker({ worker: 'w', workerKey: 'k', schedule: 1 } as never), {
    message: /schedule is 1/,
  })
  await t.rejects(middleMan.enqueueMany({} as never), { message: /takes an array of jobs, and not an object/ })
  await t.rejects(middleMan.enqueueMany([{ worker: 'w', method: 'm', jobKey: 'k', priority: 0.5 }]), {
    message: /priority is 0\.5/,
  })
  await t.rejects(middleMan.enqueueMany([{ worker: 'w', method: 'm', jobKey: 'k', prio: 1 } as never]), {
    message: /"jobs\[0\]\.prio"/,
  })
  await t.rejects(middleMan.enqueueMany([5 as never]), { message: /jobs\[0\] takes one bag/ })
  await worker.last!()
  t.equal(server.received.length, 1)
})

t.test('host may say all, local or the address of the one server', async (t) => {
  const { server, worker } = await connected(t)
  t.equal(await worker.x!({ arg: 1, host: 'local' }), 1)
  t.equal(await worker.x!({ arg: 1, host: server.address }), 1)
  t.same(await worker.x!({ arg: 1, host: 'all' }), [1])
  t.equal(await worker.asyncX!({ arg: 1, host: 'all' }), undefined)
  t.same(await worker.enqX!({ jobKey: 'k', host: 'all' }), [
    { id: 5, created: true, replaced: false, server: server.address },
  ])
})

t.test('a proxy is no promise, and no object that it is not', async (t) => {
  const { server, worker } = await connected(t)
  t.equal(await worker, worker)
  const any = worker as unknown as Record<string | symbol, unknown>
  for (const name of [
    'then',
    'catch',
    'finally',
    'toJSON',
    'constructor',
    'valueOf',
    'inspect',
    'asymmetricMatch',
    '_private',
    '__proto__',
    Symbol.iterator,
  ]) {
    t.equal(any[name], undefined, String(name))
  }
  t.equal(typeof `${JSON.stringify({ worker })}`, 'string')
  t.same(Object.keys(worker), [])
  t.equal(worker.someTask, worker.someTask, 'a method is one function')
  t.equal(server.received.length, 0)
})

t.test('a result that cannot be read rejects its own call only', async (t) => {
  const { server, worker } = await connected(t, (call) => {
    if (call.method === 'bad') server.connections[0]!.out.frame(6, 0, call.corr, Buffer.from('ff', 'hex'))
    else call.result(1)
  })
  const [bad, good] = [worker.bad!(), worker.good!()]
  await t.rejects(bad, {
    name: 'ProtocolError',
    executed: 'yes',
    message: /the result of foo_worker\.bad cannot be read/,
  })
  t.equal(await good, 1)
})

t.test('a call that is too large for the server is refused before it is sent', async (t) => {
  const server = await ScriptedServer.start(echo, { maxBody: 10_000 })
  const middleMan = await MiddleMan.connect({ host: '127.0.0.1', port: server.port })
  t.teardown(() => Promise.all([middleMan.close(), server.stopListening()]))
  const worker = middleMan.worker('w')
  await t.rejects(worker.x!({ arg: 'x'.repeat(10_000) }), {
    name: 'InvalidArgument',
    message: /takes \d+ bytes, and 127\.0\.0\.1:\d+ takes at most 10000/,
    details: { maxBody: 10_000 },
  })
  t.equal(await worker.x!({ arg: 'x'.repeat(9_900) }), 'x'.repeat(9_900))
  t.equal(server.received.length, 1)
})

t.test('enqueueMany sends its jobs in order, in frames of bounded size', async (t) => {
  const { server, middleMan } = await connected(t)
  const jobs = Array.from({ length: 3000 }, (_, i) => ({
    worker: 'w',
    method: 'm',
    arg: { i, text: 'x'.repeat(500) },
    jobKey: `k${i}`,
    ...(i % 2 === 0 ? { priority: i, scheduledAt: new Date('2040-01-01T00:00:00Z'), workerKey: 'even' } : {}),
  }))
  const answers = await middleMan.enqueueMany(jobs)
  t.equal(answers.length, 3000)
  t.match(answers[0], { id: 1, created: true })
  t.ok(server.received.length >= 3 && server.received.length < 6)
  const sent = server.received.flatMap(
    (call) => call.arg as { jobKey: string; arg: { i: number }; workerKey: string }[],
  )
  t.same(
    sent.map(({ arg }) => arg.i),
    jobs.map(({ arg }) => arg.i),
  )
  t.equal(sent[2]!.workerKey, 'even')
  t.equal(sent[3]!.jobKey, 'k3')
  t.same(await middleMan.enqueueMany([]), [])
})

t.test('enqueueManySettled tells of each job what became of it, and sends those that can be', async (t) => {
  const { server, middleMan } = await connected(t)
  const job = (jobKey: string, more: object = {}) => ({ worker: 'w', method: 'm', jobKey, ...more })
  const answers = await middleMan.enqueueManySettled([
    job('a'),
    job('b', { priority: 0.5 }),
    job('c'),
    job('d', { arg: () => {} }),
    5 as never,
    job(''),
  ])
  t.match(answers, [
    { status: 'fulfilled', value: { id: 1, created: true, server: server.address } },
    { status: 'rejected', reason: { name: 'InvalidArgument', message: /priority is 0\.5/ } },
    { status: 'fulfilled', value: { id: 2 } },
    { status: 'rejected', reason: { name: 'CannotEncode', message: /jobs\[3\]\.arg/ } },
    { status: 'rejected', reason: { name: 'InvalidArgument', message: /jobs\[4\] takes one bag/ } },
    { status: 'rejected', reason: { name: 'NoJobKey' } },
  ])
  t.same(
    server.received.flatMap((call) => (call.arg as { jobKey: string }[]).map(({ jobKey }) => jobKey)),
    ['a', 'c'],
  )
  t.same(await middleMan.enqueueManySettled([]), [])
  await t.rejects(middleMan.enqueueManySettled({} as never), { message: /enqueueManySettled takes an array of jobs/ })
  await t.rejects(middleMan.enqueueManySettled([], { time: 1 } as never), {
    name: 'InvalidArgument',
    message: /"time"/,
  })
})

t.test('what fails a frame of enqueueManySettled is the outcome of each of its jobs', async (t) => {
  const { server, middleMan } = await connected(t)
  server.script = (call) => {
    if ((call.arg as unknown[]).length > 1) call.fail(new errors.StoreError('STORE_FULL', 'full'))
    else echo(call)
  }
  const jobs = ['a', 'b'].map((jobKey) => ({ worker: 'w', method: 'm', jobKey }))
  const reason = { name: 'StoreError', code: 'STORE_FULL', executed: 'no' }
  t.match(await middleMan.enqueueManySettled(jobs), [
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ])
  t.match(await middleMan.enqueueManySettled(jobs.slice(1)), [{ status: 'fulfilled' }])
})
