import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { ProtocolError } from '#offstage/errors.js'
import { parseAddresses } from '#offstage/middleman/addresses.js'
import { Cluster } from '#offstage/middleman/cluster.js'
import { MiddleMan, type UntypedWorkerProxy } from '#offstage/middleman/index.js'
import { workerProxy } from '#offstage/middleman/proxy.js'
import { Route } from '#offstage/middleman/route.js'
import { encodeFailure } from '#offstage/wire/failure.js'
import { FrameType } from '#offstage/wire/frame.js'
import { echo, type Script, ScriptedServer } from './scripted-server.js'

interface Test {
  teardown(fn: () => unknown): void
}

async function connected(t: Test, script: Script = echo, connectTimeout = 5000) {
  const server = await ScriptedServer.start(script)
  const { port } = server
  const middleMan = await MiddleMan.connect({ client: server.address, connectTimeout })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.stopListening()
  })
  return { server, port, middleMan, worker: middleMan.worker('w') }
}

/** The client's own view of a connection, and proxies on it. */
async function linked(t: Test, script: Script = echo, connectTimeout = 5000) {
  const server = await ScriptedServer.start(script)
  const { port } = server
  const cluster = new Cluster({ addresses: parseAddresses(server.address), connectTimeout, timeout: -1 })
  await cluster.connect()
  t.teardown(async () => {
    await cluster.close(0)
    await server.stopListening()
  })
  const worker = workerProxy(new Route(() => cluster), 'w', '') as UntypedWorkerProxy
  /** Stops the server, and returns when the client has noticed. */
  const stop = async () => {
    await server.stopListening()
    while (cluster.links[0]!.open) await nextTurn()
  }
  return { server, port, cluster, worker, stop }
}

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

t.test('without a server, connecting rejects and says what to do', async (t) => {
  const port = await freePort()
  await t.rejects(MiddleMan.connect({ port }), {
    name: 'NoServerAvailable',
    code: 'NO_SERVER_AVAILABLE',
    executed: 'no',
    retryable: true,
    message: `no server can be reached: 127.0.0.1:${port}: nothing listens there (is the supervisor running?)`,
  })
})

t.test('a server that is silent is given up after connectTimeout', async (t) => {
  const server = await ScriptedServer.start(echo, { greet: false })
  t.teardown(() => server.stopListening())
  await t.rejects(MiddleMan.connect({ client: server.address, connectTimeout: 50 }), {
    name: 'NoServerAvailable',
    message: /did not answer within 50 ms/,
  })
})

t.test('connecting can be aborted', async (t) => {
  const server = await ScriptedServer.start(echo, { greet: false })
  t.teardown(() => server.stopListening())
  const controller = new AbortController()
  const connecting = MiddleMan.connect({ client: server.address, signal: controller.signal })
  await server.until(() => server.connections.length === 1)
  controller.abort()
  await t.rejects(connecting, { name: 'Cancelled' })
  await server.until(() => server.open === 0)
  await t.rejects(MiddleMan.connect({ client: server.address, signal: AbortSignal.abort() }), { name: 'Cancelled' })
})

