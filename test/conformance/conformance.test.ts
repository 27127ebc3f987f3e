/** What a client of any language has to do, as bytes and behaviour, and both of ours doing it. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EMPTY_MAP } from '#offstage/wire/connection.js'
import { FrameType } from '#offstage/wire/frame.js'
import { PREAMBLE_BYTES, writeHello, writePreamble } from '#offstage/wire/handshake.js'
import { Binding, Credentials, makeVerifier, ScramClient } from '#offstage/wire/scram.js'
import { Server } from '../support/server.js'
import { frameBytes } from '../support/wire-socket.js'
import { type Given, type Operation, runOperations } from './operations.js'
import { python, pythonMissing } from './python.js'

interface Step {
  readonly operation: Operation
  /** `>` what the client sends, `<` what it gets then, `!` the connection ends. */
  readonly exchange: readonly (readonly [way: '>' | '<' | '!', hex: string])[]
  readonly outcome: unknown
}

interface Scram {
  readonly name: string
  readonly user: string
  readonly password: string
  readonly preamble: string
  readonly hello: string
  readonly nonce: string
  readonly first: string
  readonly challenge: string
  readonly final: string
  readonly last: string
}

const read = <T>(name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../../../test/conformance', name), 'utf8')) as T

const CLIENTS: Record<string, { run: (given: Given) => Promise<unknown>; skip: string | false }> = {
  TypeScript: { run: runOperations, skip: false },
  Python: { run: (given) => python(['conformance.py'], given), skip: pythonMissing() },
}

/** A server that says and expects exactly these bytes; resolves to what differed. */
async function scripted(t: Test, steps: readonly Step[]) {
  const script = steps.flatMap(({ exchange }) => [...exchange])
  const wrong: string[] = []
  let received = Buffer.alloc(0)
  const advance = (socket: Socket) => {
    for (let next = script[0]; next !== undefined; next = script[0]) {
      const [way, hex] = next
      const bytes = Buffer.from(hex, 'hex')
      if (way === '>') {
        if (received.length < bytes.length) return
        const sent = received.subarray(0, bytes.length)
        if (!sent.equals(bytes)) wrong.push(`sent ${sent.toString('hex')} and not ${hex}`)
        received = received.subarray(bytes.length)
      } else if (way === '<') socket.write(bytes)
      else socket.end()
      script.shift()
    }
  }
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => undefined) // a client may end as it likes
    let preamble = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      if (preamble.length < PREAMBLE_BYTES) {
        preamble = Buffer.concat([preamble, chunk])
        if (!preamble.equals(writePreamble())) wrong.push(`began with ${preamble.toString('hex')}`)
        const limits = { maxBody: 1 << 20, maxCalls: 2, maxCallBytes: 1 << 20 }
        const hello = { version: 1, server: 's', nonce: Buffer.alloc(32), auth: [], limits, capabilities: ['later'] }
        socket.write(frameBytes(FrameType.HELLO, 0, writeHello(hello)))
        socket.write(frameBytes(FrameType.READY, 0, EMPTY_MAP))
        return
      }
      received = Buffer.concat([received, chunk])
      advance(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port, wrong, script }
}

for (const [client, { run, skip }] of Object.entries(CLIENTS)) {
  t.test(`${client}: bytes in, bytes out`, { skip }, async (t) => {
    for (const { name, steps } of read<{ name: string; steps: Step[] }[]>('calls.json')) {
      const { port, wrong, script } = await scripted(t, steps)
      const operations = steps.map(({ operation }) => operation)
      const outcomes = (await run({ host: '127.0.0.1', port, operations })) as Record<string, unknown>[]
      t.same(wrong, [], `${name}: bytes`)
      t.equal(script.length, 0, `${name}: all of it`)
      for (const [i, { outcome }] of steps.entries()) {
        if ((outcome as { ended?: true }).ended) t.ok('error' in outcomes[i]!, `${name}: it fails`)
        else t.same(outcomes[i], outcome, name)
      }
    }
  })

  t.test(`${client}: behaviour with a real server`, { skip }, async (t) => {
    const data = t.testdir()
    writeFileSync(join(data, 'offstage.yml'), `users:\n  web: ${await makeVerifier('correct horse')}\n`)
    const server = await Server.start({ data: join(data, 'journal'), args: ['--config', join(data, 'offstage.yml')] })
    t.teardown(() => server.stop())
    for (const { name, outcomes, ...given } of read<(Given & { name: string; outcomes: object[] })[]>('served.json')) {
      const came = (await run({ ...given, host: '127.0.0.1', port: server.port })) as { value?: object }[]
      for (const [i, outcome] of outcomes.entries()) {
        if ('created' in outcome) t.match(came[i]!.value, { id: Number, ...outcome }, `${name}: ${i}`)
        else t.same(came[i], outcome, `${name}: ${i}`)
      }
    }
  })
}

for (const vector of read<Scram[]>('scram.json')) {
  t.test(`TypeScript: SCRAM, ${vector.name}`, async (t) => {
    const { user, password, nonce, challenge } = vector
    const binding = new Binding(Buffer.from(vector.preamble, 'hex'), Buffer.from(vector.hello, 'hex'))
    const scram = new ScramClient(new Credentials(user, password), binding, nonce)
    t.equal(scram.first(), vector.first)
    t.equal(await scram.final(challenge), vector.final)
    t.doesNotThrow(() => scram.verify(vector.last))
  })

  t.test(`Python: SCRAM, ${vector.name}`, { skip: pythonMissing() }, async (t) => {
    const program = `import json, sys
from offstage import Scram
v = json.load(sys.stdin)
s = Scram(v["user"], v["password"], bytes.fromhex(v["hello"]), bytes.fromhex(v["preamble"]), v["nonce"])
first, final = s.first(), s.final(v["challenge"])
s.verify(v["last"])
print(json.dumps([first, final]))`
    t.same(await python(['-c', program], vector), [vector.first, vector.final])
  })
}
