/** What only a host that is a process does: how it ends, and what ends with it. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { MetaWorker } from 'offstage/actors'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { launchHost } from '#offstage/actors/hosts/launch.js'
import { Server as Supervisor } from '../support/server.js'
import { loadable, rig, workerSource } from './support.js'

interface LoopWorker extends MetaWorker {
  loop(port: number): Promise<void>
}

/** Tells the test that a process is there, by a socket that the kernel closes when it ends. */
async function vitals(t: Test): Promise<{ port: number; socket: Promise<Socket> }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = once(server, 'connection').then(([made]) => made as Socket)
  return { port: (server.address() as AddressInfo).port, socket }
}

const CONNECT = `const { connect } = await import('node:net'); const socket = connect(PORT, '127.0.0.1'); await new Promise((done) => socket.once('connect', done))`

t.test('a process in an endless loop ends when its supervisor is killed by kill -9', async (t) => {
  const { port, socket } = await vitals(t)
  const folder = t.testdir({
    'loop_worker.mjs': workerSource(
      `static host = 'process'
      async loop(port) { const PORT = port; ${CONNECT}; socket.write('looping'); for (;;); }`,
    ),
  })
  const supervisor = await Supervisor.start({ data: join(folder, 'data'), workers: folder })
  const middleMan = await MiddleMan.connect({ client: supervisor.address })
  t.teardown(() => middleMan.close())
  const lost = t.rejects(middleMan.worker<LoopWorker>('loop_worker').loop({ arg: port }))
  const seen = await socket
  await once(seen, 'data')
  const gone = once(seen, 'close')
  t.equal(seen.closed, false)
  await supervisor.kill()
  await gone
  t.equal(seen.closed, true)
  await lost
})

t.test('what a process has started ends with it', async (t) => {
  const { port, socket } = await vitals(t)
  const child = `const PORT = ${port}; (async () => { ${CONNECT} })()`
  const source = workerSource(
    `static host = 'process'
    begin() { spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }) }`,
    `import { spawn } from 'node:child_process'`,
  )
  const r = await rig(t, source)
  await r.call('begin')
  const seen = await socket
  const gone = once(seen.resume(), 'close')
  t.equal(seen.closed, false)
  await r.actor.stop(1000)
  await gone
  t.equal(seen.closed, true)
})

t.test('signals that ask a service to end are for the supervisor to hear', async (t) => {
  const r = await rig(t, workerSource(`static host = 'process'\npid() { return process.pid }`))
  const pid = Number(await r.call('pid'))
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(pid, signal)
  t.equal(await r.call('pid'), pid)
  t.not(pid, process.pid)
})

t.test('an uncaught error arrives with its stack, and is printed too', async (t) => {
  const source = workerSource(`static host = 'process'
    static maxRestarts = 0
    die() { setTimeout(() => { throw new TypeError('of no use') }); return new Promise(() => undefined) }`)
  const r = await rig(t, source)
  await t.rejects(r.call('die'), { code: 'WORKER_CRASHED', message: /TypeError: of no use/ })
  const { fields } = await r.line(({ level }) => level === 'error')
  t.match((fields.err as Error).cause, { name: 'TypeError', message: 'of no use', stack: /w\.mjs/ })
  t.ok(r.lines.some(({ message }) => message === 'TypeError: of no use'))
})

t.test('a worker that handles uncaught errors itself lives on', async (t) => {
  const source = workerSource(`static host = 'process'
    create() { process.on('uncaughtException', (error) => { this.caught = error.message }) }
    fail() { setImmediate(() => { throw new Error('expected') }) }
    async report() { while (this.caught === undefined) await new Promise((done) => setImmediate(done)); return this.caught }
    leave() { process.exit(4) }`)
  const r = await rig(t, source)
  await r.call('fail')
  t.equal(await r.call('report'), 'expected')
  await t.rejects(r.call('leave'), { message: /code 4/ }, 'what it has lived through is not why it ended')
})

t.test('arguments and results of many times the size of a pipe come through, whoever is slower', async (t) => {
  const r = await rig(
    t,
    workerSource(`static host = 'process'\necho(a) { return a }\nsize(n) { return 'x'.repeat(n) }`),
  )
  const large = 'y'.repeat(3_000_000)
  const echoes = Array.from({ length: 5 }, (_, n) => r.call('echo', { arg: [n, large] }))
  const sizes = Array.from({ length: 40 }, () => r.call('size', { arg: 500_000 }))
  for (const [n, answer] of (await Promise.all(echoes)).entries()) t.ok((answer as [number, string])[0] === n)
  t.ok((await Promise.all(sizes)).every((text) => (text as string).length === 500_000))
})

t.test('a process has the flags of Node that its class or the configuration asks for', async (t) => {
  const source = workerSource(`static host = 'process'
    static execArgv = ['--expose-gc', '--title', 'not the last word']
    report() { return [typeof globalThis.gc, process.title, process.execArgv.includes('--no-warnings')] }`)
  const r = await rig(t, source)
  t.same(await r.call('report'), ['function', 'offstage: w', false])
  const overridden = await rig(t, source, { overrides: { execArgv: ['--no-warnings'] } })
  t.same(await overridden.call('report'), ['undefined', 'offstage: w', true])
  const wrong = loadable(t, source, { overrides: { host: 'process', execArgv: ['--no-such-flag'] } })
  await t.rejects(wrong.actor.load(), { code: 'CONFIGURATION', message: /process\.exit, code 9/ })
  t.ok(wrong.lines.some(({ message }) => message?.includes('bad option: --no-such-flag')))
})

t.test('a process that cannot be started has ended, and says why', async (t) => {
  const { execPath } = process
  t.teardown(() => {
    process.execPath = execPath
  })
  process.execPath = join(t.testdir({}), 'no-node')
  const reason = await new Promise<Error>((exit) => {
    const events = { batch: () => undefined, line: () => undefined, exit }
    const host = launchHost({ name: 'w', host: 'process', memoryLimit: 0, env: {}, execArgv: [] }, events)
    host.post(Uint8Array.of(1))
    t.equal(host.gauge.taken, 0)
  })
  t.match(reason.message, /ENOENT/)
})
