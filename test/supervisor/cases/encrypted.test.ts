import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { MiddleMan } from 'offstage/middleman'
import { startSupervisor } from 'offstage/supervisor'
import t, { type Test } from 'tap'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'
import { Binding, Credentials, makeVerifier, SCRAM, SCRAM_TLS, ScramClient } from '#offstage/wire/scram.js'
import { Authority } from '../../support/certificates.js'
import { WireSocket } from '../../support/wire-socket.js'
import { setUp, WORKERS } from './support.js'

const authority = new Authority()
const ca = authority.cert
const PASSWORD = 'correct horse'
const WEB = { user: 'web', password: PASSWORD }
const users = `users:\n  web: ${await makeVerifier(PASSWORD)}\n`

/** Settings with the files of a server's certificate. */
function certified(t: Test, files: Record<string, string> = {}) {
  const { cert, key } = authority.issue('a server')
  const dir = t.testdir({ 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca, 'offstage.yml': '', ...files })
  return { cwd: dir, config: 'offstage.yml', tls_cert: 'cert.pem', tls_key: 'key.pem' }
}

t.test('TLS: the server’s certificate is checked, and calls are served', async (t) => {
  const { supervisor, worker, port } = await setUp(t, certified(t), { tls: { ca } })
  t.same(await worker.echo({ arg: Buffer.alloc(500_000, 7) }), Buffer.alloc(500_000, 7))
  const client = supervisor.address
  const down = { code: 'NO_SERVER_AVAILABLE' }
  await t.rejects(MiddleMan.connect({ client, tls: true }), { ...down, message: /certificate/ })
  await t.rejects(MiddleMan.connect({ client, tls: { ca: new Authority('another').cert } }), down)
  await t.rejects(MiddleMan.connect({ client }), { ...down, message: /expects? TLS/ })
  const path = { code: 'INVALID_ARGUMENT', message: /tls\.ca has no PEM in it/ }
  await t.rejects(MiddleMan.connect({ client, tls: { ca: 'ca.pem' } }), path)
  t.match(await MiddleMan.connect({ client: `localhost:${port}`, tls: { ca } }).then((m) => m.close()), undefined)
  t.ok((supervisor.wire.refused.TLS ?? 0) > 0)
})

t.test('a client that speaks TLS to a server without it is told so', async (t) => {
  const { supervisor } = await setUp(t)
  await t.rejects(MiddleMan.connect({ client: supervisor.address, tls: true }), { message: /does not speak TLS/ })
})

t.test('a connection that never begins with TLS is not kept beyond the time of a handshake', async (t) => {
  const { port, supervisor } = await setUp(t, certified(t), { tls: { ca } })
  const wire = await WireSocket.open({ port })
  await wire.closed
  t.match(supervisor.wire.refused, { TLS: 1 })
})

t.test('mutual TLS: the name in the client’s certificate is who it is', async (t) => {
  const rules = 'access:\n  - { allow: web, methods: echo }\n'
  const settings = { ...certified(t, { 'offstage.yml': rules }), tls_ca: 'ca.pem', tls_request_cert: true }
  const { supervisor, worker } = await setUp(t, settings, { tls: { ca, ...authority.issue('web') } })
  t.equal(await worker.echo({ arg: 1 }), 1)
  await t.rejects(worker.running(), { code: 'ACCESS_DENIED', message: /^web may not/ })
  const client = supervisor.address
  await t.rejects(MiddleMan.connect({ client, tls: { ca } }), { code: 'NO_SERVER_AVAILABLE' }, 'no certificate')
  const foreign = new Authority('test authority').issue('web')
  await t.rejects(MiddleMan.connect({ client, tls: { ca, ...foreign } }), { code: 'NO_SERVER_AVAILABLE' })
})

t.test('under TLS, SCRAM is bound to that very connection', async (t) => {
  const settings = certified(t, { 'offstage.yml': users })
  const { worker, port } = await setUp(t, settings, { tls: { ca }, ...WEB })
  t.equal(await worker.echo({ arg: 1 }), 1)
  const attempt = async (mechanism: string, exported: ((wire: WireSocket) => Buffer) | undefined) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    const wire = new WireSocket(socket)
    wire.write(writePreamble())
    const hello = await wire.frame(({ type }) => type === FrameType.HELLO)
    const binding = new Binding(writePreamble(), hello.body, exported?.(wire))
    const scram = new ScramClient(new Credentials('web', PASSWORD), binding)
    wire.send(FrameType.AUTH, 0, encodeValue({ mechanism, data: scram.first() }))
    const { body } = await wire.frame(({ type }) => type === FrameType.AUTH)
    wire.send(FrameType.AUTH, 0, encodeValue({ data: await scram.final((decodeValue(body) as { data: string }).data) }))
    return wire
  }
  const plain = await attempt(SCRAM, undefined)
  await plain.frame(({ type }) => type === FrameType.READY)
  plain.end()
  const relayed = await attempt(SCRAM_TLS, () => Buffer.alloc(32))
  t.match(await relayed.refusal(), { code: 'AUTH_FAILED' }, 'keys of another connection')
})

t.test('a Unix socket is for its owner alone, and is taken over from a server that was killed', async (t) => {
  // Not below the tests: a path to a socket must not be long.
  const dir = mkdtempSync(join(tmpdir(), 'offstage-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, 'run', 'offstage.sock')
  mkdirSync(join(dir, 'run'), { mode: 0o700 })
  const leftOver = createServer().listen(path)
  await new Promise((resolve) => leftOver.once('listening', resolve))
  await t.rejects(startSupervisor({ socket: path, cwd: dir, workers: WORKERS, log_level: 'silent' }), {
    code: 'CONFIGURATION',
    message: /another program .* listens on/,
  })
  leftOver.close()
  const { supervisor, worker } = await setUp(t, { socket: path })
  t.equal(supervisor.address, `unix:${path}`)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(await worker.echo({ arg: 1 }), 1)
  const folder = join(dir, 'open')
  mkdirSync(folder, { mode: 0o755 })
  const refused = startSupervisor({ socket: join(folder, 's'), cwd: dir, workers: WORKERS, log_level: 'silent' })
  await t.rejects(refused, { code: 'CONFIGURATION', message: /others than its owner may enter/ })
  writeFileSync(join(dir, 'run', 'file'), '')
  const file = startSupervisor({ socket: join(dir, 'run', 'file'), cwd: dir, workers: WORKERS, log_level: 'silent' })
  await t.rejects(file, { code: 'CONFIGURATION', message: /is no socket/ })
  const raw = await WireSocket.ready({ path })
  raw.end()
})

t.test('settings of TLS that do not fit are named', async (t) => {
  const { cwd, ...pair } = certified(t)
  const base = {
    cwd,
    config: pair.config,
    port: 0,
    workers: WORKERS,
    log_level: 'silent',
    persistent_disabled: true,
  } as const
  const refused = (settings: object, message: RegExp) =>
    t.rejects(startSupervisor({ ...base, ...settings }), { code: 'CONFIGURATION', message })
  await refused({ tls_cert: 'cert.pem' }, /needs both tls_cert and tls_key/)
  await refused({ tls_ca: 'ca.pem' }, /need tls_cert and tls_key/)
  await refused({ ...pair, tls_request_cert: true }, /tls_request_cert needs tls_ca/)
  await refused({ ...pair, tls_ca: 'ca.pem' }, /without "tls_request_cert: true" none is asked for/)
  await refused({ ...pair, tls_key: 'missing.pem' }, /tls_key: .*missing\.pem cannot be read/)
  await refused({ ...pair, tls_key: 'ca.pem' }, /cannot be used/)
})
