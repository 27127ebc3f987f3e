/** The examples of docs/PROTOCOL.md: decoded, compared with what they say they are, and encoded again. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { MAX_BIGNUM, MAX_DEPTH, MAX_ITEMS } from '#offstage/wire/codec-tags.js'
import { envelopeBound, NOTHING_SCHEDULED, readEnvelope, Verb, writeEnvelope } from '#offstage/wire/envelope.js'
import { decodeFailure, encodeFailure } from '#offstage/wire/failure.js'
import { FrameReader, FrameType, frameName, HEADER_BYTES, readU32, writeHeader } from '#offstage/wire/frame.js'
import { PREAMBLE_BYTES, readHello, readPreamble, writeHello, writePreamble } from '#offstage/wire/handshake.js'
import * as limits from '#offstage/wire/limits.js'

const text = readFileSync(join(import.meta.dirname, '../../../docs/PROTOCOL.md'), 'utf8')

interface Stream {
  from: '>' | '<'
  bytes: Buffer
}

/** The bytes of each example, in the order in which they are sent. */
const examples = new Map<string, Stream[]>()
for (const [, name, block] of text.matchAll(/^```frames (\S+)\n([\s\S]*?)^```/gm)) {
  const streams: Stream[] = []
  for (const line of block!.trimEnd().split('\n')) {
    const match = /^([<>]) {1,9}((?:[0-9a-f]{2} ?)+)(?: .*)?$/.exec(line)
    if (match === null) throw new Error(`not a line of an example: ${line}`)
    const [, from, hex] = match
    const bytes = Buffer.from(hex!.replaceAll(' ', ''), 'hex')
    const last = streams.at(-1)
    if (last?.from === from) last!.bytes = Buffer.concat([last!.bytes, bytes])
    else streams.push({ from: from as '>' | '<', bytes })
  }
  examples.set(name!, streams)
}

/** What a frame says, and the frame made anew from that. */
function remake(type: number, flags: number, corr: number, body: Buffer): { says: unknown; again: Buffer } {
  let content: unknown
  let bytes: Uint8Array
  if (type === FrameType.HELLO) {
    const hello = readHello(body)
    content = hello
    bytes = writeHello(hello)
  } else if (type === FrameType.CALL) {
    const call = readCall(body)
    content = call.says
    bytes = call.again
  } else if (type === FrameType.ERROR) {
    const error = decodeFailure(body)
    content = { code: error.code, message: error.message, executed: error.executed, retryable: error.retryable }
    bytes = encodeFailure(error)
  } else if (body.length === 0) {
    bytes = body
  } else {
    content = decodeValue(body)
    bytes = encodeValue(content)
  }
  const again = Buffer.alloc(HEADER_BYTES + bytes.length)
  writeHeader(again, 0, type, flags, corr, bytes.length)
  again.set(bytes, HEADER_BYTES)
  return { says: [frameName(type), corr, content], again }
}

function readCall(body: Buffer): { says: object; again: Buffer } {
  const e = readEnvelope(body, 0, body.length)
  const envelope = Buffer.alloc(envelopeBound(e))
  const parts: Uint8Array[] = [envelope.subarray(0, writeEnvelope(envelope, 0, e))]
  const payload = body.subarray(e.payloadAt)
  let arg: unknown
  if (e.verb === Verb.ENQUEUE_MANY) {
    const jobs: object[] = []
    for (let at = 0; at < payload.length; ) {
      const end = at + 4 + readU32(payload, at)
      const job = readCall(payload.subarray(at + 4, end))
      jobs.push(job.says)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(job.again.length)
      parts.push(length, job.again)
      at = end
    }
    arg = jobs
  } else if (payload.length > 0) {
    arg = decodeValue(payload)
    parts.push(encodeValue(arg))
  }
  const fields = Object.entries(e).filter(([key, value]) => key !== 'payloadAt' && value !== UNSET[key])
  return { says: { ...Object.fromEntries(fields), arg }, again: Buffer.concat(parts) }
}

const UNSET: Record<string, unknown> = {
  worker: '',
  workerKey: '',
  method: '',
  jobKey: '',
  timeout: -1,
  runAt: -1,
  priority: 0,
  attempts: 0,
  atMostOnce: false,
  expiresAt: 0,
  runTimeout: 0,
  whenTaken: 0,
  requestId: '',
  schedule: NOTHING_SCHEDULED,
  job: 0,
  known: '',
  jobId: 0,
  attempt: 0,
}

const billing = { worker: 'billing_worker' }

