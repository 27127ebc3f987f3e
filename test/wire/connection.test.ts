import { once } from 'node:events'
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Connection, type ConnectionOptions } from '#offstage/wire/connection.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { FrameType } from '#offstage/wire/frame.js'
import { PAUSE_SHARE, PEER_LIMITS, type PeerLimits } from '#offstage/wire/limits.js'
import { WireStats } from '#offstage/wire/stats.js'

const PAUSE_READING_ABOVE = PEER_LIMITS.maxUnread * PAUSE_SHARE

interface Side {
  socket: Socket
  connection: Connection
  frames: { type: number; corr: number; length: number }[]
  /** Of the same frames, when they are short. */
  bodies: Buffer[]
  closes: (Error | undefined)[]
  /** Resolves when the close event has come. */
  closed: Promise<Error | undefined>
  /** Resolves when the condition holds, looked at after every frame. */
  until(condition: () => boolean): Promise<void>
}

function side(
  socket: Socket,
  maxBody = 100 << 20,
  onFrame?: (self: Side, corr: number) => void,
  options: ConnectionOptions = {},
): Side {
  const watchers: (() => void)[] = []
  const self: Side = {
    socket,
    frames: [],
    bodies: [],
    closes: [],
    connection: undefined as unknown as Connection,
    closed: undefined as unknown as Promise<Error | undefined>,
    until: (condition) =>
      new Promise((resolve) => {
        const look = () => (condition() ? resolve() : watchers.push(look))
        look()
      }),
  }
  self.closed = new Promise((resolve) => {
    self.connection = new Connection(
      socket,
      maxBody,
      {
        frame(type, _flags, corr, bytes, start, end) {
          self.frames.push({ type, corr, length: end - start })
          if (end - start < 1000) self.bodies.push(Buffer.from(bytes.subarray(start, end)))
          onFrame?.(self, corr)
          for (const look of watchers.splice(0)) look()
        },
        close(error) {
          self.closes.push(error)
          resolve(error)
        },
      },
      options,
    )
  })
  return self
}

async function pair(
  t: Tap.Test,
  options: {
    allowHalfOpen?: boolean
    onFrame?: (self: Side, corr: number) => void
    limits?: PeerLimits
    stats?: WireStats
  } = {},
): Promise<{ a: Side; b: Side; raw: Socket }> {
  const server: Server = createServer({ allowHalfOpen: options.allowHalfOpen ?? false })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const raw = netConnect(port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  await (raw.connecting ? once(raw, 'connect') : undefined)
  t.teardown(() => {
    raw.destroy()
    accepted.destroy()
    server.close()
  })
  const { onFrame, limits, stats } = options
  const more = { ...(limits === undefined ? {} : { limits }), ...(stats === undefined ? {} : { stats }) }
  return { a: side(raw), b: side(accepted, 100 << 20, onFrame, more), raw }
}

declare namespace Tap {
  type Test = { teardown(fn: () => void): void }
}

t.test('of many frames of one turn the first leave before its end, and none stays', async (t) => {
  const { a, b } = await pair(t)
  const body = Buffer.alloc(500)
  const early = () => a.socket.bytesWritten
  let corr = 0
  for (let turn = 0; turn < 3; turn++) {
    // The last of these reaches the mark, so that nothing is left for the end of the turn.
    for (const before = early(); early() === before; ) a.connection.out.frame(FrameType.CALL, 0, ++corr, body)
    t.equal(a.connection.out.bytes, 0)
    await nextTurn()
  }
  a.connection.out.frame(FrameType.CALL, 0, ++corr, body)
  await b.until(() => b.frames.length === corr)
  t.same(
    b.frames.map((frame) => frame.corr),
    Array.from({ length: corr }, (_, i) => i + 1),
  )
})

t.test('the frames of one turn leave in one write, very many in a few, in order', async (t) => {
  const { a, b } = await pair(t)
  let writes = 0
  const write = a.socket._writev?.bind(a.socket)
  const single = a.socket._write.bind(a.socket)
  a.socket._write = (...args) => {
    writes++
    single(...args)
  }
  if (write !== undefined) {
    a.socket._writev = (...args) => {
      writes++
      write(...args)
    }
  }
  for (let corr = 1; corr <= 10; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(100))
  await b.until(() => b.frames.length === 10)
  t.equal(writes, 1)
  for (let corr = 11; corr <= 500; corr++)
    a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(100 + (corr % 400)))
  await b.until(() => b.frames.length === 500)
  t.equal(writes, 8, '150 kB: 2, 4, 8, 16, 32 and 64 KiB early, and the rest')
  t.same(
    b.frames.map(({ corr }) => corr),
    Array.from({ length: 500 }, (_, i) => i + 1),
  )
  a.connection.out.frame(FrameType.CALL, 0, 501, Buffer.alloc(1))
  await b.until(() => b.frames.length === 501)
  t.equal(writes, 9)
})

