/** What clients and servers really say to each other: the sessions that the mutator starts from. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeValue } from '#offstage/wire/codec.js'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { type Envelope, Verb } from '#offstage/wire/envelope.js'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'
import { body } from '../support/raw-client.js'
import { frameBytes } from '../support/wire-socket.js'

/** A session is its pieces: the preamble or HELLO, then frames. */
export type Session = readonly Buffer[]

const RICH = {
  text: 'grüß',
  list: [1, -2.5, 2n ** 70n],
  when: new Date(0),
  map: new Map([[1, 'a']]),
  bytes: Buffer.alloc(40),
}

const CALLS: readonly (readonly [verb: number, fields: Partial<Envelope>, arg?: unknown])[] = [
  [Verb.CALL, { method: 'echo' }, RICH],
  [Verb.CALL, { method: 'some_task', jobKey: 'boy', timeout: 5_000 }, [1, [2, [3]]]],
  [Verb.CALL, { method: 'missing' }],
  [Verb.CALL, { method: 'twice', requestId: 'sixteen bytes...' }, 'text'],
  [Verb.ASYNC, { method: 'echo' }, new Set([1, 'two', null])],
  [Verb.ENQUEUE, { method: 'echo', jobKey: 'job', priority: -7, attempts: 3 }, { id: 1 }],
  [Verb.ENQUEUE, { method: 'echo', jobKey: 'once', atMostOnce: true, runAt: 1 }, 'x'],
  [Verb.DEQUEUE, { method: 'echo', jobKey: 'job' }],
  [Verb.ASK_RESULT, { jobKey: 'k' }],
  [Verb.WORKER_INFO, {}],
  [Verb.SCHEDULES, {}],
  [Verb.PAUSE_SCHEDULE, { method: 'echo' }],
  [Verb.RUN_SCHEDULE, { method: 'echo' }],
]

const job = body(Verb.ENQUEUE, { worker: 'echo_worker', method: 'echo', jobKey: 'many' }, encodeValue(1))
const length = Buffer.alloc(4)
length.writeUInt32BE(job.length)

/** To a server that has `echo_worker`. */
export const CLIENT_SESSIONS: readonly Session[] = [CALLS, [...CALLS].reverse()].map((calls) => [
  writePreamble(),
  ...calls.map(([verb, fields, arg], i) => {
    const argument = arg === undefined ? undefined : encodeValue(arg)
    return frameBytes(FrameType.CALL, i + 1, body(verb, { worker: 'echo_worker', ...fields }, argument))
  }),
  frameBytes(FrameType.CANCEL, 2, EMPTY_MAP),
  frameBytes(FrameType.PING, 0, Buffer.alloc(0)),
  frameBytes(FrameType.CALL, 100, body(Verb.ENQUEUE_MANY, {}, Buffer.concat([length, job, length, job]))),
])

/** To a client that has made one call: the answers of the conformance file. */
export const SERVER_SESSIONS: readonly Session[] = (
  JSON.parse(readFileSync(join(import.meta.dirname, '../../../test/conformance/calls.json'), 'utf8')) as {
    steps: { exchange: [string, string][] }[]
  }[]
).map(({ steps }) =>
  steps.flatMap(({ exchange }) => exchange.filter(([way]) => way === '<').map(([, hex]) => Buffer.from(hex, 'hex'))),
)
