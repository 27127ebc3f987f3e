import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Verb } from '#offstage/wire/envelope.js'
import { body, RawClient } from '../support/raw-client.js'
import { Server, type ServerOptions } from '../support/server.js'

const GOOD =
  "import { MetaWorker } from 'offstage'\nexport default class extends MetaWorker { hello() { return 'hi' } }\n"

const SLOW_CREATE = `import { readFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  async create() {
    this.logger.info('creating')
    while (!readFileSync(process.env.GATE, 'utf8')) await new Promise((resolve) => setTimeout(resolve, 5))
  }
}`

/** Expects the program to end with 78 before it listens, and to say each of the parts. */
async function refused(t: Test, options: Partial<ServerOptions>, ...parts: (string | RegExp)[]): Promise<Server> {
  const server = Server.spawn({ data: join(t.testdirName, 'data'), ...options })
  const status = await server.ended()
  t.equal(status, 78, server.errors)
  for (const part of parts) t.match(server.errors, part)
  t.notOk(
    server.lines.some((line) => 'address' in line),
    'it never listened',
  )
  return server
}

t.test('with no configuration at all it serves, from any folder', async (t) => {
  const cwd = t.testdir({ workers: { 'hello_worker.mjs': GOOD } })
  const server = await Server.start({ data: 'data', workers: 'workers', cwd })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.equal(await middleMan.worker('hello_worker').hello!({}), 'hi')
  await middleMan.close()
  t.equal(await server.stop(), 0)
  t.ok(existsSync(join(cwd, 'data')))
})

t.test('with a configuration file in the working directory', async (t) => {
  const cwd = t.testdir({
    config: { 'backgroundrb.yml': ':backgroundrb:\n  :workers: elsewhere\n  :debug_log: true\n' },
    elsewhere: { 'hello_worker.mjs': GOOD },
  })
  const server = await Server.start({ data: 'data', workers: 'elsewhere', cwd })
  t.teardown(() => server.kill())
  t.match(
    server.lines.find((line) => 'address' in line),
    { workers: ['hello_worker'] },
  )
  t.equal(await server.stop(), 0)
})

t.test('a wrong key or type in the file is named, with what is allowed', async (t) => {
  const cwd = t.testdir({ 'offstage.yml': 'supervisor:\n  prot: 11006\n  attempts: many\n' })
  await refused(t, { cwd }, 'offstage.yml: supervisor.prot is not a known key', /attempts is "many".*a number/)
})

t.test('a wrong flag or environment variable is named', async (t) => {
  t.testdir()
  await refused(t, { args: ['--port', 'http'] }, '--port')
  await refused(t, { env: { OFFSTAGE_ATTEMPTS: '0' } }, /OFFSTAGE_ATTEMPTS.*0.*at least 1/)
})

t.test('a port in use is named', async (t) => {
  t.testdir()
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  await refused(t, { port }, `127.0.0.1:${port}`, '--port')
})

t.test('listening beyond this machine needs insecure: true', async (t) => {
  t.testdir()
  await refused(t, { args: ['--ip', '0.0.0.0'] }, '0.0.0.0', 'insecure: true', 'set users', 'set tls_cert')
})

t.test('and says so at every start; it needs users and TLS to be quiet about it', async (t) => {
  // A name for 127.0.0.1 that is not known to be one: so it is treated as any other address.
  const args = ['--ip', 'LOCALHOST']
  const server = await Server.start({ data: t.testdir(), args, env: { OFFSTAGE_INSECURE: 'true' } })
  t.teardown(() => server.kill())
  const line = await server.line(({ msg }) => msg.startsWith('insecure: '))
  t.match(line, { level: 40, msg: /anyone who connects .* everybody on the way can read .*"insecure: true"/ })
})

t.test('a workers folder that is missing is named', async (t) => {
  const folder = t.testdir()
  await refused(t, { workers: join(folder, 'nowhere') }, join(folder, 'nowhere'), '--workers')
})

t.test('a worker file that Node takes for CommonJS is named, with the way out', async (t) => {
  const workers = t.testdir({ 'package.json': '{"type":"commonjs"}', 'hello_worker.js': GOOD })
  await refused(t, { workers }, 'hello_worker.js', '"type": "module"', '.mjs')
})

for (const [name, source, ...parts] of [
  ['throws at import', 'throw new RangeError("no luck")', 'no luck'],
  ['has a syntax error', 'export default class {', /SyntaxError|Unexpected/],
  ['imports what is not there', "import 'no-such-package'", 'no-such-package'],
  ['has no default export', 'export const a = 1', 'default'],
  ['exports no worker class', 'export default class {}', 'MetaWorker'],
  [
    'has a static of the wrong type',
    GOOD.replace('{ hello', "{ static concurrency = 'x'; hello"),
    'concurrency',
    '"x"',
  ],
] as const) {
  t.test(`a worker file that ${name} is named, and nothing is started`, async (t) => {
    const workers = t.testdir({ 'bad_worker.mjs': source, 'good_worker.mjs': GOOD })
    await refused(t, { workers }, 'bad_worker.mjs', ...parts)
  })
}

t.test('two workers of one name are named with both files', async (t) => {
  const named = GOOD.replace('{ hello', "{ static workerName = 'twin'; hello")
  const workers = t.testdir({ 'a.mjs': named, 'b.mjs': named })
  await refused(t, { workers }, '"twin"', 'a.mjs', 'b.mjs')
})

