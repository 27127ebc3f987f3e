import { readdirSync, readFileSync } from 'node:fs'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'
import { Server } from '../../support/server.js'
import { WireSocket } from '../../support/wire-socket.js'
import { call, WORKERS } from './support.js'
import type BusyWorker from './workers/busy_worker.js'

async function setUp(t: Test, env: Record<string, string> = {}) {
  const server = await Server.start({
    data: t.testdir(),
    workers: WORKERS,
    env: { OFFSTAGE_LOG_LEVEL: 'info', ...env },
  })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.stop()
  })
  return { server, worker: middleMan.worker<BusyWorker>('busy_worker') }
}

function descriptors({ child }: Server): number {
  return readdirSync(`/proc/${child.pid}/fd`).length
}

/** MiB. */
function resident({ child }: Server): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024
}

/** Calls, one after the other, until told to stop; resolves to their times in ms, sorted. */
function keepCalling(worker: { echo(options: { arg: unknown }): Promise<unknown> }): () => Promise<number[]> {
  let on = true
  const times: number[] = []
  const done = (async () => {
    while (on) {
      const before = performance.now()
      await worker.echo({ arg: 1 })
      times.push(performance.now() - before)
    }
    return times.sort((a, b) => a - b)
  })()
  return () => {
    on = false
    return done
  }
}

const p99 = (sorted: number[]) => sorted[Math.floor(sorted.length * 0.99)]!.toFixed(1)

t.test('case 34: 10,000 connections that come and go leave nothing behind', async (t) => {
  const { server, worker } = await setUp(t)
  const echo = call('echo', Buffer.alloc(1000))
  const cycle = async (i: number) => {
    const wire = await WireSocket.open({ port: server.port })
    if (i % 4 > 0) wire.write(writePreamble())
    if (i % 4 > 1) await wire.frame(({ type }) => type === FrameType.READY)
    if (i % 4 > 2) wire.send(FrameType.CALL, 1, echo)
    if (i % 8 > 3) wire.socket.resetAndDestroy()
    else wire.end()
    await wire.closed
  }
  const cycles = async (count: number) => {
    let next = 0
    const lane = async () => {
      while (next < count) await cycle(next++)
    }
    await Promise.all(Array.from({ length: 50 }, lane))
  }
  const settled = async (most: number) => {
    while (descriptors(server) > most) await worker.echo({ arg: 1 })
  }
  const base = descriptors(server)
  await cycles(2_000)
  await settled(base)
  const warm = resident(server)
  const stop = keepCalling(worker)
  await cycles(8_000)
  const times = await stop()
  await settled(base)
  t.equal(descriptors(server), base)
  const grown = resident(server) - warm
  t.ok(grown < 60, `${grown.toFixed(0)} MiB more after 8,000 further connections`)
  t.comment(`a client beside them: ${times.length} calls, p99 ${p99(times)} ms`)
})

t.test('case 35: 1,000 connections that say nothing are closed, and disturb nobody', async (t) => {
  const { server, worker } = await setUp(t)
  const base = descriptors(server)
  const stop = keepCalling(worker)
  const wires = await Promise.all(Array.from({ length: 1_000 }, () => WireSocket.open({ port: server.port })))
  const opened = performance.now()
  await Promise.all(wires.map((wire) => wire.refusal()))
  const took = performance.now() - opened
  const times = await stop()
  t.ok(took > 1_000, `closed after ${Math.round(took)} ms`)
  t.ok(times.length > 0)
  t.comment(`a client beside them: ${times.length} calls, p99 ${p99(times)} ms`)
  while (descriptors(server) > base) await worker.echo({ arg: 1 })
})

t.test('case 36: a client that reads nothing is cut off, and others are served', async (t) => {
  const { server, worker } = await setUp(t)
  const wire = await WireSocket.ready({ port: server.port })
  wire.socket.pause()
  const wanted = call('bytes', 900_000)
  for (let corr = 1; corr <= 100; corr++) wire.send(FrameType.CALL, corr, wanted)
  t.equal(await worker.echo({ arg: 'meanwhile' }), 'meanwhile')
  t.match(await server.line(({ msg }) => msg.includes('does not read')), { err: { code: 'OVERLOADED' } })
  t.equal(await worker.echo({ arg: 'afterwards' }), 'afterwards')
  wire.socket.resume()
  await wire.closed
  t.ok(wire.frames.length < 100)
})