const EXPECTED: Record<string, unknown[]> = {
  handshake: [
    'preamble 1',
    [
      'HELLO',
      0,
      {
        version: 1,
        server: '7c1f',
        nonce: Buffer.from(Array.from({ length: 32 }, (_, i) => i)),
        auth: [],
        limits: { maxBody: limits.DEFAULT_MAX_BODY, maxCalls: limits.DEFAULT_MAX_CALLS, maxCallBytes: 4 << 20 },
        capabilities: [],
      },
    ],
    ['READY', 0, {}],
  ],
  call: [
    ['CALL', 1, { verb: Verb.CALL, ...billing, method: 'charge', timeout: 5000, arg: { id: 42 } }],
    ['RESULT', 1, { id: 42, ok: true }],
  ],
  error: [
    ['CALL', 2, { verb: Verb.CALL, ...billing, method: 'chagre', arg: undefined }],
    [
      'ERROR',
      2,
      { code: 'NO_METHOD', message: 'billing_worker has no method "chagre"', executed: 'no', retryable: false },
    ],
  ],
  async: [
    ['CALL', 4, { verb: Verb.ASYNC, ...billing, workerKey: 'eu', method: 'charge', jobKey: 'boy', arg: 'é' }],
    ['ACCEPTED', 4, {}],
  ],
  enqueue: [
    [
      'CALL',
      3,
      {
        verb: Verb.ENQUEUE,
        ...billing,
        method: 'charge',
        jobKey: 'boy',
        runAt: Date.UTC(2030, 11, 31),
        priority: -1,
        arg: 42,
      },
    ],
    ['RESULT', 3, { id: 7, created: true }],
  ],
  'enqueue-many': [
    [
      'CALL',
      5,
      {
        verb: Verb.ENQUEUE_MANY,
        arg: [
          { verb: Verb.ENQUEUE, worker: 'w', method: 'm', jobKey: 'a', arg: 1 },
          { verb: Verb.ENQUEUE, worker: 'w', method: 'm', jobKey: 'b', arg: 2 },
        ],
      },
    ],
    [
      'RESULT',
      5,
      [
        [8, true],
        [9, true],
      ],
    ],
  ],
  'new-worker': [
    [
      'CALL',
      7,
      {
        verb: Verb.NEW_WORKER,
        worker: 'feeder',
        workerKey: 'a',
        schedule: Buffer.from(encodeValue({ sweep: { cron: '0 * * * * *', data: encodeValue(5) } })),
        arg: true,
      },
    ],
    ['RESULT', 7, 'a'],
  ],
  job: [
    ['CALL', 8, { verb: Verb.JOB, job: 7, arg: undefined }],
    [
      'RESULT',
      8,
      {
        ...{ id: 7, ...billing, workerKey: '', method: 'charge', jobKey: 'boy', state: 'active', priority: 0 },
        ...{ runAt: 1_750_000_000_000, enqueuedAt: 1_750_000_000_000, attempts: 1, maxAttempts: 5 },
        ...{ version: 'active 1 1750000000000 1', progress: Buffer.from([0x18, 50]), progressNumber: 1 },
      },
    ],
    ['CALL', 9, { verb: Verb.JOB, job: 7, known: 'active 1 1750000000000 1', arg: undefined }],
    ['CREDIT', 9, undefined],
    ['CALL', 10, { verb: Verb.JOB_RESULT, job: 7, arg: undefined }],
    ['CREDIT', 10, undefined],
    ['RESULT', 10, { id: 42, ok: true }],
    ['CALL', 11, { verb: Verb.CANCEL_JOB, job: 7, arg: undefined }],
    ['RESULT', 11, 'finished'],
    ['CALL', 12, { verb: Verb.RETRY_JOB, job: 9, arg: undefined }],
    ['RESULT', 12, 'retried'],
    ['CALL', 13, { verb: Verb.DELETE_JOB, job: 10, arg: undefined }],
    ['RESULT', 13, 'removed'],
  ],
  cancel: [
    ['CALL', 6, { verb: Verb.CALL, ...billing, method: 'report', arg: undefined }],
    ['CANCEL', 6, {}],
    [
      'ERROR',
      6,
      {
        code: 'CANCELLED',
        message: 'the caller cancelled billing_worker.report',
        executed: 'maybe',
        retryable: false,
      },
    ],
  ],
  auth: [
    ['AUTH', 0, { mechanism: 'SCRAM-SHA-256', data: 'p=offstage-hello,,n=web,r=client-nonce-0001' }],
    ['AUTH', 0, { data: 'r=client-nonce-0001server-nonce-0001,s=b2Zmc3RhZ2UgZXhhbXBsZQ==,i=4096' }],
    [
      'AUTH',
      0,
      {
        data:
          'c=cD1vZmZzdGFnZS1oZWxsbywsNVTiMDDC9wvkxHTksPf3p8Ugaeb9f6GlmfXA+tOFuqs=,r=client-nonce-0001server-nonce-0001,' +
          'p=NeH8T2rPkaV0a/AJaeKhL21QfQ1Pzh4IGBIXbZz+UY4=',
      },
    ],
    ['READY', 0, { data: 'v=vG59JErfU2FDW5ndLMRtT1X/V7+/lwCLRzb0UHrknKs=' }],
  ],
  credit: [
    ['CALL', 7, { verb: Verb.CALL, ...billing, method: 'report', timeout: 1, arg: undefined }],
    ['ERROR', 7, { code: 'DEADLINE_EXCEEDED', message: 'report takes too long', executed: 'maybe', retryable: false }],
    ['CREDIT', 7, undefined],
  ],
  goaway: [['GOAWAY', 0, { last: 6, message: 'the supervisor is stopping' }]],
  ping: [
    ['PING', 0, undefined],
    ['PONG', 0, undefined],
  ],
}

