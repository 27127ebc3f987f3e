import fc from 'fast-check'
import t from 'tap'
import {
  type Envelope,
  envelope,
  envelopeBound,
  NOTHING_SCHEDULED,
  readEnvelope,
  Verb,
  writeEnvelope,
} from '#offstage/wire/envelope.js'

function write(e: Envelope): Buffer {
  const bytes = Buffer.alloc(envelopeBound(e) + 10, 0xee)
  const end = writeEnvelope(bytes, 3, e)
  t.ok(end <= 3 + envelopeBound(e))
  return bytes.subarray(3, end)
}

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 100 })).filter((s) => s.isWellFormed())
const whole = fc.oneof(fc.nat(30), fc.nat(300), fc.nat(), fc.maxSafeNat())
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  verb: fc.integer({ min: 0, max: 24 }),
  worker: text,
  workerKey: text,
  method: text,
  jobKey: text,
  timeout: fc.oneof(fc.constant(-1), whole),
  runAt: fc.oneof(fc.constant(-1), whole),
  priority: fc.oneof(fc.integer({ min: -300, max: 300 }), fc.maxSafeInteger()),
  attempts: whole,
  atMostOnce: fc.boolean(),
  expiresAt: whole,
  runTimeout: whole,
  whenTaken: fc.nat(),
  requestId: fc.oneof(
    fc.constant(''),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  ),
  schedule: fc.constantFrom(NOTHING_SCHEDULED, Buffer.from('a1616da16463726f6e612a', 'hex')),
  job: whole,
  known: text,
  jobId: whole,
  attempt: fc.constant(0),
  payloadAt: fc.constant(0),
})

t.test('an envelope comes back as it was written, and says where the argument begins', async (t) => {
  fc.assert(
    fc.property(envelopes, fc.nat(1000), fc.uint8Array(), (e, attempt, payload) => {
      e.attempt = e.jobId === 0 ? 0 : attempt
      const bytes = Buffer.concat([Buffer.from([0xff]), write(e), payload])
      const back = readEnvelope(bytes, 1, bytes.length)
      t.equal(bytes.length - back.payloadAt, payload.length) || t.bailout()
      t.same(back, { ...e, payloadAt: back.payloadAt }) || t.bailout()
    }),
    { numRuns: 1000 },
  )
})

t.test('the bytes of a call are the ones in the protocol', async (t) => {
  const e = envelope(Verb.ENQUEUE, 'billing', '', 'charge', 'boy')
  e.timeout = 5000
  e.priority = -3
  e.atMostOnce = true
  t.equal(
    write(e).toString('hex'),
    'a700020167626964'.slice(0, 0) +
      'a700020167' +
      '62696c6c696e67' +
      '0366' +
      '636861726765' +
      '0463626f79' +
      '05191388' +
      '0722' +
      '09f5',
  )
})

t.test('keys that this version does not know are skipped, whatever they hold', async (t) => {
  const bytes = Buffer.from('a4' + '0000' + '1782f5a1616101' + '18c8c249010000000000000000' + '016177' + '01', 'hex')
  const e = readEnvelope(bytes, 0, bytes.length)
  t.match(e, { verb: 0, worker: 'w', payloadAt: bytes.length - 1 })
})

t.test('a broken envelope is refused, and the message says what is wrong with it', async (t) => {
  const cases: [string, RegExp][] = [
    ['', /not a CBOR map/],
    ['80', /not a CBOR map/],
    ['bf0000ff', /indefinite/],
    ['a0', /verb -1 is unknown/],
    ['a1001819', /verb 25 is unknown: this side knows 0 to \d+/],
    ['a10020', /verb -1 is unknown/],
    ['a20000', /ends? too early|not a whole number/],
    ['a1616101', /a key is not a whole number/],
    ['a20000' + '0001', /key 0 stands twice/],
    ['a30000' + '016177' + '016178', /key 1 stands twice/],
    ['a20000' + '0101', /the worker is not text/],
    ['a20000' + '0162c3', /the worker is longer than the frame/],
    ['a20000' + '0161ff', /the worker is not valid UTF-8/],
    ['a20000' + '0463eda080', /the job key is not valid UTF-8/],
    ['a20000' + '047f6161ff', /indefinite or reserved/],
    ['a20000' + '0a4100', /the request id is not a byte string of 16/],
    ['a20000' + '0520', /the timeout is -1: at least 0/],
    ['a20000' + '05f93c00', /the timeout is not a whole number/],
    ['a20000' + '051bffffffffffffffff', /over 2\^53 - 1/],
    ['a20000' + '0620', /the time is -1: at least 0/],
    ['a20000' + '0800', /the attempts is 0: at least 1/],
    ['a20000' + '0901', /at most once is neither true nor false/],
    ['a20000' + '09', /neither true nor false/],
    ['a20000' + '179f00ff', /indefinite length/],
    ['a20000' + '17', /end inside an item/],
    ['a20000' + '0e00', /the job is 0: at least 1/],
    ['a20000' + '0f07', /the known version is not text/],
    ['a20000' + '05', /not a whole number|too early/],
    ['a20000' + '051a0000', /too early/],
  ]
  for (const [hex, message] of cases) {
    const bytes = Buffer.from(hex, 'hex')
    t.throws(() => readEnvelope(bytes, 0, bytes.length), { code: 'PROTOCOL', message }, hex)
  }
})

t.test('text that is not valid UTF-16 cannot be a name', async (t) => {
  t.throws(() => write(envelope(Verb.CALL, 'w', '', 'm', '\ud800')), { code: 'INVALID_ARGUMENT' })
})

t.test('random bytes give an envelope or a refusal', async (t) => {
  let accepted = 0
  const attempt = (bytes: Buffer) => {
    try {
      const e = readEnvelope(bytes, 0, bytes.length)
      t.ok(e.payloadAt <= bytes.length) || t.bailout()
      accepted++
    } catch (error) {
      if ((error as { code?: string }).code !== 'PROTOCOL') throw error
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => attempt(Buffer.from(bytes))),
    { numRuns: 5000 },
  )
  fc.assert(
    fc.property(envelopes, fc.nat(), fc.nat(255), (e, at, to) => {
      const bytes = Buffer.from(write(e))
      bytes[at % bytes.length] = to
      attempt(bytes)
    }),
    { numRuns: 5000 },
  )
  t.ok(accepted > 100)
})
