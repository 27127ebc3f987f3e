/** Mutated sessions against a live server, with real clients beside. Everything follows from the seed. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { MiddleMan } from 'offstage/middleman'
import { Prng } from '../simulation/prng.js'
import type { Server } from '../support/server.js'
import type EchoWorker from '../support/workers/echo_worker.js'
import { CLIENT_SESSIONS } from './corpus.js'
import { mutate, type Random } from './mutate.js'

const LANES = 8
const REAL_CLIENTS = 2
/** Mutated calls must not end the worker of the real clients, start thousands, or cache for ever. */
export const CONFIGURATION = `access:
  - { allow: "*" }
  - { deny: "*", verbs: [new_worker, delete, reset_result] }
`

export interface Report {
  frames: number
  connections: number
  /** Calls of the real clients, all of them right, and their times in ms. */
  calls: number
  p50: number
  p99: number
  /** MiB, when a tenth was done and at the end. */
  before: number
  after: number
  seconds: number
}

/** Throws when a real client has another answer than its own, or the server ends. */
export async function attack(server: Server, frames: number, seed: number): Promise<Report> {
  const started = performance.now()
  const times: number[] = []
  let sent = 0
  let connections = 0
  let before = resident(server)
  let warm = false
  const real = Array.from({ length: REAL_CLIENTS }, () => keepCalling(server, times, () => sent >= frames))
  const lane = async () => {
    while (sent < frames) {
      const random = randomOf(seed, connections++)
      const pieces = mutate(CLIENT_SESSIONS[random(CLIENT_SESSIONS.length)]!, random)
      sent += pieces.length
      await deliver(server.port, Buffer.concat(pieces))
      if (!server.running) throw new Error(`the server ended: ${server.errors.slice(-2_000)}`)
      if (!warm && sent > frames / 10) {
        warm = true
        before = resident(server)
      }
    }
  }
  await Promise.all([...Array.from({ length: LANES }, lane), ...real])
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0
  return {
    frames: sent,
    connections,
    calls: times.length,
    p50: at(0.5),
    p99: at(0.99),
    before,
    after: resident(server),
    seconds: (performance.now() - started) / 1000,
  }
}

/** Resolves when the server has ended the connection, having seen all of it or enough. */
function deliver(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined) // a reset is an end, too
    socket.once('close', () => resolve())
    socket.resume()
    socket.end(bytes)
  })
}

async function keepCalling(server: Server, times: number[], over: () => boolean): Promise<void> {
  const middleMan = await MiddleMan.connect({ client: server.address })
  const worker = middleMan.worker<EchoWorker>('echo_worker')
  for (let arg = 0; !over(); arg++) {
    const before = performance.now()
    const answer = await worker.echo({ arg })
    times.push(performance.now() - before)
    if (answer !== arg) throw new Error(`a real client sent ${arg} and got ${String(answer)}`)
  }
  await middleMan.close()
}

/** Of one session: the same whatever came before it. */
export function randomOf(seed: number, session: number): Random {
  const prng = new Prng(seed, String(session))
  return (below) => prng.int(below)
}

/** MiB. */
function resident({ child }: Server): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024
}
