import { getEventListeners } from 'node:events'
import t from 'tap'
import * as errors from '#offstage/errors.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { echo, type Script, ScriptedServer } from './scripted-server.js'

async function connected(t: { teardown(fn: () => unknown): void }, script: Script = echo, timeout?: number) {
  const server = await ScriptedServer.start(script)
  const middleMan = await MiddleMan.connect({ client: server.address, ...(timeout === undefined ? {} : { timeout }) })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await server.stopListening()
  })
  return { server, middleMan, worker: middleMan.worker('foo_worker') }
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

t.test('a call that is not answered in time rejects at its deadline, and the server is told', async (t) => {
  const { server, worker } = await connected(t, () => {})
  const began = performance.now()
  await t.rejects(worker.slow!({ timeout: 60 }), {
    name: 'DeadlineExceeded',
    code: 'DEADLINE_EXCEEDED',
    executed: 'maybe',
    message: 'no answer of foo_worker.slow within 60 ms',
  })
  const took = performance.now() - began
  t.ok(took >= 58 && took < 1000, `${took} ms`)
  await server.until(() => server.cancels.length === 1)
  t.same(server.cancels, [1])
  t.equal(server.received[0]!.timeout, 60, 'the time that was left travelled with the call')
})

t.test('an answer that comes after the deadline is ignored', async (t) => {
  const { server, worker } = await connected(t, () => {})
  await t.rejects(worker.slow!({ timeout: 10 }), { name: 'DeadlineExceeded' })
  const [slow] = await server.calls(1)
  slow!.result('late')
  slow!.fail(new errors.Cancelled('late as well'))
  server.script = echo
  t.equal(await worker.next!({ arg: 'fine' }), 'fine')
})

t.test('the timeout of the connection holds for calls without one of their own', async (t) => {
  const { server, worker } = await connected(t, () => {}, 40)
  await t.rejects(worker.slow!(), { message: /within 40 ms/ })
  await t.rejects(worker.askResult('k'), { message: 'no answer of foo_worker.askResult within 40 ms' })
  const own = worker.slow!({ timeout: 10_000 })
  const calls = await server.calls(3)
  t.equal(calls[2]!.timeout, 10_000)
  calls[2]!.result(1)
  t.equal(await own, 1)
})

t.test('an aborted call rejects with Cancelled and its reason, and the server is told', async (t) => {
  const { server, worker } = await connected(t, () => {})
  const controller = new AbortController()
  const call = worker.slow!({ signal: controller.signal })
  await server.calls(1)
  const reason = new Error('the user left')
  controller.abort(reason)
  await t.rejects(call, { name: 'Cancelled', code: 'CANCELLED', executed: 'maybe', cause: reason })
  await server.until(() => server.cancels.length === 1)
  t.same(server.cancels, [1])
})

t.test('a signal that is aborted already means that nothing is sent', async (t) => {
  const { server, worker } = await connected(t)
  await t.rejects(worker.x!({ signal: AbortSignal.abort() }), { name: 'Cancelled', executed: 'no' })
  await worker.y!()
  t.same(
    server.received.map(({ method }) => method),
    ['y'],
  )
})

t.test('calls that ended leave no timers and no listeners behind', async (t) => {
  const { server, worker } = await connected(t)
  const controller = new AbortController()
  const before = timers()
  const options = { signal: controller.signal, timeout: 60_000 }
  await Promise.all(Array.from({ length: 50 }, () => worker.x!(options)))
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  server.script = (call) => call.fail(new errors.Overloaded('full'))
  await Promise.allSettled(Array.from({ length: 50 }, () => worker.x!(options)))
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  server.script = () => {}
  const open = Array.from({ length: 50 }, () => worker.x!(options))
  t.equal(getEventListeners(controller.signal, 'abort').length, 50)
  t.equal(timers(), before + 1, 'one timer for all deadlines of one length')
  controller.abort()
  for (const outcome of await Promise.allSettled(open)) t.equal(outcome.status, 'rejected')
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  t.equal(timers(), before)
})

t.test('a deadline in the outbox counts from the call, and an abort before it left is honest', async (t) => {
  const { server, worker } = await connected(t)
  const controller = new AbortController()
  const call = worker.x!({ signal: controller.signal })
  controller.abort()
  await t.rejects(call, { name: 'Cancelled', executed: 'maybe' })
  await server.until(() => server.cancels.length === 1)
  t.equal(server.received.length, 1, 'it was in the outbox, so it went, and the CANCEL behind it')
})

t.test('deadlines of many lengths expire in their order, each at its time', async (t) => {
  const { worker } = await connected(t, (call) => {
    if (call.arg === 'answer') call.result(1)
  })
  const began = performance.now()
  const ended: number[] = []
  const wait = async (timeout: number) => {
    await t.rejects(worker.x!({ timeout }), { name: 'DeadlineExceeded' })
    const took = performance.now() - began
    if (took < timeout - 1) t.fail(`${timeout} ms ended after ${took}`)
    ended.push(timeout)
  }
  const list = [90, 30, 60, 30, 90, 150, 60]
  const waits = list.map(wait)
  for (const timeout of list) await worker.x!({ timeout, arg: 'answer' })
  await Promise.all(waits)
  t.same(
    ended,
    [...list].sort((a, b) => a - b),
  )
  await t.rejects(worker.x!({ timeout: 30 }), { name: 'DeadlineExceeded' }, 'a length may be used again')
})
