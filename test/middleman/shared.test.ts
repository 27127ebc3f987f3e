/** `middleMan` and `MiddleMan.lazy`: nothing before the first call, then one connection; and calls that share a signal. */
import { spawn } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MiddleMan, middleMan, signalOf } from '#offstage/middleman/index.js'
import { echo, ScriptedServer } from './scripted-server.js'
import { connect, start } from './servers.js'

const ENTRY = import.meta.resolve('#offstage/middleman/index.js')

/** Runs a program in a folder of its own; resolves when it has ended by itself. */
async function run(folder: string, body: string): Promise<{ code: number; output: string }> {
  const program = `import { middleMan } from '${ENTRY}'; ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = await once(child, 'close')
  return { code, output }
}

t.test('nothing happens before the first call, and all calls share a connection', async (t) => {
  const server = await ScriptedServer.start()
  const lazy = MiddleMan.lazy({ client: server.address })
  t.teardown(() => Promise.all([lazy.close(), server.stopListening()]))
  const worker = lazy('some_worker')
  const same = lazy.worker('some_worker')
  t.equal(worker, same)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(server.connections.length, 0)
  const calls = [worker.echo!({ arg: 1 }), lazy('other').echo!({ arg: 2 }), worker.askResult('key'), worker.delete()]
  t.same(await Promise.all(calls), [1, 2, undefined, undefined])
  t.equal(await worker.echo!({ arg: 3 }), 3)
  t.equal(server.connections.length, 1)
  t.same(
    server.received.map(({ verb }) => verb),
    [0, 0, 4, 7, 0],
    'in the order of the calls',
  )
})

t.test('the configuration is read at the first call, and an idle connection does not keep the process', async (t) => {
  const server = await ScriptedServer.start()
  t.teardown(() => server.stopListening())
  const folder = t.testdir({ config: { 'offstage.yml': `client: "${server.address}"` } })
  t.match(
    await run(folder, `console.log(await middleMan('w').echo({ arg: 'hello' }), await middleMan.worker('w').echo())`),
    { code: 0, output: 'hello undefined\n' },
  )
  const empty = t.testdir({ empty: { 'offstage.yml': 'client: 5' } })
  t.match(await run(`${empty}/empty`, `middleMan('w'); console.log('nothing was read')`), {
    code: 0,
    output: 'nothing was read\n',
  })
  t.match(await run(`${empty}/empty`, `await middleMan('w').x().catch((e) => console.log(e.message))`), {
    code: 0,
    output: /client is 5: it has to be text/,
  })
})

t.test('it looks for the configuration where the supervisor does', async (t) => {
  const { findConfigFile } = await import('#offstage/supervisor/config-file.js')
  for (const [i, name] of ['config/backgroundrb.yml', 'config/offstage.yml', 'offstage.yml'].entries()) {
    const yaml = `client: "127.0.0.1:${i + 1}"`
    const folder = t.testdir(
      name.startsWith('config/') ? { config: { [name.slice(7)]: yaml } } : { config: {}, [name]: yaml },
    )
    t.equal(findConfigFile(folder, undefined), `${folder}/${name}`)
    const { output } = await run(folder, `await middleMan('w').x().catch((e) => console.log(e.message))`)
    t.match(output, `127.0.0.1:${i + 1}`)
  }
})

t.test('a first connection that failed is tried anew at the next call', async (t) => {
  const server = await ScriptedServer.start()
  const { port, address } = server
  await server.stopListening()
  const lazy = MiddleMan.lazy({ client: address })
  t.teardown(() => Promise.all([lazy.close(), server.stopListening()]))
  const failed = { code: 'NO_SERVER_AVAILABLE', executed: 'no' }
  await Promise.all([
    t.rejects(lazy('w').echo!({ arg: 1 }), failed),
    t.rejects(lazy('w').enqEcho!({ arg: 1, jobKey: 'k' }), failed),
    t.rejects(lazy('w').workerInfo(), failed),
    t.rejects(lazy.enqueueMany([{ worker: 'w', method: 'm', jobKey: 'k' }]), failed),
    t.resolveMatch(lazy.allWorkerInfo(), { [address]: null }),
  ])
  await server.listen(port)
  t.equal(await lazy('w').echo!({ arg: 1 }), 1)
})

t.test('the first calls wait until it is known which servers are up', async (t) => {
  const servers = await start(t, 3, () => echo)
  const client = servers.map(({ address }) => address).join(',')
  const connected = await connect(t, servers)
  const jobs = Array.from({ length: 30 }, (_, i) => ({ worker: 'w', method: 'm', jobKey: `k${i}` }))
  const places = (await connected.enqueueMany(jobs)).map(({ server }) => server)
  t.equal(new Set(places).size, 3)

  const lazy = () => {
    const made = MiddleMan.lazy({ client })
    t.teardown(() => made.close())
    return made
  }
  const single = lazy()
  const enqueued = await Promise.all(jobs.map(({ jobKey }) => single('w').enqM!({ jobKey })))
  t.same(
    enqueued.map((job) => (job as { server: string }).server),
    places,
    'each job finds its place',
  )
  t.same(
    (await lazy().enqueueMany(jobs)).map(({ server }) => server),
    places,
  )
  t.same(await lazy()('w').echo!({ arg: 1, host: 'all' }), [1, 1, 1])
})

t.test('timeout, signal and close end the wait for the first connection', async (t) => {
  const server = await ScriptedServer.start(echo, { greet: false })
  const lazy = MiddleMan.lazy({ client: server.address, connectTimeout: 60_000 })
  t.teardown(() => Promise.all([lazy.close({ timeout: 0 }), server.stopListening()]))
  const worker = lazy('w')
  const late = { code: 'DEADLINE_EXCEEDED', executed: 'no' }
  await t.rejects(worker.echo!({ timeout: 20 }), late)
  await t.rejects(worker.echo!({ timeout: 20, host: 'all' }), late)
  await t.rejects(lazy.enqueueMany([{ worker: 'w', method: 'm', jobKey: 'k' }], { timeout: 20 }), late)
  const controller = new AbortController()
  const aborted = t.rejects(worker.echo!({ signal: controller.signal }), { code: 'CANCELLED', executed: 'no' })
  controller.abort()
  await aborted
  const closed = t.rejects(worker.echo!(), { code: 'CLOSED', executed: 'no' })
  await lazy.close()
  await closed
  t.equal(server.received.length, 0)

  const other = await ScriptedServer.start()
  const again = MiddleMan.lazy({ client: other.address })
  t.teardown(() => Promise.all([again.close(), other.stopListening()]))
  t.equal(await again('w').echo!({ arg: 1 }), 1)
  await again.close()
  await other.until(() => other.open === 0)
  t.equal(await again('w').echo!({ arg: 2 }), 2, 'the first call after close connects again')
})

t.test('calls that end while it closes do not connect anew, and close takes no other option', async (t) => {
  const server = await ScriptedServer.start()
  const lazy = MiddleMan.lazy({ client: server.address })
  t.teardown(() => Promise.all([lazy.close(), server.stopListening()]))
  await lazy('w').echo!()
  const asked = [
    lazy('w').deqEcho!({ jobKey: 'k' }),
    lazy.newWorker({ worker: 'w' }),
    lazy
      .job({ worker: 'w', jobKey: 'k' })
      .cancel()
      .catch(() => 'what this server says is no status of a job'),
  ]
  await lazy.close()
  await Promise.all(asked)
  const other = await MiddleMan.connect({ client: server.address })
  t.equal(server.connections.length, 2, 'its first one, and that of who came later')
  await other.close()
  await t.rejects(lazy.close({ timout: 5 } as object), { message: /close has no option "timout": allowed is timeout/ })
})

t.test('all copies of the module in a process have one client', async (t) => {
  const copy = (await import(`${import.meta.resolve('#offstage/middleman/shared.js')}?copy`)) as {
    middleMan: typeof middleMan
  }
  t.equal(copy.middleMan, middleMan)
})

t.test('configure says where to connect, before the first call', async (t) => {
  const [one, two] = await start(t, 2)
  middleMan.configure({ client: one!.address })
  middleMan.configure({ client: two!.address })
  t.teardown(() => middleMan.close())
  t.equal(await middleMan('w').x!(), 1)
  middleMan.configure({ client: two!.address })
  const late = {
    code: 'INVALID_ARGUMENT',
    message: /connected already: call middleMan.configure before the first call/,
  }
  t.throws(() => middleMan.configure({ client: one!.address }), late)
  await middleMan.close()
  middleMan.configure({ client: one!.address })
  t.equal(await middleMan('w').x!(), 0)
  const typo = { code: 'INVALID_ARGUMENT', message: /has no option "servers": allowed are client/ }
  t.throws(() => middleMan.configure({ servers: 'x' } as object), typo)
  t.throws(() => MiddleMan.lazy({ signal: AbortSignal.timeout(5) } as object), { code: 'INVALID_ARGUMENT' })
  const both = MiddleMan.lazy({ client: one!.address, config: 'offstage.yml' })
  await t.rejects(both('w').x!(), { code: 'INVALID_ARGUMENT', message: /leave out client/ })
})

t.test('calls can share a signal and a timeout', async (t) => {
  const server = await ScriptedServer.start((call) => {
    if (call.method !== 'hold') echo(call)
  })
  const client = await MiddleMan.connect({ client: server.address })
  t.teardown(() => Promise.all([client.close({ timeout: 0 }), server.stopListening()]))
  const ended = { code: 'CANCELLED', executed: 'maybe' }
  const one = new AbortController()
  const bound = client.with({ signal: one.signal })
  const both = bound.with({ timeout: 40_000 })
  const own = new AbortController()
  const outcomes = [
    t.rejects(bound('w').hold!(), ended),
    t.rejects(bound.worker('w').hold!({ host: 'all' }), ended),
    t.rejects(both('w').hold!({ signal: new AbortController().signal }), ended),
    t.rejects(both('w').hold!({ timeout: 30_000, signal: own.signal }), ended, 'its own signal counts, too'),
  ]
  t.same(
    (await server.calls(4)).map(({ timeout }) => timeout),
    [-1, -1, 40_000, 30_000],
  )
  own.abort()
  await server.until(() => server.cancels.length === 1)
  one.abort()
  await Promise.all(outcomes)
  await server.until(() => server.cancels.length === 4)
  await t.rejects(bound.newWorker({ worker: 'w' }), { code: 'CANCELLED', executed: 'no' })
  t.equal(await client('w').echo!({ arg: 1 }), 1, 'others go on')
  t.throws(() => client.with({ jobKey: 'k' } as object), { message: /middleMan.with has no option "jobKey"/ })
  t.throws(() => client.with({ timeout: -1 }), { code: 'INVALID_ARGUMENT' })
  t.throws(() => client.with({ signal: {} as AbortSignal }), { code: 'INVALID_ARGUMENT' })
})

t.test('the signal of a web request fires when its client goes away before the answer', async (t) => {
  const arrived: ((response: ServerResponse) => void)[] = []
  const web = createServer((_request, response) => arrived.shift()!(response)).listen(0, '127.0.0.1')
  await once(web, 'listening')
  t.teardown(() => web.close())
  const ask = () => {
    const response = new Promise<ServerResponse>((resolve) => arrived.push(resolve))
    const request = get({ port: (web.address() as AddressInfo).port, host: '127.0.0.1', agent: false })
    return { request, response }
  }

  const gone = ask()
  const response = await gone.response
  const signal = signalOf(response)
  t.equal(signalOf(response), signal, 'one for each request')
  gone.request.on('error', () => {}).destroy()
  if (!signal.aborted) await once(signal, 'abort')
  t.match(signal.reason, { message: /client of the web request has gone away/ })

  const answered = ask()
  const served = await answered.response
  const quiet = signalOf(served)
  const closed = once(served, 'close')
  const received = once(answered.request, 'response').then(([answer]) => (answer as IncomingMessage).resume())
  served.end('done')
  await Promise.all([received, closed])
  t.equal(quiet.aborted, false)
  t.equal(signalOf(served).aborted, false)

  const left = ask()
  const late = await left.response
  const away = once(late, 'close')
  left.request.on('error', () => {}).destroy()
  await away
  t.equal(signalOf(late).aborted, true, 'also for who asks when it is over')
})

t.test('the entry can be imported by its name', async (t) => {
  const folder = fileURLToPath(new URL('../../..', import.meta.url))
  const program = `import { middleMan, signalOf } from 'offstage/middleman'; console.log(typeof middleMan, typeof signalOf)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [[text]] = await Promise.all([once(child.stdout.setEncoding('utf8'), 'data'), once(child, 'close')])
  t.equal(text, 'function function\n')
})

t.test('a signal that lives long keeps nothing of the calls that had another one beside it', async (t) => {
  const server = await ScriptedServer.start()
  const client = await MiddleMan.connect({ client: server.address })
  t.teardown(() => Promise.all([client.close({ timeout: 0 }), server.stopListening()]))
  const long = new AbortController()
  const listens = () => getEventListeners(long.signal, 'abort').length
  const any = t.capture(AbortSignal, 'any', AbortSignal.any)
  const bound = client.with({ signal: long.signal }).with({ signal: new AbortController().signal })
  const calls = Array.from({ length: 20 }, () => bound('w').echo!({ signal: new AbortController().signal }))
  t.equal(listens(), 20)
  await Promise.all(calls)
  t.equal(listens(), 0)
  t.same(any(), [], 'which does keep something')

  const warned = t.capture(process, 'emitWarning')
  await Promise.all(calls.map(() => client('w').echo!({ signal: long.signal })))
  await Promise.all(calls.map(() => bound('w').echo!()))
  t.same(warned(), [], 'no word of a leak')
})
