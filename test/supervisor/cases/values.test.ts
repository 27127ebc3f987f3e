import t from 'tap'
import { decodeValue } from '#offstage/wire/codec.js'
import { Verb } from '#offstage/wire/envelope.js'
import { FrameType } from '#offstage/wire/frame.js'
import { validate } from '#offstage/wire/validate.js'
import { body } from '../../support/raw-client.js'
import { WireSocket } from '../../support/wire-socket.js'
import { setUp } from './support.js'

const hex = (text: string) => Buffer.from(text, 'hex')

const BOMBS: Record<string, Buffer> = {
  'depth 100,000': Buffer.alloc(100_000, 0x81),
  'maps in maps': Buffer.alloc(100_000, 0xa1),
  'an array of 2^32': hex('9affffffff'),
  'an array of 2^53': hex('9b001fffffffffffff'),
  'a text of 4 GiB': hex('7affffffff61'),
  'a big number of 1 MB': Buffer.concat([hex('c25a000f4240'), Buffer.alloc(1_000_000, 0xff)]),
  'tags on tags': Buffer.alloc(100_000, 0xc1),
  'a tag that is a RegExp': hex('d81b82665265674578706161'),
  'a tag that shares': hex('d81c81d81d00'),
}

t.test('case 30: values that would cost much are refused before anything is built from them', async (t) => {
  const { port, worker } = await setUp(t)
  const wire = await WireSocket.ready({ port })
  let corr = 0
  for (const [name, bomb] of Object.entries(BOMBS)) {
    const before = process.memoryUsage().heapUsed
    t.throws(() => decodeValue(bomb), { code: 'PROTOCOL' }, name)
    t.throws(() => validate(bomb, 0, bomb.length), { code: 'PROTOCOL' })
    t.ok(process.memoryUsage().heapUsed - before < 32 << 20, `${name}: without memory`)
    wire.send(FrameType.CALL, ++corr, body(Verb.CALL, { worker: 'busy_worker', method: 'echo' }, bomb))
    t.match(await wire.answer(corr), { code: 'BAD_ARGUMENT', executed: 'no' }, `${name}, in the worker`)
    // In the envelope the server itself looks at it.
    const looking = await WireSocket.ready({ port })
    looking.send(FrameType.CALL, 1, Buffer.concat([hex('a20000181f'), bomb]))
    t.match(await looking.refusal(), { code: 'PROTOCOL' }, `${name}, in the envelope`)
  }
  t.match(await worker.workerInfo(), { restarts: 0 })
  wire.end()
})

t.test('case 31: keys are data of their own, or refused', async (t) => {
  const { port, worker } = await setUp(t)
  const wire = await WireSocket.ready({ port })
  const before = Object.getOwnPropertyNames(Object.prototype)
  const refused = {
    proto: 'a1695f5f70726f746f5f5fa1617801',
    twice: 'a2616101616102',
    'a surrogate': 'a163eda08001',
    'half a letter': 'a161c301',
  }
  let corr = 0
  for (const [name, text] of Object.entries(refused)) {
    const bytes = hex(text)
    t.throws(() => decodeValue(bytes), { code: 'PROTOCOL' }, name)
    wire.send(FrameType.CALL, ++corr, body(Verb.CALL, { worker: 'busy_worker', method: 'echo' }, bytes))
    t.match(await wire.answer(corr), { code: 'BAD_ARGUMENT' }, name)
  }
  const odd = { constructor: 1, toString: 2, hasOwnProperty: 3, valueOf: 4, prototype: { x: 5 } }
  const back = (await worker.echo({ arg: odd })) as Record<string, unknown>
  t.same(Object.entries(back), Object.entries(odd))
  t.same(Object.getOwnPropertyNames(Object.prototype), before)
  t.equal(({} as { x?: unknown }).x, undefined)
  await t.rejects(worker.echo({ arg: '\ud800' }), { code: 'CANNOT_ENCODE', executed: 'no' })
  wire.end()
})

t.test('case 32: only methods of the class itself are called, whatever the name', async (t) => {
  const { port, worker } = await setUp(t)
  const wire = await WireSocket.ready({ port })
  const names = [
    ...['constructor', 'create', '_hidden', 'accessor', 'inherited', 'then', 'catch', 'finally', 'toJSON', 'toString'],
    ...['valueOf', '__proto__', 'hasOwnProperty', 'cache', 'logger', 'field', '#running', 'nothing', ''],
  ]
  let corr = 0
  for (const name of names) {
    for (const verb of [Verb.CALL, Verb.ASYNC]) {
      wire.send(FrameType.CALL, ++corr, body(verb, { worker: 'busy_worker', method: name }))
      t.match(await wire.answer(corr), { code: 'NO_METHOD', executed: 'no' }, `${verb} ${name}`)
    }
  }
  t.equal(await worker.touched(), 0, 'none of them has run')
  wire.end()
})