t.test('a schedule or an override for what does not exist is named', async (t) => {
  const workers = t.testdir({ 'good_worker.mjs': GOOD })
  const config = (text: string) => {
    writeFileSync(join(workers, 'o.yml'), text)
    return ['--config', join(workers, 'o.yml')]
  }
  const line = 'cron: "* * * * * *"'
  await refused(t, { workers, args: config(`schedules: { nobody: { hello: { ${line} } } }`) }, 'nobody', 'good_worker')
  await refused(t, { workers, args: config(`schedules: { good_worker: { bye: { ${line} } } }`) }, 'bye', 'hello')
  await refused(
    t,
    { workers, args: config('workers: { nobody: { concurrency: 2 } }') },
    'workers.nobody',
    'good_worker',
  )
})

t.test('a second supervisor on one journal is refused, and the first is unharmed', async (t) => {
  const data = join(t.testdir(), 'data')
  const first = await Server.start({ data })
  t.teardown(() => first.kill())
  const second = Server.spawn({ data })
  t.equal(await second.ended(), 75)
  t.match(second.errors, String(first.child.pid))
  const middleMan = await MiddleMan.connect({ client: first.address })
  t.match(await middleMan.worker('recording_worker').enqRecord!({ jobKey: 'k' }), { created: true })
  await middleMan.close()
  t.equal(await first.stop(), 0)
})

t.test('a file where the data folder should be is named', async (t) => {
  const folder = t.testdir({ data: 'text' })
  const server = Server.spawn({ data: join(folder, 'data') })
  t.not(await server.ended(), 0)
  t.match(server.errors, join(folder, 'data'))
})

t.test('SIGTERM lets the running call finish, tells clients, and closes the journal clean', async (t) => {
  const folder = t.testdir({ gate: '', record: '' })
  const server = await Server.start({ data: join(folder, 'data'), env: { RECORD: join(folder, 'record') } })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address, connectTimeout: 2_000 })
  const worker = middleMan.worker('recording_worker')
  const running = worker.recordSlowly!({ arg: { gate: join(folder, 'gate') } })
  while ((await middleMan.worker('recording_worker').workerInfo()).inFlight !== 1);
  const deaf = await RawClient.connect(server.port)
  server.child.kill('SIGTERM')
  await server.line((line) => line.msg.includes('stopping'))
  void deaf.send(body(Verb.CALL, { worker: 'recording_worker', method: 'record' }))
  void deaf.send(body(Verb.ENQUEUE, { worker: 'recording_worker', method: 'record', jobKey: 'late' }))
  writeFileSync(join(folder, 'gate'), 'open')
  t.equal(await running, undefined)
  await deaf.closed
  t.equal(deaf.answers, 0, 'what comes after GOAWAY is neither taken nor refused')
  t.equal(await server.ended(), 0)
  t.ok(server.lines.some((line) => line.msg === 'stopped'))
  await t.rejects(worker.record!({}), { name: /^(NoServerAvailable|ConnectionError|Draining)$/, executed: 'no' })
  await middleMan.close()
})

t.test('a worker that does not end in time is ended', async (t) => {
  const folder = t.testdir({ gate: '' })
  const args = ['--stop-timeout', '0.1']
  const server = await Server.start({ data: join(folder, 'data'), args })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  const outcome = middleMan.worker('recording_worker').recordSlowly!({ arg: { gate: join(folder, 'gate') } })
  outcome.catch(() => {})
  while ((await middleMan.worker('recording_worker').workerInfo()).inFlight !== 1);
  t.equal(await server.stop(), 0)
  await t.rejects(outcome, { name: /^(WorkerStopped|OutcomeUnknown)$/, executed: 'maybe' })
  await middleMan.close()
})

t.test('a second signal ends it at once; one that comes together with the first is the same request', async (t) => {
  const folder = t.testdir({ gate: '' })
  const server = await Server.start({ data: join(folder, 'data'), args: ['--stop-timeout', '3600'] })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  middleMan.worker('recording_worker').recordSlowly!({ arg: { gate: join(folder, 'gate') } }).catch(() => {})
  while ((await middleMan.worker('recording_worker').workerInfo()).inFlight !== 1);
  const repeat = setInterval(() => server.child.kill('SIGTERM'), 20)
  t.equal(await server.ended(), 1)
  clearInterval(repeat)
  const at = (text: string) => server.lines.find((line) => line.msg.includes(text))!.time as number
  t.ok(at('a second time') - at('asked to stop') >= 490, 'not by the signals of the first half second')
  await middleMan.close({ timeout: 0 })
})

t.test('SIGTERM while it starts: it starts, and then stops in good order', async (t) => {
  const folder = t.testdir({ workers: { 'slow_worker.mjs': SLOW_CREATE }, gate: '' })
  const server = Server.spawn({
    data: join(folder, 'data'),
    workers: join(folder, 'workers'),
    env: { GATE: join(folder, 'gate') },
  })
  t.teardown(() => server.kill())
  await server.line((line) => line.msg === 'creating')
  server.child.kill('SIGTERM')
  await server.line((line) => line.msg === 'asked to stop')
  writeFileSync(join(folder, 'gate'), 'open')
  t.equal(await server.ended(), 0)
  t.ok(server.lines.some((line) => line.msg === 'stopped'))
})
