import dns from 'node:dns'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer, type ListenOptions } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Draining, OutcomeUnknown, Overloaded, RemoteWorkerError } from '#offstage/errors.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { Verb } from '#offstage/wire/envelope.js'
import { echo, type Received, type Script, ScriptedServer } from './scripted-server.js'
import { connect, number, received, start, stop, until } from './servers.js'

const noWorker = () => new RemoteWorkerError('NO_WORKER', 'no such instance runs here')

t.test('servers take turns in the order of the list, whatever is called', async (t) => {
  const servers = await start(t, 3)
  const middleMan = await connect(t, servers)
  const [one, two] = [middleMan.worker('one'), middleMan.worker('two')]
  const first = await one.x!()
  const answers = [await one.x!(), await two.x!(), await one.y!(), await two.x!(), await one.x!()]
  t.same(
    answers,
    [1, 2, 3, 4, 5].map((n) => ((first as number) + n) % 3),
  )
  await one.asyncX!()
  t.same(
    servers.map((server) => received(server).length).sort(),
    [2, 2, 3],
    'an asynchronous call takes a turn as well',
  )
})

t.test('a server that is gone leaves the rotation at once, and no call is lost to it', async (t) => {
  const servers = await start(t, 3)
  const middleMan = await connect(t, servers)
  await stop(middleMan, servers[1]!)
  const worker = middleMan.worker('w')
  const answers = await Promise.all([1, 2, 3, 4].map(() => worker.x!()))
  t.same(answers.sort(), [0, 0, 2, 2])
})

t.test('what broke with its connection goes elsewhere only when it may run again', async (t) => {
  const silent: Script = (call) => {
    if (call.verb !== Verb.CALL) echo(call)
  }
  const servers = await start(t, 2, (i) => (i === 0 ? silent : number(i)))
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const plain = worker.plain!({ host: servers[0]!.address })
  const pinned = worker.pinned!({ host: servers[0]!.address, idempotent: true })
  const free = ['a', 'b'].map((arg) => worker.free!({ arg, idempotent: true }))
  await servers[0]!.until(() => received(servers[0]!).length === 3)
  servers[0]!.script = number(0)
  servers[0]!.cut()
  await t.rejects(plain, { name: 'OutcomeUnknown', executed: 'maybe' })
  t.equal(await pinned, 0, 'one that is for this server waits until it is back')
  t.same(await Promise.all(free), [1, 1], 'one that is for any has gone to the other')
  t.notOk(received(servers[1]!).some(({ method }) => method !== 'free'))
  t.equal(received(servers[0]!).filter(({ method }) => method === 'plain').length, 1, 'nor is it sent to its own again')
})

t.test('who refuses what another may have run does not say that it has not run', async (t) => {
  const silent: Script = (call) => {
    if (call.verb === Verb.ALL_WORKER_INFO) echo(call)
  }
  const servers = await start(t, 2, () => silent)
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const unknown = { name: 'OutcomeUnknown', executed: 'maybe', cause: { code: 'NO_WORKER', executed: 'no' } }
  const calls = [worker.x!({ idempotent: true }), worker.y!({ idempotent: true })].map((call) =>
    t.rejects(call, unknown),
  )
  await servers[0]!.until(() => received(servers[0]!).length === 1)
  await servers[1]!.until(() => received(servers[1]!).length === 1)
  servers[1]!.script = (call) => (call.verb === Verb.ALL_WORKER_INFO ? echo(call) : call.fail(noWorker()))
  await stop(middleMan, servers[0]!)
  servers[1]!.cut()
  await Promise.all(calls)
})

t.test('a server that comes back takes its turns again, and no caller has waited for it', async (t) => {
  const servers = await start(t, 2)
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const { port, address } = servers[0]!
  for (let i = 0; i < 2; i++) {
    await stop(middleMan, servers[0]!)
    t.same(await Promise.all([worker.x!(), worker.x!()]), [1, 1], 'the other one serves meanwhile')
    await servers[0]!.listen(port)
    await until(middleMan, (up) => up.includes(address))
    t.same((await Promise.all([worker.x!(), worker.x!()])).sort(), [0, 1])
  }
})

t.test('connecting does not wait for a server that is silent when another one is there', async (t) => {
  const [good] = await start(t, 1)
  const silent = await ScriptedServer.start(echo, { greet: false })
  t.teardown(() => silent.stopListening())
  const client = `${silent.address},${good!.address}`
  const middleMan = await MiddleMan.connect({ client, connectTimeout: 1_000_000 })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  t.equal(await middleMan.worker('w').x!(), 0)
  t.match(await middleMan.allWorkerInfo(), { [silent.address]: null, [good!.address]: [{ server: good!.address }] })
})

