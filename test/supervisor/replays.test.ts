import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Verb } from '#offstage/wire/envelope.js'
import { FrameType } from '#offstage/wire/frame.js'
import { body } from '../support/raw-client.js'
import { WireSocket } from '../support/wire-socket.js'
import { call, setUp } from './cases/support.js'

const id = () => randomBytes(16).toString('latin1')

t.test('a call that comes again with its request id has the answer of the first time', async (t) => {
  const { port, worker } = await setUp(t)
  const first = await WireSocket.ready({ port })
  const second = await WireSocket.ready({ port })
  const requestId = id()
  first.send(FrameType.CALL, 1, call('hold', undefined, { requestId }))
  while ((await worker.running()).now === 0);
  second.send(FrameType.CALL, 1, call('hold', undefined, { requestId }))
  first.end()
  second.send(FrameType.CALL, 2, call('hold', undefined, { requestId: id() }))
  while ((await worker.running()).now < 2);
  await worker.release()
  t.equal(await second.answer(1), undefined, 'the one who waited hears it, although the first one is gone')
  t.match(await worker.running(), { now: 0, most: 2 })
  second.send(FrameType.CALL, 3, call('hold', undefined, { requestId }))
  t.equal(await second.answer(3), undefined, 'and afterwards, without running again')
  second.end()
})

t.test('what has not run is run when it is asked for again', async (t) => {
  const { port } = await setUp(t)
  const wire = await WireSocket.ready({ port })
  const requestId = id()
  wire.send(FrameType.CALL, 1, call('missing', undefined, { requestId }))
  t.match(await wire.answer(1), { code: 'NO_METHOD' })
  wire.send(FrameType.CALL, 2, call('echo', 'now', { requestId }))
  t.equal(await wire.answer(2), 'now')
  wire.send(FrameType.CALL, 3, call('echo', 'again', { requestId }))
  t.equal(await wire.answer(3), 'now')
  const async = body(Verb.ASYNC, { worker: 'busy_worker', method: 'hold', requestId })
  wire.send(FrameType.CALL, 4, async)
  wire.send(FrameType.CALL, 5, async)
  t.match(await wire.frame(({ corr }) => corr === 5), { type: FrameType.ACCEPTED })
  wire.send(FrameType.CALL, 6, call('running'))
  t.match(await wire.answer(6), { now: 1 })
  wire.send(FrameType.CALL, 7, call('release'))
  await wire.answer(7)
  wire.end()
})

t.test('a request id of another length ends the connection', async (t) => {
  const { port } = await setUp(t)
  const wire = await WireSocket.ready({ port })
  wire.send(FrameType.CALL, 1, Buffer.from('a200000a4100', 'hex'))
  t.match(await wire.refusal(), { code: 'PROTOCOL', message: /request id/ })
})

t.test('the client gives one to calls that are marked idempotent', async (t) => {
  const { worker } = await setUp(t)
  t.equal(await worker.echo({ arg: 1, idempotent: true }), 1)
  t.equal(await worker.echo({ arg: 2, idempotent: true }), 2, 'each call one of its own')
  await worker.asyncEcho({ arg: 1, idempotent: true })
})
