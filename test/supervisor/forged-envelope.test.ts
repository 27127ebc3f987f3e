import t, { type Test } from 'tap'
import { type Envelope, Verb } from '#offstage/wire/envelope.js'
import { body, RawClient } from '../support/raw-client.js'
import { Server } from '../support/server.js'

/** An indefinite length, which no value of the protocol has. */
const NO_VALUE = Uint8Array.of(0xff)
const ONE = Uint8Array.of(0x01)
const echo: Partial<Envelope> = { worker: 'echo_worker', method: 'echo' }

async function setUp(t: Test) {
  const server = await Server.start({ data: t.testdir(), env: { OFFSTAGE_RETRY_DELAY: '0.01' } })
  const client = await RawClient.connect(server.port)
  t.teardown(async () => {
    client.end()
    await server.stop()
  })
  return { server, client }
}

t.test('a client cannot make a call look like a job of the queue', async (t) => {
  const { client } = await setUp(t)
  t.match(await client.send(body(Verb.CALL, { ...echo, jobId: 1, attempt: 1 })), {
    corr: 0,
    error: { code: 'PROTOCOL' },
  })
  await client.closed
})

t.test('a job whose argument cannot be read fails like any other, instead of coming back for ever', async (t) => {
  const { server, client } = await setUp(t)
  const job = { ...echo, jobKey: 'bad', attempts: 3 }
  t.match(await client.send(body(Verb.ENQUEUE, job, NO_VALUE)), { value: { created: true } })
  const last = await server.line((line) => line.msg.startsWith('a job failed for the last time'))
  t.match(last, { code: 'BAD_ARGUMENT', attempt: 3, jobKey: 'bad' })
})

t.test('data for create that cannot be read fails newWorker, and crashes nothing', async (t) => {
  const { server, client } = await setUp(t)
  const start = { worker: 'echo_worker', workerKey: 'k' }
  t.match(await client.send(body(Verb.NEW_WORKER, start, NO_VALUE)), {
    corr: 1,
    error: { code: 'BAD_ARGUMENT', executed: 'no' },
  })
  t.match(await client.send(body(Verb.NEW_WORKER, start, ONE)), { value: 'k' }, 'the key is free again')
  t.notOk(server.lines.some(({ msg }) => msg.includes('the host of')))
})

t.test('a key that is too long is refused, and only to the one who sent it', async (t) => {
  const { server, client } = await setUp(t)
  const other = await RawClient.connect(server.port)
  t.teardown(() => other.end())
  const long = 'k'.repeat(1025)
  const [refused, stored] = await Promise.all([
    client.send(body(Verb.ENQUEUE, { ...echo, workerKey: 'k'.repeat(70_000), jobKey: 'a' }, ONE)),
    other.send(body(Verb.ENQUEUE, { ...echo, jobKey: 'b' }, ONE)),
  ])
  t.match(refused, { corr: 1, error: { code: 'INVALID_ARGUMENT' } })
  t.match(stored, { value: { created: true } })
  for (const [verb, fields] of [
    [Verb.ENQUEUE, { ...echo, jobKey: long }],
    [Verb.NEW_WORKER, { worker: 'echo_worker', workerKey: long }],
    [Verb.RESET_RESULT, { worker: 'echo_worker', jobKey: long }],
  ] as const) {
    t.match(await client.send(body(verb, fields, ONE)), { error: { code: 'INVALID_ARGUMENT', executed: 'no' } })
  }
})

t.test('a bulk enqueue holds jobs and nothing else', async (t) => {
  const { client } = await setUp(t)
  const entry = (inner: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(inner.length)
    return Buffer.concat([length, inner])
  }
  const job = body(Verb.ENQUEUE, { ...echo, jobKey: 'a' }, ONE)
  const call = body(Verb.CALL, { ...echo, jobKey: 'b' }, ONE)
  const refused = { corr: Number, error: { code: 'PROTOCOL', executed: 'no' } }
  t.match(await client.send(body(Verb.ENQUEUE_MANY, {}, Buffer.concat([entry(job), entry(call)]))), refused)
  t.match(await client.send(body(Verb.ENQUEUE_MANY, {}, entry(job).subarray(0, -1))), refused)
  t.match(await client.send(body(Verb.ENQUEUE_MANY, {}, entry(job))), { value: [[Number, true]] }, 'nothing was stored')
})