t.test('a program that is no offstage server is named as what it is', async (t) => {
  const answers: [string, RegExp][] = [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', /is no offstage server: it speaks HTTP/],
    ['-ERR unknown command\r\n', /first bytes are "-ERR/],
  ]
  for (const [answer, message] of answers) {
    const server = createServer((socket: Socket) => {
      socket.on('error', () => {})
      socket.end(answer)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await t.rejects(MiddleMan.connect({ port }), { name: 'NoServerAvailable', message, cause: { code: 'PROTOCOL' } })
    server.close()
  }
})

t.test('a server that refuses says why', async (t) => {
  const server = await ScriptedServer.start(echo, { greet: false })
  t.teardown(() => server.stopListening())
  const connecting = MiddleMan.connect({ client: server.address })
  await server.until(() => server.connections.length === 1)
  const error = new ProtocolError('upgrade the server', {}, 'UNSUPPORTED_VERSION')
  server.connections[0]!.out.frame(FrameType.ERROR, 0, 0, encodeFailure(error))
  server.connections[0]!.end()
  await t.rejects(connecting, { message: /upgrade the server/, cause: { code: 'UNSUPPORTED_VERSION' } })
})

t.test('calls made while there is no connection wait for the next one', async (t) => {
  const { server, port, worker, stop } = await linked(t)
  await stop()
  const controller = new AbortController()
  const waiting = [worker.a!({ arg: 1 }), worker.b!({ arg: 2, timeout: 4000 })]
  const aborted = worker.c!({ signal: controller.signal })
  controller.abort()
  await t.rejects(aborted, { name: 'Cancelled', executed: 'no' })
  await server.listen(port)
  t.same(await Promise.all(waiting), [1, 2])
  t.same(
    server.received.map(({ method }) => method),
    ['a', 'b'],
    'in order, without the aborted one',
  )
  t.ok(server.received[1]!.timeout < 4000, 'the time of waiting counts')
})

t.test('they give up after connectTimeout, or at their deadline', async (t) => {
  const { worker, stop } = await linked(t, echo, 150)
  await stop()
  const outcomes = [
    t.rejects(worker.a!(), {
      name: 'NoServerAvailable',
      executed: 'no',
      message: /no server can be reached for w\.a within 150 ms: 127\.0\.0\.1:\d+: nothing listens there/,
    }),
    t.rejects(worker.b!({ timeout: 50 }), { name: 'DeadlineExceeded', executed: 'no' }),
    t.rejects(worker.enqC!({ jobKey: 'k' }), { name: 'NoServerAvailable', executed: 'no' }),
  ]
  await Promise.all(outcomes)
  const again = performance.now()
  await t.rejects(worker.a!(), { name: 'NoServerAvailable' })
  t.ok(performance.now() - again >= 140, 'and so does the next one, in its own time')
})

t.test('calls on a connection that breaks have an unknown outcome, unless repeating them is safe', async (t) => {
  const { server, worker, middleMan } = await connected(t, () => {})
  const unknown = { name: 'OutcomeUnknown', code: 'OUTCOME_UNKNOWN', executed: 'maybe' }
  const lost = [
    t.rejects(worker.plain!(), { ...unknown, message: /broke before the answer of w\.plain came/ }),
    t.rejects(worker.asyncPlain!(), unknown),
    t.rejects(worker.plain!({ jobKey: 'k' }), unknown, 'a job key does not make a call repeatable'),
    t.rejects(worker.deqPlain!({ jobKey: 'k' }), unknown),
    t.rejects(worker.delete(), unknown),
    t.rejects(middleMan.newWorker({ worker: 'w', workerKey: 'k' }), unknown),
  ]
  const repeated = [
    worker.plain!({ arg: 1, idempotent: true }),
    worker.asyncPlain!({ idempotent: true }),
    worker.enqPlain!({ jobKey: 'k', arg: 'job' }),
    middleMan.enqueueMany([{ worker: 'w', method: 'm', jobKey: 'k' }]),
    worker.askResult('key'),
    worker.resetResult('key', 2),
    worker.workerInfo(),
    middleMan.allWorkerInfo(),
  ]
  await server.calls(lost.length + repeated.length)
  server.script = echo
  server.cut()
  await Promise.all(lost)
  const answers = await Promise.all(repeated)
  t.equal(answers[0], 1)
  t.match(answers[2], { created: true })
  const second = server.received.filter(({ session }) => session === 1)
  t.equal(second.length, repeated.length)
  t.match(second[2], { jobKey: 'k', arg: 'job' }, 'with everything that it had')
})

t.test('an enqueue that is to start at most once is not sent again, alone or in bulk', async (t) => {
  const { server, worker, middleMan } = await connected(t, () => {})
  const once = { jobKey: 'k', atMostOnce: true }
  const job = { worker: 'w', method: 'm' }
  // Two frames: what is in the other one can be repeated.
  const big = Buffer.alloc(600_000)
  const unknown = { name: 'OutcomeUnknown', executed: 'maybe' }
  const lost = [
    t.rejects(worker.enqPlain!(once), unknown),
    t.rejects(worker.enqPlain!({ ...once, idempotent: true }), unknown, 'nor when something else says that it may'),
    t.rejects(
      middleMan.enqueueMany([
        { ...job, ...once },
        { ...job, jobKey: 'second' },
      ]),
      unknown,
    ),
    t.rejects(
      middleMan.enqueueMany([
        { ...job, ...once },
        { ...job, jobKey: 'in a second frame', arg: big },
      ]),
      unknown,
    ),
  ]
  const repeated = worker.enqPlain!({ jobKey: 'other', atMostOnce: false })
  await server.calls(6)
  server.script = echo
  server.cut()
  await Promise.all(lost)
  t.match(await repeated, { created: true })
  const second = server.received.filter(({ session }) => session === 1)
  t.match(
    second.map(({ arg, jobKey }) => (Array.isArray(arg) ? arg[0].jobKey : jobKey)).sort(),
    ['in a second frame', 'other'],
    'no other came twice',
  )
})

t.test('what was still in the outbox when the connection broke goes out on the next one', async (t) => {
  const { server, cluster, worker } = await linked(t)
  await worker.first!()
  server.cut()
  await server.until(() => server.open === 0)
  // The loss waits in the kernel: one call is made in the turn before it is noticed, in which nothing leaves.
  t.ok(cluster.links[0]!.open, 'the client does not know yet')
  t.equal(await worker.x!({ arg: 'not idempotent' }), 'not idempotent')
  t.equal(server.received.at(-1)!.session, 1)
})

t.test('a deadline between two connections ends a call honestly', async (t) => {
  const { server, worker, stop } = await linked(t, () => {})
  const call = worker.plain!({ idempotent: true, timeout: 100 })
  await server.calls(1)
  await stop()
  await t.rejects(call, { name: 'DeadlineExceeded', executed: 'maybe' }, 'it was sent once')
})

t.test('it connects again by itself, also when nobody waits', async (t) => {
  const { server, port, worker } = await connected(t)
  for (let i = 1; i <= 3; i++) {
    await server.stopListening()
    await server.listen(port)
    await server.until(() => server.connections.length === i + 1)
  }
  t.equal(await worker.x!({ arg: 'here' }), 'here')
})

t.test('after GOAWAY new calls go to the next connection, and old ones are answered on the old', async (t) => {
  const held: (() => void)[] = []
  const { server, worker } = await connected(t, (call) => {
    if (call.method === 'old') held.push(() => call.result('old'))
    else echo(call)
  })
  const old = worker.old!()
  await server.calls(1)
  server.goAway(1)
  await server.until(() => server.connections.length === 2)
  t.equal(await worker.fresh!({ arg: 'fresh' }), 'fresh')
  t.equal(server.received[1]!.session, 1)
  held[0]!()
  t.equal(await old, 'old')
  await server.until(() => server.connections[0] === undefined)
  t.pass('and the old connection was ended')
})

t.test('calls behind the last one that GOAWAY names are sent again', async (t) => {
  const { server, worker } = await connected(t, (call) => {
    if (call.session > 0) echo(call)
  })
  const calls = [1, 2, 3].map((arg) => worker.x!({ arg }))
  await server.calls(3)
  server.goAway(1)
  t.same(await Promise.all(calls.slice(1)), [2, 3])
  server.cut()
  await t.rejects(calls[0]!, { name: 'OutcomeUnknown' })
})

t.test('when the numbers of a connection are used up, the next connection takes over', async (t) => {
  const server = await ScriptedServer.start()
  const cluster = new Cluster({
    addresses: parseAddresses(server.address),
    connectTimeout: 5000,
    timeout: -1,
    maxCorr: 10,
  })
  await cluster.connect()
  t.teardown(() => Promise.all([cluster.close(0), server.stopListening()]))
  const worker = workerProxy(new Route(() => cluster), 'w', '') as { x(options: object): Promise<unknown> }
  const answers = await Promise.all(Array.from({ length: 35 }, (_, arg) => worker.x({ arg })))
  t.same(
    answers,
    Array.from({ length: 35 }, (_, arg) => arg),
  )
  t.equal(server.connections.length, 4)
  t.ok(server.received.every(({ corr }) => corr <= 10))
})

t.test('allWorkerInfo has null for a server that is down', async (t) => {
  const { server, middleMan } = await connected(t, echo, 100)
  const { address } = server
  await server.stopListening()
  t.same(await middleMan.allWorkerInfo(), { [address]: null })
})

t.test('close waits for the answers under way, takes no more calls, and ends the connection', async (t) => {
  const held: (() => void)[] = []
  const { server, middleMan, worker } = await connected(t, (call) => held.push(() => call.result('done')))
  const under = worker.x!()
  await server.calls(1)
  const closing = middleMan.close()
  await t.rejects(worker.y!(), { name: 'ConnectionError', code: 'CLOSED', executed: 'no', retryable: false })
  held[0]!()
  t.equal(await under, 'done')
  await closing
  await server.until(() => server.open === 0)
  await middleMan.close()
  t.equal(server.received.length, 1)
})

t.test('close does not wait for longer than it was told', async (t) => {
  const { middleMan, worker, server } = await connected(t, () => {})
  const under = t.rejects(worker.x!(), { name: 'OutcomeUnknown' })
  await server.calls(1)
  await middleMan.close({ timeout: 20 })
  await under
})

t.test('close while there is no connection rejects what waits', async (t) => {
  const { middleMan, worker, server } = await connected(t)
  await server.stopListening()
  await t.rejects(worker.x!({ idempotent: true, timeout: 30 }), { name: 'DeadlineExceeded' })
  const waiting = t.rejects(worker.x!(), { name: 'ConnectionError', code: 'CLOSED', executed: 'no' })
  await middleMan.close()
  await waiting
})

t.test('close says of a call that waits to be sent again that it may have run', async (t) => {
  const { cluster, worker, server, stop } = await linked(t, () => {})
  const sent = t.rejects(worker.enqX!({ jobKey: 'k' }), { code: 'CLOSED', executed: 'maybe' })
  await server.calls(1)
  await stop()
  const unsent = t.rejects(worker.enqX!({ jobKey: 'l' }), { code: 'CLOSED', executed: 'no' })
  await cluster.close(0)
  await Promise.all([sent, unsent])
})

t.test('an open connection without calls does not keep the process, one with calls does', async (t) => {
  const held: (() => void)[] = []
  const server = await ScriptedServer.start((call) => {
    if (call.method === 'hold') held.push(() => call.result('held'))
    else echo(call)
  })
  t.teardown(() => server.stopListening())
  const program = (body: string) => {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', `import { MiddleMan } from 'offstage/middleman'; ${body}`],
      { cwd: process.cwd(), stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    return once(child, 'close').then(([code]) => ({ code: code as number, output }))
  }
  const connect = `const m = await MiddleMan.connect({ client: '${server.address}' });`
  t.match(await program(`${connect} await m.worker('w').x({ arg: 1 }); console.log('out')`), {
    code: 0,
    output: 'out\n',
  })
  const holding = program(`${connect} m.worker('w').hold().then((v) => console.log(v))`)
  await server.until(() => held.length === 1)
  held[0]!()
  t.match(await holding, { code: 0, output: 'held\n' })
  const lost = `m.worker('w').hold().catch((e) => console.log(e.code)); `
  const cut = program(`${connect} ${lost}`)
  await server.until(() => held.length === 2)
  server.cut()
  t.match(await cut, { code: 0, output: 'OUTCOME_UNKNOWN\n' })
})

t.test('a server that breaks the rules loses the connection, not the process', async (t) => {
  const { server, worker } = await connected(t, () => {})
  const call = t.rejects(worker.x!(), {
    name: 'OutcomeUnknown',
    cause: { code: 'PROTOCOL', message: /call 99, which does not exist/ },
  })
  await server.calls(1)
  server.connections[0]!.out.frame(FrameType.RESULT, 0, 99, Buffer.from('f6', 'hex'))
  await call
  server.script = echo
  t.equal(await worker.x!({ arg: 'again' }), 'again')
})
