/** What safety on the wire costs: each with it and without it, in the same rounds. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Decoder, encode } from 'cbor-x'
import { type ConnectOptions, MiddleMan } from 'offstage/middleman'
import { decodeValue } from '#offstage/wire/codec.js'
import { makeVerifier } from '#offstage/wire/scram.js'
import { Authority } from '../../test/support/certificates.js'
import { argumentFor } from '../argument.js'
import { alternate, keepInFlight } from '../measure.js'
import { compare, OURS, type Result } from '../result.js'
import type BenchWorker from '../workers/bench_worker.js'
import { checked } from './calls.js'
import { type Context, startOffstage } from './context.js'

const CALLS = 'wire: sync call, 64 in flight'
const CONNECTS = 'wire: connect, one call, close'
const DECODE = 'wire: decode an argument'
const DECODES_AT_A_TIME = 1_000
const WEB = { user: 'web', password: 'correct horse' }

export async function wireRows(context: Context): Promise<Result[]> {
  const results: Result[] = []
  if (context.selected(DECODE)) results.push(await decodeRow(context))
  if ([CALLS, CONNECTS].some(context.selected)) results.push(...(await connectionRows(context)))
  return results
}

async function connectionRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const authority = new Authority()
  const { cert, key } = authority.issue('bench')
  const file = (name: string, text: string) => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, name), text)
    return path.join(folder, name)
  }
  const users = ['--config', file('users.yml', `users:\n  web: ${await makeVerifier(WEB.password)}\n`)]
  const tls = { OFFSTAGE_TLS_CERT: file('cert.pem', cert), OFFSTAGE_TLS_KEY: file('key.pem', key) }
  const sides: [string, string[], Record<string, string>, ConnectOptions][] = [
    [OURS, [], {}, {}],
    ['with SCRAM', users, {}, WEB],
    ['with TLS', [], tls, { tls: { ca: authority.cert } }],
    ['with both', users, tls, { ...WEB, tls: { ca: authority.cert } }],
  ]
  const started = await Promise.all(
    sides.map(async ([name, args, env, options], i) => {
      const server = await startOffstage(path.join(folder, `wire-${i}`), { args, env })
      const connecting = { client: `127.0.0.1:${server.port}`, ...options }
      const middleMan = await MiddleMan.connect(connecting)
      return { name, server, connecting, middleMan }
    }),
  )
  const results: Result[] = []
  if (selected(CALLS)) {
    const contenders = started.map(({ name, middleMan }) => {
      const worker = middleMan.worker<BenchWorker>('bench_worker')
      const call = checked((arg) => worker.echo({ arg }))
      return { name, round: async (ms: number) => ({ rate: await keepInFlight(64, ms, call) }) }
    })
    results.push(compare(CALLS, '/s', 'rate', await alternate(contenders, plan)))
  }
  if (selected(CONNECTS)) {
    const contenders = started.map(({ name, connecting }) => {
      const once = async () => {
        const middleMan = await MiddleMan.connect(connecting)
        await middleMan.worker<BenchWorker>('bench_worker').echo({ arg: argumentFor(0) })
        await middleMan.close()
      }
      return { name, round: async (ms: number) => ({ rate: await keepInFlight(1, ms, once) }) }
    })
    results.push(compare(CONNECTS, '/s', 'rate', await alternate(contenders, plan)))
  }
  for (const { server, middleMan } of started) {
    await middleMan.close()
    await server.stop()
  }
  return results
}

/** The 100 bytes of all rows, and a map around them. */
async function decodeRow({ plan }: Context): Promise<Result> {
  const bytes = Buffer.from(encode({ id: 42, tags: ['a', 'b'], text: argumentFor(0) }))
  const bare = new Decoder({ useRecords: false, mapsAsObjects: true })
  const contender = (name: string, decode: () => unknown) => ({
    name,
    round: async (ms: number) => {
      const rate = await keepInFlight(1, ms, async () => {
        for (let i = 0; i < DECODES_AT_A_TIME; i++) decode()
      })
      return { rate: rate * DECODES_AT_A_TIME }
    },
  })
  const sides = [contender(OURS, () => decodeValue(bytes)), contender('without validation', () => bare.decode(bytes))]
  return compare(DECODE, '/s', 'rate', await alternate(sides, plan))
}
