/** Calls in web applications, with real ones: Fastify by the plugin, Express by the signal of a response. */
import { once } from 'node:events'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import Fastify from 'fastify'
import offstage from 'offstage/fastify'
import { MiddleMan, middleMan, signalOf } from 'offstage/middleman'
import { startSupervisor } from 'offstage/supervisor'
import t, { type Test } from 'tap'
import type WebWorker from './web_workers/web_worker.js'

const supervisor = await startSupervisor({
  cwd: t.testdir(),
  workers: `${import.meta.dirname}/web_workers`,
  port: 0,
  log_level: 'silent',
  persistent_disabled: true,
})
const client = await MiddleMan.connect({ client: supervisor.address })
const worker = client.worker<WebWorker>('web_worker')
t.teardown(async () => {
  await client.close()
  await supervisor.stop()
})

/** Resolves when the worker has seen what is asked for. */
async function until(condition: (seen: ReturnType<WebWorker['seen']>) => boolean): Promise<void> {
  while (!condition(await worker.seen())) await new Promise((resolve) => setImmediate(resolve))
}

/** A request whose client goes away while its call runs. */
async function leave(t: Test, url: string, name: string): Promise<void> {
  const request = get(`${url}/hold/${name}`, { agent: false })
  const error = once(request, 'error')
  await until(({ held }) => held.includes(name))
  request.destroy()
  t.match(await error, [{ code: 'ECONNRESET' }])
  await until(({ held, released }) => !held.includes(name) && released.includes(name))
}

t.test('the Fastify plugin has a client for the server, and one for each request', async (t) => {
  const app = Fastify()
  await app.register(offstage, { client: supervisor.address })
  app.get('/server', async () => app.middleMan('web_worker').echo!({ arg: 'of the server' }))
  app.get('/request', async (request) => {
    t.equal(request.middleMan, request.middleMan)
    t.not(request.middleMan, app.middleMan)
    return request.middleMan('web_worker').echo!({ arg: 'of the request' })
  })
  app.get<{ Params: { name: string } }>('/hold/:name', async (request) =>
    request.middleMan.worker<WebWorker>('web_worker').hold({ arg: request.params.name }),
  )
  app.register(async (scope) => {
    scope.get('/scope', async (request) => request.middleMan('web_worker').echo!({ arg: 'of a scope' }))
  })
  t.equal(supervisor.wire.sessions, 1, 'nothing is connected yet')

  const url = await app.listen({ port: 0 })
  for (const [path, text] of [
    ['server', 'of the server'],
    ['request', 'of the request'],
    ['scope', 'of a scope'],
  ]) {
    t.equal(await (await fetch(`${url}/${path}`)).text(), text)
  }
  t.equal((await app.inject('/request')).body, 'of the request', 'also without a socket')
  await leave(t, url, 'fastify')

  t.equal(supervisor.wire.sessions, 2)
  await app.close()
  while (supervisor.wire.sessions > 1) await new Promise((resolve) => setImmediate(resolve))
  t.equal(await worker.echo({ arg: 1 }), 1)
})

t.test('the last requests of a Fastify server are answered before its client is closed', async (t) => {
  const app = Fastify()
  await app.register(offstage, { client: supervisor.address })
  let finish: ((value: unknown) => void) | undefined
  const begun = new Promise<void>((resolve) => {
    app.get('/', async (request) => {
      resolve()
      await new Promise((go) => {
        finish = go
      })
      return request.middleMan('web_worker').echo!({ arg: 'in time' })
    })
  })
  const url = await app.listen({ port: 0 })
  // Without a connection that stays, for which the server would wait.
  const answer = fetch(url, { headers: { connection: 'close' } }).then((response) => response.text())
  await begun
  const closed = app.close()
  finish!(undefined)
  t.equal(await answer, 'in time')
  await closed
})

t.test('without options a Fastify server has the client of the process; one that is given stays open', async (t) => {
  middleMan.configure({ client: supervisor.address })
  t.teardown(() => middleMan.close())
  const app = Fastify()
  await app.register(offstage)
  t.equal(app.middleMan, middleMan)
  await app.close()

  const other = Fastify()
  await other.register(offstage, { middleMan: client })
  t.equal(other.middleMan, client)
  await other.close()
  t.equal(await worker.echo({ arg: 1 }), 1)
})

t.test('wrong options, and a hook that comes too early, are errors that say so', async (t) => {
  const register = async (options: object) => {
    const app = Fastify()
    app.register(offstage, options)
    await app.ready()
  }
  const wrong = { code: 'INVALID_ARGUMENT' }
  await t.rejects(register({ clinet: 'x' }), { ...wrong, message: /no option "clinet"/ })
  await t.rejects(register({ middleMan: client, client: 'x' }), { ...wrong, message: /leave out the other options/ })

  const app = Fastify()
  app.addHook('onRequest', async (request) => {
    await request.middleMan('web_worker').echo!()
  })
  app.get('/', async () => 'ok')
  await app.register(offstage, { client: supervisor.address })
  t.match(await app.inject('/'), { statusCode: 500, body: /register offstage before other hooks/ })
  await app.close()
})

t.test('in Express, the signal of the response cancels the call', async (t) => {
  const app = express()
  app.get('/hold/:name', async (request, response) => {
    response.json(await worker.hold({ arg: request.params.name, signal: signalOf(response) }))
  })
  app.get('/echo', async (_request, response) => {
    response.send(await worker.echo({ arg: 'answered', signal: signalOf(response) }))
  })
  app.use(((_error, _request, response, _next) => response.destroy()) as express.ErrorRequestHandler)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await leave(t, url, 'express')
  t.equal(await (await fetch(`${url}/echo`)).text(), 'answered')
})