t.test('PING is answered and does not reach the owner', async (t) => {
  const { a, b } = await pair(t)
  const before = a.connection.heardAt
  await nextTurn()
  a.connection.ping()
  await once(a.socket, 'data')
  await nextTurn()
  t.ok(a.connection.heardAt > before)
  t.same([a.frames, b.frames], [[], []])
})

t.test('a slow reader is not read from while much waits for it, and is again afterwards', async (t) => {
  const body = Buffer.alloc(1 << 20)
  // Each CALL is answered with a megabyte.
  const { a, b } = await pair(t, {
    onFrame: (self, corr) => self.connection.out.frame(FrameType.RESULT, 0, corr, body),
  })
  a.socket.pause()
  const calls = 30
  for (let corr = 1; corr <= calls; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(1))
  await b.until(() => b.frames.length === calls)
  await nextTurn()
  await nextTurn()
  t.ok(b.socket.writableLength > PAUSE_READING_ABOVE)
  t.ok(b.socket.isPaused(), 'the server has stopped reading')
  a.connection.out.frame(FrameType.CALL, 0, calls + 1, Buffer.alloc(1))
  await nextTurn()
  await nextTurn()
  t.equal(b.frames.length, calls)
  a.socket.resume()
  await a.until(() => a.frames.length === calls + 1)
  t.notOk(b.socket.isPaused())
  t.equal(a.frames.at(-1)!.corr, calls + 1)
})

t.test('a peer that leaves very much unread is cut off', async (t) => {
  const { a, b } = await pair(t)
  a.socket.pause()
  const body = Buffer.alloc(8 << 20)
  for (let sent = 0; sent <= PEER_LIMITS.maxUnread + (16 << 20); sent += body.length)
    b.connection.out.frame(FrameType.RESULT, 0, 1, body)
  t.match(await b.closed, { code: 'OVERLOADED', message: /does not read/ })
  t.ok(b.socket.destroyed)
})

t.test('so is one that has not read what waits for it in time', async (t) => {
  const { a, b } = await pair(t)
  a.socket.pause()
  b.connection.out.frame(FrameType.RESULT, 0, 1, Buffer.alloc(PAUSE_READING_ABOVE + (8 << 20)))
  await nextTurn()
  await nextTurn()
  const now = performance.now()
  b.connection.heartbeat(now + PEER_LIMITS.unreadTimeout - 1000)
  t.notOk(b.socket.destroyed, 'a burst may take its time')
  b.connection.heartbeat(now + PEER_LIMITS.unreadTimeout + 1000)
  t.match(await b.closed, { code: 'OVERLOADED', message: /does not read/ })
})

t.test('a peer over its rate is not read from for a while, and loses nothing', async (t) => {
  const stats = new WireStats()
  const counted: number[] = []
  const { a, b } = await pair(t, { stats })
  b.connection.meter = (frames, bytes) => {
    counted.push(frames, bytes)
    return 20
  }
  for (let corr = 1; corr <= 3; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(1))
  await b.until(() => b.frames.length === 3)
  t.same(counted.slice(0, 2), [3, 39])
  t.ok(b.socket.isPaused())
  a.connection.out.frame(FrameType.CALL, 0, 4, Buffer.alloc(1))
  await b.until(() => b.frames.length === 4)
  t.match(stats, { pausedRate: 2, frames: 4, bytesIn: 52 })
})

