import t from 'tap'
import { encodeValue } from '#offstage/wire/codec.js'
import {
  foreignServer,
  type Hello,
  readHello,
  readPreamble,
  writeHello,
  writePreamble,
} from '#offstage/wire/handshake.js'

const HELLO: Hello = {
  version: 1,
  server: 'a1b2',
  nonce: Buffer.alloc(32, 7),
  auth: [],
  limits: { maxBody: 1 << 20, maxCalls: 256, maxCallBytes: 4 << 20 },
  capabilities: [],
}

t.test('the preamble names the versions, and the highest common one is chosen', async (t) => {
  t.equal(writePreamble().toString('hex'), '4f46465301010000')
  t.equal(readPreamble(writePreamble()), 1)
  t.equal(readPreamble(writePreamble(1, 9)), 1)
  t.throws(() => readPreamble(writePreamble(2, 3)), {
    code: 'UNSUPPORTED_VERSION',
    message: /versions 2 to 3.*upgrade the server/,
  })
  for (const hex of ['4f46465300010000', '4f46465302010000', '4f46465301010001', '4f46465301010100']) {
    t.throws(() => readPreamble(Buffer.from(hex, 'hex')), { code: 'PROTOCOL', message: /not a valid preamble/ }, hex)
  }
})

t.test('a client that speaks something else is told what it speaks', async (t) => {
  for (const text of ['GET / HTTP/1.1', 'POST /a HTTP/1.1', 'OPTIONS * HTTP/1.1', 'PRI * HTTP/2.0']) {
    t.throws(() => readPreamble(Buffer.from(text)), { code: 'PROTOCOL', message: /it speaks HTTP/ }, text)
  }
  t.throws(() => readPreamble(Buffer.from('1603010200010001', 'hex')), { message: /it speaks TLS/ })
  t.throws(() => readPreamble(Buffer.from('SSH-2.0-OpenSSH')), { message: /first bytes are "SSH-2\.0-"/ })
  t.throws(() => readPreamble(Buffer.alloc(8)), { message: /not an offstage preamble/ })
})

t.test('a server that speaks something else is told apart from its first bytes', async (t) => {
  t.match(foreignServer(Buffer.from('HTTP/1.1 400 Bad Request')), /it speaks HTTP/)
  t.match(foreignServer(Buffer.from('15030300020228', 'hex')), /it expects TLS/)
  t.match(foreignServer(Buffer.from('-ERR unknown command\r\n')), /not a HELLO/)
  t.match(foreignServer(Buffer.from('0000000104000000', 'hex')), /not a HELLO/)
  t.equal(foreignServer(Buffer.from('00', 'hex')), undefined)
  t.equal(foreignServer(Buffer.from('0000005501000000', 'hex')), undefined)
  t.equal(foreignServer(Buffer.from('0000005507000000', 'hex')), undefined, 'an ERROR may refuse the client')
})

t.test('HELLO comes back as it was written', async (t) => {
  t.same(readHello(writeHello(HELLO)), HELLO)
  t.same(readHello(writeHello({ ...HELLO, nonce: new Uint8Array(32) })).nonce, Buffer.alloc(32))
  t.match(readHello(encodeValue({ ...HELLO, later: true })), { server: 'a1b2' }, 'an unknown key is ignored')
})

t.test('a HELLO that lacks something is refused', async (t) => {
  const bad: [string, unknown][] = [
    ['nothing', null],
    ['text', 'hello'],
    ['no server', { ...HELLO, server: undefined }],
    ['no nonce', { ...HELLO, nonce: 'x' }],
    ['no limits', { ...HELLO, limits: {} }],
    ['a limit of 1', { ...HELLO, limits: { ...HELLO.limits, maxBody: 1 } }],
    ['a limit over 16 MiB', { ...HELLO, limits: { ...HELLO.limits, maxBody: (16 << 20) + 1 } }],
    ['no calls', { ...HELLO, limits: { ...HELLO.limits, maxCalls: 0 } }],
    ['no bytes of calls', { ...HELLO, limits: { maxBody: 1 << 20, maxCalls: 1 } }],
    ['auth that is no list of texts', { ...HELLO, auth: [1] }],
    ['no capabilities', { ...HELLO, capabilities: undefined }],
  ]
  for (const [name, value] of bad) t.throws(() => readHello(encodeValue(value)), { message: /lacks a field/ }, name)
  t.throws(() => readHello(encodeValue({ ...HELLO, version: 2 })), { code: 'UNSUPPORTED_VERSION' })
})
