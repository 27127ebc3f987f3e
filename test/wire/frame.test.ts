import fc from 'fast-check'
import t from 'tap'
import { FrameReader, FrameType, HEADER_BYTES, readU32, writeHeader, writeU32 } from '#offstage/wire/frame.js'
import { Outbox } from '#offstage/wire/outbox.js'

interface Seen {
  type: number
  flags: number
  corr: number
  body: string
}

function reader(maxBody = 1000, maxType?: number): { seen: Seen[]; reader: FrameReader } {
  const seen: Seen[] = []
  const rules = maxType === undefined ? { maxBody } : { maxBody, maxType }
  return {
    seen,
    reader: new FrameReader(rules, (type, flags, corr, bytes, start, end) => {
      seen.push({ type, flags, corr, body: bytes.toString('hex', start, end) })
    }),
  }
}

function frame(type: number, corr: number, body: Uint8Array, flags = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length)
  writeHeader(bytes, 0, type, flags, corr, body.length)
  bytes.set(body, HEADER_BYTES)
  return bytes
}

const BODY = Buffer.from('a0', 'hex')

t.test('the header is laid out as the table says', async (t) => {
  t.equal(frame(FrameType.CALL, 0x01020304, Buffer.alloc(5), 7).toString('hex', 0, 12), '000000050407000001020304')
  const bytes = Buffer.alloc(4)
  for (const value of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    writeU32(bytes, 0, value)
    t.equal(readU32(bytes, 0), value)
  }
})

t.test('frames arrive whole however the stream is cut', async (t) => {
  const frames = fc.array(
    fc.record({
      type: fc.integer({ min: 1, max: 12 }),
      corr: fc.nat(0xffff_ffff),
      body: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    }),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 120 })), (list, cuts) => {
      const { seen, reader: r } = reader()
      const stream = Buffer.concat(list.map(({ type, corr, body }) => frame(type, corr, body)))
      for (let at = 0; at < stream.length; ) {
        const length = cuts.next().value
        r.push(Buffer.from(stream.subarray(at, at + length)))
        at += length
      }
      t.equal(r.incomplete, 0)
      t.same(
        seen,
        list.map(({ type, corr, body }) => ({ type, flags: 0, corr, body: Buffer.from(body).toString('hex') })),
      ) || t.bailout()
    }),
    { numRuns: 300 },
  )
})

t.test('one byte at a time gives the same frames as one chunk', async (t) => {
  const stream = Buffer.concat(
    Array.from({ length: 20 }, (_, i) => frame(FrameType.CALL, i + 1, Buffer.alloc(1 + i * 7, i))),
  )
  const whole = reader()
  whole.reader.push(stream)
  const single = reader()
  for (const byte of stream) single.reader.push(Buffer.from([byte]))
  t.equal(whole.seen.length, 20)
  t.same(single.seen, whole.seen)
})

t.test('a frame of a megabyte in single bytes is held in about its own size', async (t) => {
  let bodies = 0
  const r = new FrameReader({ maxBody: 1 << 20 }, (_type, _flags, _corr, _bytes, start, end) => {
    bodies += end - start
  })
  const stream = frame(FrameType.CALL, 1, Buffer.alloc(1 << 20, 5))
  const before = process.memoryUsage()
  for (let i = 0; i < stream.length - 1; i++) r.push(stream.subarray(i, i + 1))
  t.equal(r.incomplete, stream.length - 1)
  const after = process.memoryUsage()
  t.ok(after.arrayBuffers - before.arrayBuffers < 8 << 20, `${after.arrayBuffers - before.arrayBuffers} bytes`)
  r.push(stream.subarray(stream.length - 1))
  t.equal(bodies, 1 << 20)
})

t.test('a header is judged before any of its body is kept', async (t) => {
  const cases: [string, Buffer, { code: string; message?: RegExp }][] = [
    [
      'too long',
      frame(FrameType.CALL, 1, Buffer.alloc(1001)),
      { code: 'FRAME_TOO_LARGE', message: /CALL frame of 1001 bytes.*1000/ },
    ],
    ['2^32 - 1', Buffer.from('ffffffff0400000000000001', 'hex'), { code: 'FRAME_TOO_LARGE' }],
    ['type 0', frame(0, 1, BODY), { code: 'UNSUPPORTED' }],
    ['type 13', frame(13, 1, BODY), { code: 'UNSUPPORTED', message: /frame type 13 is unknown/ }],
    ['type 255', frame(255, 1, BODY), { code: 'UNSUPPORTED' }],
    ['reserved bytes', Buffer.from('000000010400010000000001a0', 'hex'), { code: 'PROTOCOL', message: /reserved/ }],
    ['a CALL without a body', frame(FrameType.CALL, 1, Buffer.alloc(0)), { code: 'PROTOCOL', message: /needs a body/ }],
  ]
  for (const [name, bytes, error] of cases) {
    const { seen, reader: r } = reader()
    t.throws(() => r.push(bytes.subarray(0, HEADER_BYTES)), error, name)
    t.equal(seen.length, 0)
    const slow = reader().reader
    t.throws(
      () => {
        for (let i = 0; i < HEADER_BYTES; i++) slow.push(bytes.subarray(i, i + 1))
      },
      error,
      `${name}, byte by byte`,
    )
    t.ok(slow.incomplete <= HEADER_BYTES)
  }
})

