import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { parseAddresses } from '#offstage/middleman/addresses.js'
import { Cluster } from '#offstage/middleman/cluster.js'
import { workerProxy } from '#offstage/middleman/proxy.js'
import { Route } from '#offstage/middleman/route.js'
import type { UntypedWorkerProxy } from '#offstage/middleman/types.js'
import { PEER_LIMITS } from '#offstage/wire/limits.js'
import { setUp } from './support.js'

/** Between a client and a server; once it is broken no byte goes through, and nobody is told. */
async function cable(t: Test, port: number) {
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.pipe(far)
    far.pipe(near)
    for (const socket of [near, far]) socket.on('error', () => undefined)
    sockets.push(near, far)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      server.close()
      for (const socket of sockets) socket.unpipe().pause()
    },
  }
}

t.test('case 38: when the line goes dead, both sides notice, and the work of the others goes on', async (t) => {
  const { port, supervisor, worker } = await setUp(t, { heartbeat: 1 })
  const line = await cable(t, port)
  const cluster = new Cluster({
    addresses: parseAddresses(`127.0.0.1:${line.port}`),
    connectTimeout: 3_000,
    timeout: -1,
    limits: { ...PEER_LIMITS, heartbeat: 1_000 },
  })
  await cluster.connect()
  // Silent, and alive: each of them asks the other more than once.
  await new Promise((resolve) => setTimeout(resolve, 4_000))
  const far = workerProxy(new Route(() => cluster), 'busy_worker', '') as UntypedWorkerProxy
  t.equal(await far.echo!({ arg: 1 }), 1)
  t.equal(supervisor.wire.sessions, 2)
  const held = far.hold!({})
  while ((await worker.running()).now === 0);
  line.cut()
  await t.rejects(held, { code: 'OUTCOME_UNKNOWN', executed: 'maybe' }, 'the client has noticed')
  while (supervisor.wire.sessions > 1) await worker.echo({ arg: 1 })
  t.match(supervisor.wire, { refused: { CONNECTION: 1 }, calls: 0 }, 'and so has the server')
  await worker.release()
  await cluster.close(0)
})
