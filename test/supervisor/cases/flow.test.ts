import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { CREDIT_LATER, FrameType } from '#offstage/wire/frame.js'
import { frameBytes, WireSocket } from '../../support/wire-socket.js'
import { call, setUp } from './support.js'
import type BusyWorker from './workers/busy_worker.js'

t.test('case 37: 100,000 times CALL and CANCEL: never more at work than there is credit', async (t) => {
  const credit = 256
  const { port, worker } = await setUp(t, { max_calls: credit })
  const wire = await WireSocket.ready({ port })
  const calls = 100_000
  const goOn = call('goOn', 3)
  let sent = 0
  let answered = 0
  const sendMore = () => {
    const frames: Buffer[] = []
    const cancels: Buffer[] = []
    for (; sent < calls && sent - answered < credit; sent++) {
      frames.push(frameBytes(FrameType.CALL, sent + 1, goOn))
      // Half of them at once, so mostly before they have begun; the others when they have.
      const to = sent % 2 === 0 ? frames : cancels
      to.push(frameBytes(FrameType.CANCEL, sent + 1, EMPTY_MAP))
    }
    if (frames.length > 0) wire.write(Buffer.concat(frames))
    if (cancels.length > 0) setImmediate(() => wire.write(Buffer.concat(cancels)))
  }
  await new Promise<void>((resolve, reject) => {
    wire.onFrame = ({ corr }) => {
      wire.frames.length = 0
      if (corr === 0) reject(new Error('the server ended the connection'))
      if (++answered === calls) resolve()
      else sendMore()
    }
    sendMore()
  })
  const { most, now } = await worker.running()
  t.equal(now, 0)
  t.ok(most > 1, `${most} at once`)
  t.ok(most <= credit, `${most} at once`)
  wire.end()
})

t.test('a call beyond the credit ends the connection, and only that one', async (t) => {
  const { port, supervisor, worker } = await setUp(t, { max_calls: 3 })
  const wire = await WireSocket.ready({ port })
  for (let corr = 1; corr <= 3; corr++) wire.send(FrameType.CALL, corr, call('hold'))
  while ((await worker.running()).now < 3);
  wire.send(FrameType.CANCEL, 1, EMPTY_MAP)
  wire.send(FrameType.CALL, 4, call('hold'))
  t.match(await wire.refusal(), { code: 'FLOW', message: /call 4 .* beyond the credit: 3 calls wait/ })
  t.equal(await worker.echo({ arg: 'on' }), 'on')
  t.match(supervisor.wire, { refused: { FLOW: 1 }, calls: 0 })
  await worker.release()
})

t.test('bytes are credit, too: a long call goes alone', async (t) => {
  const { port, worker } = await setUp(t, { max_call_bytes: 65_536 })
  const wire = await WireSocket.ready({ port })
  wire.send(FrameType.CALL, 1, call('echo', Buffer.alloc(200_000)))
  t.same(await wire.answer(1), Buffer.alloc(200_000))
  wire.send(FrameType.CALL, 2, call('hold'))
  wire.send(FrameType.CALL, 3, call('echo', Buffer.alloc(70_000)))
  t.match(await wire.refusal(), { code: 'FLOW' })
  await worker.release()
})

t.test('credit comes back when the work has stopped, not when its caller has given up', async (t) => {
  const { port, worker } = await setUp(t, { max_calls: 1 })
  const wire = await WireSocket.ready({ port })
  wire.send(FrameType.CALL, 1, call('hold', undefined, { timeout: 300 }))
  t.match(await wire.answer(1), { code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
  t.match(wire.frames.at(-1), { type: FrameType.ERROR, flags: CREDIT_LATER })
  t.match(await worker.running(), { now: 1 })
  await worker.release()
  t.match(await wire.frame(({ type }) => type === FrameType.CREDIT), { corr: 1, body: Buffer.alloc(0) })
  wire.send(FrameType.CALL, 2, call('echo', 'next'))
  t.equal(await wire.answer(2), 'next')
  wire.end()
})

t.test('a client holds calls back until there is credit, also behind calls that it has given up', async (t) => {
  const { supervisor, worker } = await setUp(t, { max_calls: 4 })
  const holding = worker.hold({ timeout: 300 })
  const many = Promise.all(Array.from({ length: 500 }, (_, arg) => worker.echo({ arg })))
  await t.rejects(holding, { code: 'DEADLINE_EXCEEDED' })
  t.same(
    await many,
    Array.from({ length: 500 }, (_, arg) => arg),
  )
  const others = [1, 2, 3].map(() => worker.hold({ timeout: 300 }))
  await Promise.all(others.map((other) => t.rejects(other, { code: 'DEADLINE_EXCEEDED' })))
  // All four places are taken by methods that go on: this call waits at the client until its time is up.
  await t.rejects(worker.echo({ arg: 1, timeout: 50 }), { code: 'DEADLINE_EXCEEDED', executed: 'no' })
  const aborted = new AbortController()
  const waiting = worker.echo({ arg: 1, signal: aborted.signal })
  aborted.abort()
  await t.rejects(waiting, { code: 'CANCELLED', executed: 'no' })
  const late = worker.echo({ arg: 'late' })
  const other = await MiddleMan.connect({ client: supervisor.address })
  await other.worker<BusyWorker>('busy_worker').release()
  t.equal(await late, 'late')
  t.match(supervisor.wire, { refused: {} })
  await other.close()
})

t.test('the rate of an identity is kept over its connections together, and nothing is lost', async (t) => {
  const { supervisor, middleMan, worker } = await setUp(t, { rate_frames: 200 })
  const second = await MiddleMan.connect({ client: supervisor.address })
  const started = performance.now()
  const send = (from: typeof worker) => Array.from({ length: 200 }, (_, arg) => from.echo({ arg }))
  for (let round = 0; round < 2; round++)
    await Promise.all([...send(worker), ...send(second.worker<BusyWorker>('busy_worker'))])
  // The second round cannot begin before the first one is paid: 400 frames at 200 a second, with a burst of 200.
  t.ok(performance.now() - started > 900)
  t.ok(supervisor.wire.pausedRate > 0)
  t.match(supervisor.wire, { refused: {}, sessions: 2 })
  await second.close()
  t.equal(typeof middleMan, 'function')
})

t.test('one connection too many is told so', async (t) => {
  const { port, supervisor, worker } = await setUp(t, { max_connections: 2 })
  const second = await WireSocket.ready({ port })
  const third = await WireSocket.open({ port })
  t.match(await third.refusal(), { code: 'OVERLOADED', retryable: true, message: /has 2 connections/ })
  second.end()
  t.equal(await worker.echo({ arg: 1 }), 1)
  t.match(supervisor.wire, { refused: { OVERLOADED: 1 }, accepted: 2 })
})

t.test('a long call that waits for credit and is given up no longer holds back those behind it', async (t) => {
  const { worker } = await setUp(t, { max_call_bytes: 65_536 })
  const held = worker.hold()
  const giveUp = new AbortController()
  const long = worker.echo({ arg: Buffer.alloc(65_500), signal: giveUp.signal })
  const behind = worker.echo({ arg: 'short', timeout: 10_000 })
  giveUp.abort()
  await t.rejects(long, { code: 'CANCELLED', executed: 'no' })
  t.equal(await behind, 'short')
  await worker.release()
  await held
})
