import t from 'tap'
import { encodeValue } from '#offstage/wire/codec.js'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { Verb } from '#offstage/wire/envelope.js'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'
import { body } from '../../support/raw-client.js'
import { frameBytes, type Seen, WireSocket } from '../../support/wire-socket.js'
import { call, setUp } from './support.js'

t.test('case 26: a length of 0xFFFFFFFF ends the connection, and nothing is kept for it', async (t) => {
  const { port, worker } = await setUp(t)
  const before = process.memoryUsage().arrayBuffers
  for (const start of [writePreamble(), Buffer.alloc(0)]) {
    for (let i = 0; i < 100; i++) {
      const wire = await WireSocket.open({ port })
      wire.write(Buffer.concat([start, Buffer.from('ffffffff0400000000000001', 'hex')]))
      const { code } = await wire.refusal()
      if (code !== (start.length > 0 ? 'FRAME_TOO_LARGE' : 'PROTOCOL')) t.fail(code)
    }
  }
  const kept = process.memoryUsage().arrayBuffers - before
  t.ok(kept < 64 << 20, `${kept} bytes after 200 announcements of 4 GiB`)
  t.equal(await worker.echo({ arg: 1 }), 1)
})

t.test('case 27: a session that comes one byte at a time has the same answers', async (t) => {
  const { port } = await setUp(t)
  const session = Buffer.concat([
    writePreamble(),
    frameBytes(FrameType.CALL, 1, call('echo', { text: 'é', list: [1, 2, 3] })),
    frameBytes(FrameType.PING, 0, Buffer.alloc(0)),
    frameBytes(FrameType.CALL, 2, call('missing')),
    frameBytes(FrameType.CALL, 3, body(Verb.ASYNC, { worker: 'busy_worker', method: 'echo' }, encodeValue(1))),
    frameBytes(FrameType.CANCEL, 3, EMPTY_MAP),
    frameBytes(FrameType.CALL, 9, call('echo', Buffer.alloc(300, 7))),
  ])
  const play = async (pieces: Iterable<Uint8Array>): Promise<Seen[]> => {
    const wire = await WireSocket.open({ port })
    for (const piece of pieces) {
      wire.write(piece)
      await new Promise(setImmediate)
    }
    for (const corr of [1, 2, 3, 9]) await wire.answer(corr)
    wire.end()
    const answers = wire.frames.filter(({ type }) => type !== FrameType.HELLO) // has a nonce
    return answers.sort((a, b) => a.type - b.type || a.corr - b.corr)
  }
  const whole = await play([session])
  t.equal(whole.length, 6, 'READY, PONG, four answers')
  t.same(await play(Array.from(session, (byte) => Uint8Array.of(byte))), whole)
})

t.test('case 28: a frame that begins and does not go on costs the connection', async (t) => {
  const { port, supervisor, worker } = await setUp(t, { frame_timeout: 0.3, heartbeat: 60 })
  for (const beginning of ['00', '0000001004', '00000010040000000000000101']) {
    const wire = await WireSocket.ready({ port })
    wire.write(Buffer.from(beginning, 'hex'))
    t.match(await wire.refusal(), { code: 'PROTOCOL', message: /not whole within 0.3 s/ })
  }
  t.match(supervisor.wire.refused, { PROTOCOL: 3 })
  t.equal(await worker.echo({ arg: 1 }), 1)
})

t.test('case 33: what a client has no business sending ends its connection with the reason', async (t) => {
  const { port, worker } = await setUp(t)
  const good = call('echo', 1)
  const cases: [string, (wire: WireSocket) => void, object][] = [
    ['an unknown type', (w) => w.write(frameBytes(13, 1, good)), { code: 'UNSUPPORTED' }],
    ['type 0', (w) => w.write(frameBytes(0, 1, good)), { code: 'UNSUPPORTED' }],
    [
      'a CALL with number 0',
      (w) => w.send(FrameType.CALL, 0, good),
      { code: 'PROTOCOL', message: /only grow, from 1/ },
    ],
    [
      'a number again',
      (w) => {
        w.send(FrameType.CALL, 5, good)
        w.send(FrameType.CALL, 5, good)
      },
      { code: 'PROTOCOL', message: /call 5 came after call 5/ },
    ],
    [
      'a lower number',
      (w) => {
        w.send(FrameType.CALL, 5, good)
        w.send(FrameType.CALL, 4, good)
      },
      { code: 'PROTOCOL', message: /call 4 came after call 5/ },
    ],
    ['no body', (w) => w.send(FrameType.CALL, 1, Buffer.alloc(0)), { code: 'PROTOCOL', message: /needs a body/ }],
    ['reserved bytes', (w) => w.write(Buffer.from('000000010400000100000001a0', 'hex')), { code: 'PROTOCOL' }],
    ...[FrameType.HELLO, FrameType.AUTH, FrameType.READY, FrameType.RESULT, FrameType.ERROR, FrameType.ACCEPTED].map(
      (type): [string, (wire: WireSocket) => void, object] => [
        `type ${type}`,
        (w) => w.send(type, 1, EMPTY_MAP),
        { code: 'PROTOCOL', message: /does not send/ },
      ],
    ),
    ['CREDIT', (w) => w.send(FrameType.CREDIT, 1, Buffer.alloc(0)), { code: 'PROTOCOL' }],
    ['GOAWAY', (w) => w.send(FrameType.GOAWAY, 0, EMPTY_MAP), { code: 'PROTOCOL' }],
  ]
  for (const [name, send, reason] of cases) {
    const wire = await WireSocket.ready({ port })
    send(wire)
    t.match(await wire.refusal(), reason, name)
  }
  t.equal(await worker.echo({ arg: 1 }), 1, 'others go on')
})
