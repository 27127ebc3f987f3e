import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { MiddleMan, OffstageError } from 'offstage/middleman'
import t from 'tap'
import { ProtocolError } from '#offstage/errors.js'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { readEnvelope } from '#offstage/wire/envelope.js'
import { FrameReader, FrameType } from '#offstage/wire/frame.js'
import { writeHello } from '#offstage/wire/handshake.js'
import { Server } from '../support/server.js'
import { frameBytes } from '../support/wire-socket.js'
import { sendable } from '../wire/arbitraries.js'
import { attack, CONFIGURATION, randomOf } from './attack.js'
import { SERVER_SESSIONS } from './corpus.js'
import { mutate } from './mutate.js'

const SEED = Math.floor(Math.random() * 2 ** 32)

t.test(`case 29: mutated frames end their connection at most; seed ${SEED}`, async (t) => {
  const cwd = t.testdir()
  writeFileSync(join(cwd, 'offstage.yml'), CONFIGURATION)
  const server = await Server.start({ data: join(cwd, 'data'), args: ['--config', join(cwd, 'offstage.yml')] })
  t.teardown(() => server.stop())
  const { frames, calls, before, after, p99 } = await attack(server, 10_000, SEED)
  t.ok(frames >= 10_000)
  t.ok(calls > 0)
  t.ok(after - before < 120, `${(after - before).toFixed(0)} MiB more`)
  t.comment(`real clients: ${calls} calls, p99 ${p99.toFixed(1)} ms`)
  const { lines } = server
  const crashes = lines.filter(({ msg, level }) => level >= 50 && /INTERNAL|host of|supervisor failed/.test(msg))
  t.same(crashes, [])
})

t.test(`a client that is answered with mutated frames rejects or resolves; seed ${SEED}`, async (t) => {
  for (let session = 0; session < 150; session++) {
    const random = randomOf(SEED, session)
    const answers = Buffer.concat(mutate(SERVER_SESSIONS[random(SERVER_SESSIONS.length)]!, random))
    const limits = { maxBody: 1 << 20, maxCalls: 8, maxCallBytes: 1 << 20 }
    const hello = { version: 1, server: 's', nonce: Buffer.alloc(32), auth: [], limits, capabilities: [] }
    const greeting = [frameBytes(FrameType.HELLO, 0, writeHello(hello)), frameBytes(FrameType.READY, 0, EMPTY_MAP)]
    const inside = random(4) === 0
    const greets = inside ? mutate(greeting, random) : greeting
    const server = createServer((socket) => {
      socket.on('error', () => undefined) // the client may end as it likes
      socket.once('data', () => {
        socket.write(Buffer.concat(greets))
        socket.once('data', () => socket.end(answers))
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const failure = await MiddleMan.connect({ client, connectTimeout: 1_000 })
      .then(async (middleMan) => {
        const call = middleMan.worker('w').echo!({ arg: 1, timeout: 1_000 })
        await call.finally(() => middleMan.close({ timeout: 0 }))
      })
      .catch((error: unknown) => error)
    if (failure !== undefined && !(failure instanceof OffstageError)) t.fail(`session ${session}: ${String(failure)}`)
    server.close()
  }
  t.pass()
})

const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array))
/** CBOR as it may come: whole values, cut ones, values with something else inside, and noise. */
const cbor = fc.oneof(
  sendable.map((value) => Buffer.from(encodeValue(value))),
  fc.tuple(sendable, fc.nat(), bytes).map(([value, at, inside]) => {
    const whole = Buffer.from(encodeValue(value))
    return Buffer.concat([whole.subarray(0, at % (whole.length + 1)), inside, whole.subarray(at % (whole.length + 1))])
  }),
  bytes,
)
const frame = fc
  .tuple(fc.integer({ min: 0, max: 14 }), fc.integer({ min: 0, max: 255 }), fc.nat({ max: 2 ** 32 - 1 }), cbor)
  .map(([type, flags, corr, body]) => frameBytes(type, corr, body, flags))

t.test(
  'whatever bytes come, they are read or are a ProtocolError, and what is read is read the same again',
  async (t) => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 6 }),
        fc.array(fc.nat({ max: 300 }), { maxLength: 6 }),
        (frames, cuts) => {
          const seen: [number, string][] = []
          const reader = new FrameReader({ maxBody: 4096 }, (type, _flags, corr, chunk, start, end) => {
            seen.push([corr, chunk.toString('hex', start, end)])
            if (type === FrameType.CALL) allowed(() => readEnvelope(chunk, start, end))
            const value = allowed(() => decodeValue(chunk, start, end))
            if (value === REFUSED) return
            // As bytes: of two values, one may be an invalid date, which is equal to nothing.
            const encoded = encodeValue(value)
            t.same(encodeValue(decodeValue(encoded)), encoded)
          })
          const all = Buffer.concat(frames)
          allowed(() => {
            let at = 0
            for (const cut of cuts) {
              reader.push(all.subarray(at, at + cut))
              at = Math.min(all.length, at + cut)
            }
            reader.push(all.subarray(at))
          })
          const whole: [number, string][] = []
          const again = new FrameReader({ maxBody: 4096 }, (_type, _flags, corr, chunk, start, end) =>
            whole.push([corr, chunk.toString('hex', start, end)]),
          )
          allowed(() => again.push(all))
          return JSON.stringify(seen) === JSON.stringify(whole)
        },
      ),
      { numRuns: 500, examples: [[[frameBytes(FrameType.CALL, 0, Buffer.from('c1f97e00', 'hex'))], []]] },
    )
  },
)

const REFUSED = Symbol('refused')

function allowed<T>(read: () => T): T | typeof REFUSED {
  try {
    return read()
  } catch (error) {
    if (error instanceof ProtocolError) return REFUSED
    throw error
  }
}