t.test('PING, PONG and CREDIT may be empty', async (t) => {
  const { seen, reader: r } = reader()
  for (const type of [FrameType.PING, FrameType.PONG, FrameType.CREDIT]) r.push(frame(type, 0, Buffer.alloc(0)))
  t.same(
    seen.map(({ type }) => type),
    [10, 11, 9],
  )
})

t.test('a channel with more types takes them', async (t) => {
  const { seen, reader: r } = reader(1000, 40)
  r.push(frame(40, 1, BODY))
  t.throws(() => r.push(frame(41, 1, BODY)), { code: 'UNSUPPORTED' })
  t.equal(seen.length, 1)
})

t.test('the limit may be raised once the peer is known', async (t) => {
  const { seen, reader: r } = reader(10)
  t.throws(() => r.push(frame(FrameType.CALL, 1, Buffer.alloc(11))), { code: 'FRAME_TOO_LARGE' })
  const raised = reader(10)
  raised.reader.maxBody = 11
  raised.reader.push(frame(FrameType.CALL, 1, Buffer.alloc(11)))
  t.same([seen.length, raised.seen.length], [0, 1])
})

t.test('the outbox gives its frames back in order and in few pieces', async (t) => {
  let wakes = 0
  const out = new Outbox(() => {
    wakes++
    return Number.POSITIVE_INFINITY
  })
  const { seen, reader: r } = reader(200_000)
  const bodies = [1, 3, 40, 41, 5000, 70_000, 2, 60_000, 9].map((length, i) => Buffer.alloc(length, i))
  bodies.forEach((body, i) => {
    out.frame(FrameType.RESULT, 0, i + 1, body)
  })
  t.equal(wakes, 1, 'woken once for all of them')
  t.equal(
    out.bytes,
    bodies.reduce((sum, body) => sum + HEADER_BYTES + body.length, 0),
  )
  const pieces = out.take()
  t.ok(pieces.length < bodies.length)
  for (const piece of pieces) r.push(piece)
  t.same(
    seen.map(({ body }) => body.length / 2),
    bodies.map(({ length }) => length),
  )
  t.same(out.take(), [])
  out.frame(FrameType.RESULT, 0, 99, BODY)
  t.equal(wakes, 2)
  const kept = Buffer.concat(pieces)
  for (let i = 0; i < 100; i++) out.frame(FrameType.RESULT, 0, i, Buffer.alloc(1000, 0xee))
  const again = reader(200_000)
  for (const piece of pieces) again.reader.push(piece)
  t.same(again.seen, seen, 'what was taken is never written again')
  t.ok(kept.length > 0)
})

t.test('the outbox tells again when as much waits as was asked for, and of the first frame after a take', async (t) => {
  const told: number[] = []
  const out = new Outbox((bytes) => {
    told.push(bytes)
    return 2 * bytes
  })
  const frame = () => out.frame(FrameType.RESULT, 0, 1, Buffer.alloc(100 - HEADER_BYTES))
  for (let i = 0; i < 5; i++) frame()
  t.same(told, [100, 200, 400])
  out.take()
  frame()
  frame()
  t.same(told.slice(3), [100, 200])
  out.takeOwned()
  frame()
  t.same(told.slice(5), [100])
})

t.test('an owned take has memory of its own', async (t) => {
  const out = new Outbox()
  for (let i = 1; i <= 3; i++) out.frame(FrameType.RESULT, 0, i, Buffer.alloc(40_000, i))
  const owned = out.takeOwned()
  t.equal(owned.byteLength, owned.buffer.byteLength)
  const { seen, reader: r } = reader(50_000)
  r.push(Buffer.from(owned.buffer))
  t.same(
    seen.map(({ corr }) => corr),
    [1, 2, 3],
  )
  t.equal(out.takeOwned().length, 0)
})