t.test('the page has the examples that are checked here, and no others', async (t) => {
  t.same([...examples.keys()].sort(), Object.keys(EXPECTED).sort())
})

for (const [name, streams] of examples) {
  t.test(`the example "${name}" says what it claims, and is what this code would send`, async (t) => {
    const says: unknown[] = []
    for (const { from, bytes } of streams) {
      const parts: Buffer[] = []
      const reader = new FrameReader({ maxBody: limits.DEFAULT_MAX_BODY }, (type, flags, corr, chunk, start, end) => {
        const frame = remake(type, flags, corr, Buffer.from(chunk.subarray(start, end)))
        says.push(frame.says)
        parts.push(frame.again)
      })
      let at = 0
      if (name === 'handshake' && from === '>') {
        says.push(`preamble ${readPreamble(bytes)}`)
        parts.push(writePreamble())
        at = PREAMBLE_BYTES
      }
      reader.push(bytes.subarray(at))
      t.equal(reader.incomplete, 0, 'whole frames')
      t.equal(Buffer.concat(parts).toString('hex'), bytes.toString('hex'), 'byte for byte')
    }
    t.same(says, EXPECTED[name])
  })
}

t.test('the tables have every frame type, every verb, and the limits of the code', async (t) => {
  for (const [name, type] of Object.entries(FrameType)) t.match(text, new RegExp(`^\\| ${type} \\| ${name} \\|`, 'm'))
  for (const [name, verb] of Object.entries(Verb)) t.match(text, new RegExp(`^\\| ${verb} \\| ${name} \\|`, 'm'))
  t.match(text, `at most ${MAX_DEPTH} arrays and maps`)
  t.match(text, `at most ${MAX_ITEMS} in one value`)
  t.match(text, `of at most ${MAX_BIGNUM} bytes`)
  t.match(text, `done within ${limits.HANDSHAKE_TIMEOUT / 1000} s`)
  t.match(text, `${limits.HANDSHAKE_MAX_BODY} bytes and ${limits.HANDSHAKE_MAX_FRAMES} frames`)
  t.match(text, `bodies of at most ${limits.HANDSHAKE_MAX_BODY} bytes`)
  t.match(text, `${limits.HANDSHAKE_MAX_BODY} to ${limits.HARD_MAX_BODY}`)
  const { heartbeat, frameTimeout, maxUnread, unreadTimeout } = limits.PEER_LIMITS
  t.match(text, `${(maxUnread * limits.PAUSE_SHARE) / 1024 / 1024} MiB waiting`)
  t.match(text, `more than ${maxUnread / 1024 / 1024} MiB\nunread is cut off`)
  t.match(text, `waits for it ${unreadTimeout / 1000} s after`)
  t.match(text, `after ${heartbeat / 1000} s without a byte`)
  t.match(text, `whole within ${frameTimeout / 1000} s`)
  t.match(text, `${limits.DEFAULT_MAX_CALLS} and ${limits.DEFAULT_MAX_CALL_BYTES / 1024 / 1024} MiB unless`)
  t.match(text, `at most ${limits.LINGER / 1000} s, then closes`)
})

t.test('every code that an ERROR can have is in the table', async (t) => {
  const table = new Set([...text.matchAll(/^\| ([A-Z_]{4,}…?) \|/gm)].map(([, code]) => code))
  for (const code of [
    'WORKER_ERROR',
    'NO_WORKER',
    'NO_METHOD',
    'NO_SCHEDULE',
    'RESULT_NOT_ENCODABLE',
    'CREATE_FAILED',
    'BAD_ARGUMENT',
    'NO_JOB_KEY',
    'WORKER_CRASHED',
    'WORKER_STOPPED',
    'WORKER_KEY_IN_USE',
    'OVERLOADED',
    'DEADLINE_EXCEEDED',
    'CANCELLED',
    'INVALID_ARGUMENT',
    'STORE_…',
    'INTERNAL',
    'PROTOCOL',
    'UNSUPPORTED',
    'UNSUPPORTED_VERSION',
    'FRAME_TOO_LARGE',
    'FLOW',
    'AUTH_FAILED',
    'ACCESS_DENIED',
  ]) {
    t.ok(table.has(code), code)
  }
})