t.test("host: 'all' runs on every server that is up, and answers in the order of the list", async (t) => {
  const servers = await start(t, 3)
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  t.same(await worker.x!({ arg: 1, host: 'all' }), [0, 1, 2])
  t.equal(await worker.asyncX!({ host: 'all' }), undefined)
  t.match(
    await worker.enqX!({ jobKey: 'k', host: 'all' }),
    servers.map(({ address }) => ({ created: true, server: address })),
  )
  t.same(
    servers.map((server) => received(server).length),
    [3, 3, 3],
  )
  await stop(middleMan, servers[1]!)
  t.same(await worker.x!({ host: 'all' }), [0, 2])
  await t.rejects(worker.x!({ host: 'all', idempotent: 1 as never }), { name: 'InvalidArgument' })
})

t.test("what came to different things on the servers of 'all' says so for each", async (t) => {
  const fails: Script = (call) => call.fail(call.method === 'x' ? noWorker() : new OutcomeUnknown('who knows'))
  const servers = await start(t, 3, (i) => (i === 1 ? fails : number(i)))
  for (const server of servers) {
    const { script } = server
    server.script = (call) => (call.verb === Verb.ALL_WORKER_INFO ? echo(call) : script(call))
  }
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const { address } = servers[1]!
  await t.rejects(worker.x!({ host: 'all' }), {
    name: 'PartialFailure',
    code: 'PARTIAL_FAILURE',
    executed: 'maybe',
    message: `w.x failed on 1 of 3 servers: ${address}: no such instance runs here`,
    details: { servers: { [servers[0]!.address]: null, [address]: { code: 'NO_WORKER', executed: 'no' } } },
    cause: { name: 'RemoteWorkerError' },
  })
  for (const server of servers) server.script = fails
  await t.rejects(
    worker.x!({ host: 'all' }),
    { name: 'RemoteWorkerError', code: 'NO_WORKER', executed: 'no' },
    'the same',
  )
})

t.test("host: 'local' is the configured server, and an address is the server that has it", async (t) => {
  const servers = await start(t, 2)
  const [configured] = await start(t, 1, () => number(7))
  const middleMan = await connect(t, servers, { host: '127.0.0.1', port: configured!.port })
  const worker = middleMan.worker('w')
  t.same(await worker.x!({ host: 'all' }), [0, 1, 7], 'it joins the others, and is the last')
  t.equal(await worker.x!({ host: 'local' }), 7)
  t.equal(await worker.x!({ host: servers[1]!.address }), 1)
  await t.rejects(worker.x!({ host: '10.1.2.3:4' }), {
    name: 'InvalidArgument',
    message: `host is "10.1.2.3:4": it has to be 'all', 'local' or a configured server (${servers[0]!.address}, ${servers[1]!.address}, ${configured!.address})`,
  })
  const second = await connect(t, servers)
  t.equal(await second.worker('w').x!({ host: 'local' }), 0, 'where none is configured it is the first')
})

t.test('a named server that is down: the call waits for it, then says which, and does not go elsewhere', async (t) => {
  const servers = await start(t, 2)
  const middleMan = await connect(t, servers, { connectTimeout: 1_000 })
  const { address } = servers[0]!
  await stop(middleMan, servers[0]!)
  await t.rejects(middleMan.worker('w').x!({ host: address }), {
    name: 'NoServerAvailable',
    executed: 'no',
    message: `${address} cannot be reached for w.x within 1000 ms: ${address}: nothing listens there (is the supervisor running?)`,
  })
  t.equal(received(servers[1]!).length, 0)
})

t.test('newWorker, resetResult, workerInfo and delete go to every server, or to the one that is named', async (t) => {
  const servers = await start(t, 3)
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w', 'key')
  const options = { worker: 'w', workerKey: 'key', data: { a: 1 } }
  t.equal(await middleMan.newWorker(options), 'key')
  await worker.resetResult('r', 5)
  t.match(await worker.workerInfo(), { server: servers[0]!.address, status: 'running' })
  await worker.delete()
  const verbs = [Verb.NEW_WORKER, Verb.RESET_RESULT, Verb.WORKER_INFO, Verb.DELETE]
  const sent = () => servers.map((server) => received(server).map(({ verb }) => verb))
  t.same(sent(), [verbs, verbs, verbs])
  t.match(received(servers[2]!)[0], { arg: { a: 1 }, workerKey: 'key' })
  t.same(
    (await worker.workerInfo({ host: 'all' })).map(({ server }) => server),
    servers.map(({ address }) => address),
  )
  for (const server of servers) server.received.length = 0
  const host = servers[1]!.address
  await middleMan.newWorker({ ...options, host })
  await worker.resetResult('r', 5, { host })
  t.match(await worker.workerInfo({ host }), { server: host })
  await worker.delete({ host: 'local' })
  t.same(sent(), [[Verb.DELETE], verbs.slice(0, 3), []])
})

