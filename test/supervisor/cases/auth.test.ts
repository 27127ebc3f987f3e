import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { Verb } from '#offstage/wire/envelope.js'
import { FrameType } from '#offstage/wire/frame.js'
import { PREAMBLE_BYTES, writeHello, writePreamble } from '#offstage/wire/handshake.js'
import { Binding, Credentials, makeVerifier, SCRAM, ScramClient } from '#offstage/wire/scram.js'
import { ScriptedServer } from '../../middleman/scripted-server.js'
import { body } from '../../support/raw-client.js'
import { WireSocket } from '../../support/wire-socket.js'
import { call, setUp } from './support.js'

const PASSWORD = 'correct horse'
const WEB = { user: 'web', password: PASSWORD }
const users = `users:\n  web: ${await makeVerifier(PASSWORD)}\n  "a,b=c": ${await makeVerifier('other horse')}\n`

/** Settings that name a file with this text. */
function configured(t: Test, text: string) {
  return { cwd: t.testdir({ 'offstage.yml': text }), config: 'offstage.yml' }
}

const start = (t: Test, more = '', settings = {}) => setUp(t, { ...configured(t, users + more), ...settings }, WEB)

/** The handshake by hand, up to where the server asks. */
async function asked(port: number, preamble = writePreamble()) {
  const wire = await WireSocket.open({ port })
  wire.write(preamble)
  const hello = await wire.frame(({ type }) => type === FrameType.HELLO)
  return { wire, hello }
}

async function challenge(wire: WireSocket, first: string): Promise<string> {
  wire.send(FrameType.AUTH, 0, encodeValue({ mechanism: SCRAM, data: first }))
  const { body } = await wire.frame(({ type }) => type === FrameType.AUTH)
  return (decodeValue(body) as { data: string }).data
}

t.test('with user and password calls are served; without, or with wrong ones, nothing is', async (t) => {
  const { supervisor, worker } = await start(t)
  t.equal(await worker.echo({ arg: 1 }), 1)
  const client = supervisor.address
  const named = await MiddleMan.connect({ client, user: 'a,b=c', password: 'other horse' })
  t.equal(await named.worker('busy_worker').echo!({ arg: 2 }), 2)
  await named.close()
  const failed = { name: 'AuthenticationFailed', code: 'AUTH_FAILED', executed: 'no' }
  const wrong = { ...failed, message: 'the user or the password is wrong' }
  await t.rejects(MiddleMan.connect({ client, user: 'web', password: 'wrong horse' }), wrong)
  await t.rejects(MiddleMan.connect({ client, user: 'nobody', password: PASSWORD }), wrong, 'and says no more')
  await t.rejects(MiddleMan.connect({ client }), { ...failed, message: /asks for a user and a password/ })
  t.match(supervisor.wire.refused, { AUTH_FAILED: 2 })
})

t.test('user and password come from the environment or the file, too', async (t) => {
  const { supervisor } = await start(t)
  const client = supervisor.address
  const { cwd } = configured(t, `client:\n  servers: "${client}"\n  user: web\n  password: "\${SECRET_OF_TEST}"\n`)
  const file = join(cwd, 'offstage.yml')
  process.env.SECRET_OF_TEST = PASSWORD
  const fromFile = await MiddleMan.fromConfig(file)
  t.equal(await fromFile.worker('busy_worker').echo!({ arg: 1 }), 1)
  await fromFile.close()
  delete process.env.SECRET_OF_TEST
  Object.assign(process.env, { OFFSTAGE_USER: 'web', OFFSTAGE_PASSWORD: PASSWORD })
  t.teardown(() => {
    delete process.env.OFFSTAGE_USER
    delete process.env.OFFSTAGE_PASSWORD
  })
  const fromEnvironment = await MiddleMan.connect({ client })
  t.equal(await fromEnvironment.worker('busy_worker').echo!({ arg: 1 }), 1)
  await fromEnvironment.close()
})

t.test('a user that there is not is asked as one that there is: always with the same salt', async (t) => {
  const { port } = await start(t)
  const saltOf = async (user: string) => {
    const { wire, hello } = await asked(port)
    const scram = new ScramClient(new Credentials(user, 'x'), new Binding(writePreamble(), hello.body))
    const answer = await challenge(wire, scram.first())
    wire.end()
    return /,s=(.*),i=100000$/.exec(answer)?.[1]
  }
  const [one, again, other] = [await saltOf('nobody'), await saltOf('nobody'), await saltOf('somebody')]
  t.equal(one, again)
  t.not(one, other)
  t.equal(one?.length, (await saltOf('web'))?.length)
})