t.test('a frame that begins and does not end costs the connection, also one byte at a time', async (t) => {
  const { a, b } = await pair(t, { limits: { ...PEER_LIMITS, frameTimeout: 200 } })
  a.connection.out.frame(FrameType.CALL, 0, 1, Buffer.alloc(1))
  await b.until(() => b.frames.length === 1)
  const frame = Buffer.from('000003e80400000000000001a0', 'hex')
  a.socket.write(frame)
  const drip = setInterval(() => a.socket.write(Buffer.of(0)), 20)
  t.teardown(() => clearInterval(drip))
  t.match(await b.closed, { code: 'PROTOCOL', message: /not whole within 0.2 s/ })
  await a.closed
  t.match(decodeFailure(a.bodies[0]!), { code: 'PROTOCOL' })
})

t.test('frames that end in time may follow each other in pieces for as long as they like', async (t) => {
  const { a, b } = await pair(t, { limits: { ...PEER_LIMITS, frameTimeout: 1_000 } })
  const frame = Buffer.from('000000010400000000000001a0', 'hex')
  // Never a moment without a frame begun: its second half comes with the first one of the next.
  a.socket.write(frame.subarray(0, 6))
  for (let sent = 0; sent < 60; sent++) {
    await new Promise((resolve) => setTimeout(resolve, 25))
    a.socket.write(Buffer.concat([frame.subarray(6), frame.subarray(0, 6)]))
  }
  await b.until(() => b.frames.length === 60)
  t.notOk(b.connection.closed, 'after 1.5 s')
})

t.test('a client reads on whatever waits to be sent', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = netConnect((server.address() as { port: number }).port, '127.0.0.1')
  const [peer] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    socket.destroy()
    peer.destroy()
    server.close()
  })
  const client = new Connection(socket, 1000, { frame() {}, close() {} }, { client: true })
  peer.pause()
  client.out.frame(FrameType.CALL, 0, 1, Buffer.alloc(PAUSE_READING_ABOVE + (8 << 20)))
  await nextTurn()
  await nextTurn()
  t.ok(socket.writableLength > PAUSE_READING_ABOVE)
  t.notOk(socket.isPaused())
})

t.test('a broken frame ends the connection once, with the reason', async (t) => {
  const { a, b } = await pair(t)
  a.socket.write(Buffer.from('00000001ff00000000000001a0' + '00000001ff00000000000001a0', 'hex'))
  t.match(await b.closed, { code: 'UNSUPPORTED' })
  t.ok(b.connection.closed)
  a.socket.write(Buffer.from('000000010400000000000001a0', 'hex'))
  t.equal(await a.closed, undefined, 'the other side sees an orderly end')
  t.match(a.frames, [{ type: FrameType.ERROR, corr: 0 }], 'and an ERROR that says why')
  t.equal(decodeFailure(a.bodies[0]!).code, 'UNSUPPORTED')
  await (b.socket.destroyed ? undefined : once(b.socket, 'close'))
  t.equal(b.closes.length, 1)
  t.same(b.frames, [])
})

t.test('frames behind the one that ended the connection are not delivered', async (t) => {
  const { a, b } = await pair(t, { onFrame: (self) => self.connection.fail(new Error('enough')) })
  for (let corr = 1; corr <= 5; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(1))
  t.match(await b.closed, { message: 'enough' })
  await a.closed
  t.equal(b.frames.length, 1)
  t.equal(b.closes.length, 1)
})

t.test('an error in the owner ends the connection instead of the process', async (t) => {
  const { a, b } = await pair(t, {
    onFrame: () => {
      throw new TypeError('a bug')
    },
  })
  a.connection.out.frame(FrameType.CALL, 0, 1, Buffer.alloc(1))
  t.match(await b.closed, { name: 'TypeError', message: 'a bug' })
  await a.closed
  t.match(
    decodeFailure(a.bodies[0]!),
    { code: 'INTERNAL', message: /the server made a mistake/ },
    'without its details',
  )
})