t.test('workerInfo and delete are content with the servers that have the instance', async (t) => {
  const lacks: Script = (call) => (call.verb === Verb.ALL_WORKER_INFO ? echo(call) : call.fail(noWorker()))
  const servers = await start(t, 2, (i) => (i === 0 ? lacks : number(i)))
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w', 'key')
  t.match(await worker.workerInfo(), { server: servers[1]!.address })
  await worker.delete()
  await worker.resetResult('k')
  servers[1]!.script = lacks
  await t.rejects(worker.workerInfo(), { code: 'NO_WORKER' })
  await t.rejects(worker.delete(), { code: 'NO_WORKER' })
  await t.rejects(worker.askResult('k'), { code: 'NO_WORKER' })
})

t.test('an instance that is on one server only is found by its key, and remembered', async (t) => {
  const lacks: Script = (call) => (call.workerKey === '' ? echo(call) : call.fail(noWorker()))
  const servers = await start(t, 3, (i) => (i === 2 ? number(i) : lacks))
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w', 'key')
  for (let i = 0; i < 10; i++) t.equal(await worker.x!(), 2)
  await worker.asyncX!()
  t.ok(received(servers[0]!).length <= 1 && received(servers[1]!).length <= 1, 'nobody is asked again and again')
  servers[2]!.script = lacks
  await t.rejects(worker.x!(), { name: 'RemoteWorkerError', code: 'NO_WORKER', executed: 'no' })
  servers[0]!.script = number(0)
  t.equal(await worker.x!(), 0, 'those that did not have it are asked before it is given up')
})

t.test(
  'a server that has no room, or is being stopped, is passed over; nothing goes on that may have run',
  async (t) => {
    const answers: Record<string, () => Error> = {
      overloaded: () => new Overloaded('full'),
      draining: () => new Draining('stopping'),
      maybe: () => new Overloaded('full', { executed: 'maybe' }),
      thrown: () => new RemoteWorkerError('WORKER_ERROR', 'thrown', { executed: 'yes' }),
    }
    const refuses = (call: Received) => {
      const answer = answers[call.method]
      if (answer === undefined) echo(call)
      else call.fail(answer() as Overloaded)
    }
    const servers = await start(t, 2, (i) => (i === 0 ? refuses : number(i)))
    const middleMan = await connect(t, servers)
    const worker = middleMan.worker('w')
    t.same(await Promise.all([worker.draining!(), worker.draining!()]), [1, 1])
    const both = (method: string) => Promise.allSettled([worker[method]!(), worker[method]!()])
    for (const [method, executed] of [
      ['maybe', 'maybe'],
      ['thrown', 'yes'],
    ] as const) {
      const failed = (await both(method)).filter(({ status }) => status === 'rejected')
      t.match(failed, [{ reason: { executed } }], method)
    }
    t.same(await Promise.all([worker.overloaded!(), worker.overloaded!()]), [1, 1])
    const before = received(servers[0]!).length
    t.same(await Promise.all([1, 2, 3].map(() => worker.overloaded!())), [1, 1, 1])
    t.equal(received(servers[0]!).length, before, 'it is left alone for a while')
    servers[1]!.script = refuses
    await t.rejects(
      worker.overloaded!(),
      { name: 'Overloaded', executed: 'no' },
      'when all are full, that is the answer',
    )
    await t.rejects(
      worker.draining!({ host: servers[0]!.address }),
      { name: 'Draining' },
      'nor is a named one replaced',
    )
  },
)

t.test('calls that a leaving server has not taken go to another', async (t) => {
  const servers = await start(t, 2, (i) => (call) => {
    if (call.verb !== Verb.CALL || i === 1) number(i)(call)
  })
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const calls = [worker.x!(), worker.x!()]
  await servers[0]!.until(() => received(servers[0]!).length === 1)
  servers[0]!.goAway(received(servers[0]!)[0]!.corr - 1)
  t.same(await Promise.all(calls), [1, 1])
  await servers[0]!.until(() => servers[0]!.connections.length === 2)
  t.pass('and it is connected to again')
})

