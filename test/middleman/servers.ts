/** Several scripted servers and a client of them all. */
import type { Test } from 'tap'
import { type ConnectOptions, MiddleMan } from '#offstage/middleman/index.js'
import { Verb } from '#offstage/wire/envelope.js'
import { echo, type Received, type Script, ScriptedServer } from './scripted-server.js'

/** Answers a call with the number of the server. */
export const number =
  (i: number): Script =>
  (call) => {
    if (call.verb === Verb.CALL) call.result(i)
    else echo(call)
  }

export async function start(t: Test, count: number, script: (i: number) => Script = number) {
  const servers = await Promise.all(Array.from({ length: count }, (_, i) => ScriptedServer.start(script(i))))
  t.teardown(() => Promise.all(servers.map((server) => server.stopListening())))
  return servers
}

export async function connect(t: Test, servers: readonly ScriptedServer[], options: ConnectOptions = {}) {
  const client = servers.map(({ address }) => address).join(',')
  const middleMan = await MiddleMan.connect({ client, connectTimeout: 5_000, ...options })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  await until(middleMan, (up) => up.length >= servers.length)
  for (const server of servers) server.received.length = 0
  return middleMan
}

/** Resolves when the client sees as up what the condition asks for. */
export async function until(middleMan: MiddleMan, condition: (up: string[]) => boolean): Promise<void> {
  const up = async () =>
    Object.entries(await middleMan.allWorkerInfo()).flatMap(([address, infos]) => (infos === null ? [] : [address]))
  while (!condition(await up())) await new Promise((resolve) => setImmediate(resolve))
}

/** Stops a server; resolves when the client has noticed. */
export async function stop(middleMan: MiddleMan, server: ScriptedServer): Promise<void> {
  const { address } = server
  await server.stopListening()
  await until(middleMan, (up) => !up.includes(address))
}

/** What came, but for the questions of `until`. */
export function received(server: ScriptedServer): Received[] {
  return server.received.filter(({ verb }) => verb !== Verb.ALL_WORKER_INFO)
}