t.test(
  'case 40: what another connection has proved, and a preamble changed on the way, are worth nothing',
  async (t) => {
    const { port, worker } = await start(t)
    const attempt = async (preamble: Buffer, sent = preamble) => {
      const { wire, hello } = await asked(port, sent)
      const scram = new ScramClient(new Credentials('web', PASSWORD), new Binding(preamble, hello.body))
      const first = scram.first()
      const final = await scram.final(await challenge(wire, first))
      return { wire, first, final }
    }
    const good = await attempt(writePreamble())
    good.wire.send(FrameType.AUTH, 0, encodeValue({ data: good.final }))
    await good.wire.frame(({ type }) => type === FrameType.READY)
    good.wire.end()

    const replayed = await asked(port)
    await challenge(replayed.wire, good.first)
    replayed.wire.send(FrameType.AUTH, 0, encodeValue({ data: good.final }))
    t.match(await replayed.wire.refusal(), { code: 'AUTH_FAILED' }, 'a replay')

    // The client offered versions 1 to 9; somebody on the way made that 1 to 1.
    const stripped = await attempt(writePreamble(1, 9), writePreamble(1, 1))
    stripped.wire.send(FrameType.AUTH, 0, encodeValue({ data: stripped.final }))
    t.match(await stripped.wire.refusal(), { code: 'AUTH_FAILED' }, 'a version taken away')
    t.equal(await worker.echo({ arg: 1 }), 1)
  },
)

t.test(
  'before it is known who it is, a client may send two AUTH frames of 4 KiB together, within its time',
  async (t) => {
    const { port } = await start(t, '', { handshake_timeout: 0.5, auth_attempts: 1_000 })
    const cases: [string, (wire: WireSocket) => void, object][] = [
      ['a call', (w) => w.send(FrameType.CALL, 1, call('echo', 1)), { code: 'AUTH_FAILED' }],
      ['a long frame', (w) => w.send(FrameType.AUTH, 0, Buffer.alloc(5_000)), { code: 'FRAME_TOO_LARGE' }],
      [
        'many bytes',
        (w) => {
          for (let i = 0; i < 400; i++) w.send(FrameType.PING, 0, Buffer.alloc(0))
        },
        { code: 'PROTOCOL', message: /more than 4096 bytes came before authentication/ },
      ],
      ['no message', (w) => w.send(FrameType.AUTH, 0, encodeValue({})), { code: 'PROTOCOL' }],
      [
        'another mechanism',
        (w) => w.send(FrameType.AUTH, 0, encodeValue({ mechanism: 'PLAIN', data: 'x' })),
        { code: 'AUTH_FAILED' },
      ],
      [
        'no SCRAM',
        (w) => w.send(FrameType.AUTH, 0, encodeValue({ mechanism: SCRAM, data: 'n,,n=web,r=abc' })),
        { code: 'AUTH_FAILED' },
      ],
      ['silence', () => undefined, { code: 'PROTOCOL', message: /not done within 0.5 s/ }],
    ]
    for (const [name, send, reason] of cases) {
      const { wire } = await asked(port)
      send(wire)
      t.match(await wire.refusal(), reason, name)
    }
  },
)

t.test('an address that fails too often is not listened to for a while', async (t) => {
  const { supervisor, worker } = await start(t, '', { auth_attempts: 3 })
  const attempt = () => MiddleMan.connect({ client: supervisor.address, user: 'web', password: 'wrong horse' })
  for (let i = 0; i < 3; i++) await t.rejects(attempt(), { message: /password is wrong/ })
  await t.rejects(MiddleMan.connect({ client: supervisor.address, ...WEB }), {
    code: 'AUTH_FAILED',
    retryable: true,
    message: /too many attempts/,
  })
  t.equal(await worker.echo({ arg: 1 }), 1, 'who is there stays')
})

t.test('connections that are all there before the first of them fails have no more attempts together', async (t) => {
  const { port } = await start(t, '', { auth_attempts: 3 })
  const wires = await Promise.all(Array.from({ length: 8 }, async () => (await asked(port)).wire))
  const refusals: string[] = []
  for (const wire of wires) {
    wire.send(FrameType.AUTH, 0, encodeValue({ mechanism: 'PLAIN', data: 'x' }))
    refusals.push((await wire.refusal()).message)
  }
  t.equal(refusals.filter((message) => /authenticates by/.test(message)).length, 3)
  t.equal(refusals.filter((message) => /too many attempts/.test(message)).length, 5)
})

t.test('a server that does not prove who it is gets no call', async (t) => {
  const open = await ScriptedServer.start()
  t.teardown(() => open.stopListening())
  await t.rejects(MiddleMan.connect({ client: open.address, ...WEB }), {
    code: 'AUTH_FAILED',
    message: /does not ask who this is/,
  })
  t.equal(open.received.length, 0)
  const scram = new ScramClient(new Credentials('web', PASSWORD), new Binding(writePreamble(), Buffer.of(1)))
  const nonce = /r=(.*)$/.exec(scram.first())![1]!
  await t.rejects(scram.final(`r=${nonce}x,s=${Buffer.alloc(16).toString('base64')},i=100001`), {
    message: /asks for 100001 rounds/,
  })
  await t.rejects(scram.final(`r=${nonce},s=AAAA,i=4096`), { message: /nonce of its own/ })
  await scram.final(`r=${nonce}x,s=${Buffer.alloc(16).toString('base64')},i=4096`)
  t.throws(() => scram.verify(`v=${Buffer.alloc(32).toString('base64')}`), { message: /could not prove/ })
  t.throws(() => scram.verify(undefined), { message: /could not prove/ })
})