t.test('the last frame arrives even when the sender ends with bytes unread', async (t) => {
  const { a, b } = await pair(t, {
    onFrame: (self) => {
      self.connection.out.frame(FrameType.ERROR, 0, 0, Buffer.from('why'))
      self.connection.fail(new Error('protocol'))
    },
  })
  // Much more than the receiver will look at: without a half-close the kernel would answer it with a reset.
  for (let corr = 1; corr <= 200; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(50_000))
  await b.closed
  t.equal(await a.closed, undefined)
  t.same(a.frames, [{ type: FrameType.ERROR, corr: 0, length: 3 }])
})

t.test('end sends what waits, and both sides close', async (t) => {
  for (const allowHalfOpen of [false, true]) {
    const { a, b } = await pair(t, { allowHalfOpen })
    for (let corr = 1; corr <= 3; corr++) a.connection.out.frame(FrameType.CALL, 0, corr, Buffer.alloc(300_000))
    a.connection.end()
    t.equal(await b.closed, undefined)
    t.equal(await a.closed, undefined)
    t.equal(b.frames.length, 3, `allowHalfOpen: ${allowHalfOpen}`)
    t.ok(a.socket.destroyed && b.socket.destroyed)
  }
})

t.test('a peer that never ends its half does not keep ours', async (t) => {
  const { a, b } = await pair(t, { allowHalfOpen: true })
  b.socket.removeAllListeners('end')
  a.connection.end()
  t.equal(await a.closed, undefined)
  t.ok(a.socket.destroyed)
})

t.test('an end inside a frame is an error', async (t) => {
  const { a, b } = await pair(t)
  a.socket.end(Buffer.from('000000100400000000000001a0', 'hex'))
  t.match(await b.closed, { code: 'CONNECTION', message: /ended inside a frame/ })
})

t.test('a reset is reported', async (t) => {
  const { a, b } = await pair(t)
  a.socket.resetAndDestroy()
  t.match(await b.closed, { code: 'ECONNRESET' })
})

t.test('bytes that were read before belong to the first frames', async (t) => {
  const { b } = await pair(t)
  b.connection.receive(Buffer.from('000000010400000000000001a0', 'hex'))
  t.same(b.frames, [{ type: FrameType.CALL, corr: 1, length: 1 }])
})

t.test('a silent peer is asked twice, then given up', async (t) => {
  const { a, b } = await pair(t)
  b.socket.pause()
  const heard = a.connection.heardAt
  let pings = 0
  const frame = a.connection.out.frame.bind(a.connection.out)
  a.connection.out.frame = (type, ...rest) => {
    if (type === FrameType.PING) pings++
    frame(type, ...rest)
  }
  const at = (seconds: number) => {
    a.connection.heartbeat(heard + seconds * 1000 + seconds)
    return pings
  }
  t.equal(PEER_LIMITS.heartbeat, 15_000)
  t.same([1, 10, 14.9, 15, 20, 25, 30, 35, 44].map(at), [0, 0, 0, 1, 1, 1, 2, 2, 2])
  at(46)
  t.match(await a.closed, { code: 'CONNECTION', message: /silent for 46 s/ })
  t.equal(at(60), 2)
})

t.test('any byte is a sign of life, and a stopped clock is no reason to give up', async (t) => {
  const { a, b } = await pair(t)
  a.connection.heartbeat(a.connection.heardAt + 16_000)
  a.connection.heartbeat(a.connection.heardAt + 32_000)
  b.connection.out.frame(FrameType.RESULT, 0, 1, Buffer.alloc(1))
  await a.until(() => a.frames.length === 1)
  a.connection.heartbeat(a.connection.heardAt + 1000)
  // The process was stopped for ten minutes: it asks before it judges.
  a.connection.heartbeat(a.connection.heardAt + 600_000)
  a.connection.heartbeat(a.connection.heardAt + 600_001)
  t.notOk(a.connection.closed)
})

t.test('a connection that is not held does not keep the process', async (t) => {
  const { a } = await pair(t)
  const handle = (a.socket as unknown as { _handle: { hasRef(): boolean } })._handle
  t.ok(handle.hasRef())
  a.connection.hold(false)
  t.notOk(handle.hasRef())
  a.connection.hold(true)
  t.ok(handle.hasRef())
})

t.test('a socket that is closed already reports it', async (t) => {
  const { raw } = await pair(t)
  raw.destroy()
  await once(raw, 'close')
  t.equal(await side(raw).closed, undefined)
})