t.test('a server that goes while all are asked is left out, and not waited for', async (t) => {
  const silent: Script = (call) => {
    if (call.verb === Verb.ALL_WORKER_INFO) echo(call)
  }
  const servers = await start(t, 2, (i) => (i === 0 ? silent : number(i)))
  const middleMan = await connect(t, servers, { connectTimeout: 1_000_000 })
  const worker = middleMan.worker('w')
  const info = worker.workerInfo({ host: 'all' })
  const enqueued = t.rejects(worker.enqX!({ jobKey: 'k', host: 'all' }), {
    name: 'PartialFailure',
    executed: 'maybe',
    details: { servers: { [servers[1]!.address]: null } },
  })
  await servers[0]!.until(() => received(servers[0]!).length === 2)
  await servers[0]!.stopListening()
  t.match(await info, [{ server: servers[1]!.address }])
  await enqueued
})

t.test('servers may be named by IPv4 and IPv6 addresses, names and Unix sockets', async (t) => {
  const [server] = await start(t, 1)
  // Not in the test's own folder, whose path may be longer than a socket's can be.
  const folder = mkdtempSync(join(tmpdir(), 'offstage-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'socket')
  const door = async (where: ListenOptions) => {
    const pipe = createServer((near) => {
      const far = createConnection(server!.port, '127.0.0.1')
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) socket.on('error', () => near.destroy())
    })
    t.teardown(() => pipe.close())
    await once(pipe.listen(where), 'listening')
    return (pipe.address() as AddressInfo).port
  }
  await door({ path })
  const addresses = [server!.address, `unix:${path}`]
  if (Object.values(networkInterfaces()).some((list) => list!.some(({ address }) => address === '::1'))) {
    addresses.push(`[::1]:${await door({ host: '::1', port: 0 })}`)
  } else t.comment('there is no IPv6 here')
  // The name has two addresses, and nobody listens at the first.
  const { lookup } = dns
  t.teardown(() => Object.assign(dns, { lookup }))
  const found = ['127.0.0.9', '127.0.0.1'].map((address) => ({ address, family: 4 }))
  type Back = (error: null, addresses: typeof found) => void
  Object.assign(dns, { lookup: (_: string, __: object, back: Back) => setImmediate(back, null, found) })
  addresses.push(`jobs.example:${server!.port}`)
  const middleMan = await MiddleMan.connect({ client: addresses.join(',') })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  await until(middleMan, (up) => up.length === addresses.length)
  t.same(
    await middleMan.worker('w').x!({ host: 'all' }),
    addresses.map(() => 0),
  )
})

t.test('askResult asks all servers, and gives the first value that there is', async (t) => {
  const holds: Script = (call) => {
    if (call.verb !== Verb.ASK_RESULT) echo(call)
    else if (call.jobKey === 'there') call.result('value')
    else if (call.jobKey === 'error') call.fail(new OutcomeUnknown('lost'))
    else call.result(null)
  }
  const silent: Script = (call) => {
    if (call.verb !== Verb.ASK_RESULT) echo(call)
    else if (call.jobKey !== 'there') call.result(null)
  }
  const servers = await start(t, 3, (i) => (i === 2 ? holds : silent))
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  t.equal(await worker.askResult('there'), 'value', 'although two have not answered')
  t.equal(await worker.askResult('absent'), null)
  t.equal(await worker.askResult('absent', { host: 'local' }), null)
  t.equal(received(servers[1]!).length, 2)
  await t.rejects(worker.askResult('error'), { name: 'PartialFailure' }, 'null would say that there is none')
})

t.test('with no server at all: NoServerAvailable, which names them all', async (t) => {
  const servers = await start(t, 2)
  const addresses = servers.map(({ address }) => address)
  const middleMan = await connect(t, servers, { connectTimeout: 1_000 })
  for (const server of servers) await stop(middleMan, server)
  const worker = middleMan.worker('w')
  const none = { name: 'NoServerAvailable', executed: 'no' }
  const message = new RegExp(`no server can be reached for .*${addresses[0]}.*; ${addresses[1]}`)
  await Promise.all([
    t.rejects(worker.x!(), { ...none, message }),
    t.rejects(worker.asyncX!({ host: 'all' }), { ...none, message }),
    t.rejects(worker.enqX!({ jobKey: 'k' }), { ...none, message }),
    t.rejects(worker.deqX!({ jobKey: 'k' }), none),
    t.rejects(worker.askResult('k'), none),
    t.rejects(middleMan.newWorker({ worker: 'w', workerKey: 'k' }), none),
  ])
  t.same(await middleMan.allWorkerInfo(), { [addresses[0]!]: null, [addresses[1]!]: null })
  await t.rejects(MiddleMan.connect({ client: addresses.join(','), connectTimeout: 1_000 }), { ...none, message: /; / })
})