t.test('a server that asks, and does not know the user, gets no call', async (t) => {
  for (const last of [EMPTY_MAP, encodeValue({ data: `v=${Buffer.alloc(32).toString('base64')}` })]) {
    const seen: number[] = []
    const impostor = createServer((socket) => {
      socket.on('error', () => undefined) // the client hangs up
      const wire = new WireSocket(socket, PREAMBLE_BYTES)
      const limits = { maxBody: 4096, maxCalls: 1, maxCallBytes: 4096 }
      const hello = { version: 1, server: 's', nonce: Buffer.alloc(32), auth: [SCRAM], limits, capabilities: [] }
      wire.send(FrameType.HELLO, 0, writeHello(hello))
      wire.onFrame = ({ type, body }) => {
        seen.push(type)
        const { data } = decodeValue(body) as { data: string }
        const nonce = /^p=.*,r=(.*)$/.exec(data)?.[1]
        const salt = Buffer.alloc(16).toString('base64')
        if (nonce === undefined) wire.send(FrameType.READY, 0, last)
        else wire.send(FrameType.AUTH, 0, encodeValue({ data: `r=${nonce}more,s=${salt},i=4096` }))
      }
    }).listen(0, '127.0.0.1')
    t.teardown(() => impostor.close())
    await once(impostor, 'listening')
    const client = `127.0.0.1:${(impostor.address() as AddressInfo).port}`
    await t.rejects(MiddleMan.connect({ client, ...WEB }), { code: 'AUTH_FAILED', message: /could not prove/ })
    t.same(seen, [FrameType.AUTH, FrameType.AUTH])
  }
})

t.test('access rules: a call needs one that allows it and none that denies it', async (t) => {
  const rules = `access:
  - { allow: web, workers: busy_worker }
  - { deny: web, verbs: [call, async], methods: [hold, release] }
  - { deny: "*", verbs: delete }
  - { allow: "a,b=c", verbs: call, methods: echo }
`
  const { supervisor, worker, middleMan } = await start(t, rules)
  const denied = (message: RegExp) => ({ name: 'AccessDenied', code: 'ACCESS_DENIED', executed: 'no', message })
  t.equal(await worker.echo({ arg: 1 }), 1)
  t.match(await worker.workerInfo(), { worker: 'busy_worker' })
  await t.rejects(worker.hold(), denied(/web may not call busy_worker\.hold/))
  await t.rejects(worker.asyncRelease(), denied(/web may not async busy_worker\.release/))
  await t.rejects(worker.delete(), denied(/web may not delete busy_worker/))
  await t.rejects(middleMan.allWorkerInfo(), denied(/web may not all_worker_info/))
  await t.rejects(middleMan.worker('other_worker').echo!({}), denied(/other_worker\.echo/))
  const job = { worker: 'busy_worker', method: 'echo', jobKey: 'k' }
  await t.rejects(middleMan.enqueueMany([{ ...job, worker: 'secret' }]), denied(/web may not enqueue secret\.echo/))
  await t.rejects(middleMan.enqueueMany([job]), { code: 'STORE_DISABLED' }, 'allowed, but there is no queue here')
  const other = await MiddleMan.connect({ client: supervisor.address, user: 'a,b=c', password: 'other horse' })
  t.equal(await other.worker('busy_worker').echo!({ arg: 1 }), 1)
  await t.rejects(other.worker('busy_worker').running!({}), denied(/a,b=c may not call/))
  await t.rejects(other.worker('busy_worker').asyncEcho!({}), denied(/may not async/))
  await other.close()
})

t.test('access rules: a method or a worker that a verb has no use for opens no door', async (t) => {
  const rules = 'access:\n  - { allow: anonymous, workers: busy_worker, methods: echo }\n'
  const { port } = await setUp(t, configured(t, rules))
  const wire = await WireSocket.ready({ port })
  t.teardown(() => wire.end())
  const verbs = [
    Verb.ASK_RESULT,
    Verb.RESET_RESULT,
    Verb.NEW_WORKER,
    Verb.DELETE,
    Verb.WORKER_INFO,
    Verb.ALL_WORKER_INFO,
  ]
  for (const [i, verb] of verbs.entries()) {
    const forged = body(verb, { worker: 'busy_worker', method: 'echo', workerKey: 'k', jobKey: 'k' })
    wire.send(FrameType.CALL, i + 1, forged)
    t.match(await wire.answer(i + 1), { code: 'ACCESS_DENIED' }, `verb ${verb}`)
  }
  wire.send(FrameType.CALL, 100, call('echo', 'allowed'))
  t.equal(await wire.answer(100), 'allowed')
})
