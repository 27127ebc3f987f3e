import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { Server } from '../support/server.js'
import type EchoWorker from '../support/workers/echo_worker.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

const server = await Server.start({ data: t.testdir() })
const middleMan = await MiddleMan.connect({ client: server.address })
const echo = middleMan.worker<EchoWorker>('echo_worker')
t.teardown(async () => {
  await middleMan.close()
  await server.stop()
})

t.test('a call waits for the result; the value comes through threads and sockets as it was', async (t) => {
  const value = { text: 'grüß', list: [1, 2.5, -3], when: new Date(0), map: new Map([[1, 'a']]), big: 2n ** 70n }
  t.strictSame(await echo.echo({ arg: value }), value)
  t.equal(await echo.echo({ arg: undefined }), undefined)
  t.strictSame(await echo.some_task({ args: 5, jobKey: 'boy' }), { arg: 5, jobKey: 'boy', workerKey: '' })
})

t.test('async resolves when the server has taken the call, without its value', async (t) => {
  t.equal(await echo.async_some_task({ arg: 1 }), undefined)
  t.equal(await echo.asyncEcho({ arg: 1 }), undefined)
})

t.test('what an asynchronous call throws is in the log', async (t) => {
  await echo.asyncFail({ arg: 'nobody waits' })
  const line = await server.line((entry) => entry.msg.includes('nobody waits'))
  t.match(line, { worker: 'echo_worker', method: 'fail', level: 50 })
})

t.test(
  'a method that throws or rejects is RemoteWorkerError with the remote error, and the worker goes on',
  async (t) => {
    await t.rejects(echo.fail({ arg: 'broken' }), {
      name: 'RemoteWorkerError',
      code: 'WORKER_ERROR',
      executed: 'yes',
      message: /broken/,
      remote: { name: 'RangeError', message: 'broken', code: 'E_TOLD', stack: /echo_worker/ },
    })
    await t.rejects(echo.reject({ arg: 'later' }), { code: 'WORKER_ERROR', remote: { message: 'later' } })
    await t.rejects(echo.unsendable(), { code: 'RESULT_NOT_ENCODABLE', message: /deep\.callback/ })
    t.equal(await echo.echo({ arg: 'on' }), 'on')
    t.match(await echo.workerInfo(), { status: 'running', restarts: 0 })
  },
)

t.test('what is no method for clients is refused by name and never run', async (t) => {
  const any = middleMan.worker('echo_worker')
  for (const name of [
    'constructor',
    'create',
    '_private',
    'inherited',
    'accessor',
    'toString',
    'nothing',
    '__proto__',
  ]) {
    const call = any[name] as typeof any.echo | undefined
    if (typeof call !== 'function') continue // the proxy itself does not offer it
    await t.rejects(Promise.resolve(call({})), { name: 'RemoteWorkerError', code: 'NO_METHOD', executed: 'no' }, name)
  }
  await t.rejects(any.enqNothing!({ jobKey: 'k' }), { code: 'NO_METHOD', message: /"nothing".*some_task/ })
  await t.rejects(any.asyncCreate!({}), { code: 'NO_METHOD' })
  t.equal(any.then, undefined, 'so that a proxy can be awaited')
  await t.rejects(middleMan.worker('nobody').anything!({}), { code: 'NO_WORKER', message: /"nobody".*echo_worker/ })
  await t.rejects(middleMan.worker('echo_worker', 'nokey').echo!({}), { code: 'NO_WORKER', message: /"nokey"/ })
})

t.test('results that the worker caches are there to ask for, also while it is busy, and can be reset', async (t) => {
  t.equal(await echo.askResult('missing'), null)
  await echo.remember({ arg: { key: 'k', value: { percent: 40 } } })
  t.strictSame(await echo.askResult('k'), { percent: 40 })
  await echo.resetResult('k', 'new')
  t.equal(await echo.askResult('k'), 'new')
  t.equal(await echo.recall({ arg: 'k' }), 'new', 'the worker sees it too')
  await echo.resetResult('k')
  t.equal(await echo.askResult('k'), null)
  t.equal(await echo.recall({ arg: 'k' }), null)
})

t.test('a deadline rejects at the caller and reaches the method as its signal', async (t) => {
  await t.rejects(echo.untilAborted({ timeout: 50 }), { code: 'DEADLINE_EXCEEDED' })
  t.equal(await echo.echo({ arg: 'after' }), 'after', 'the worker is free again')
  t.ok(await echo.askResult('aborted'))
})

t.test('an AbortSignal cancels the call and reaches the method', async (t) => {
  await echo.resetResult('aborted')
  await echo.resetResult('waiting')
  const controller = new AbortController()
  const call = echo.untilAborted({ signal: controller.signal })
  call.catch(() => {})
  while ((await echo.askResult('waiting')) === null);
  controller.abort()
  await t.rejects(call, { code: 'CANCELLED' })
  t.equal(await echo.echo({ arg: 'after' }), 'after')
  t.ok(await echo.askResult('aborted'))
})

t.test('newWorker starts an instance under a key with data for create; delete ends it', async (t) => {
  const key = await middleMan.newWorker({ worker: 'echo_worker', workerKey: 'one', data: { a: 1 } })
  t.equal(key, 'one')
  const one = middleMan.worker<EchoWorker>('echo_worker', 'one')
  t.strictSame(await one.created(), { a: 1 })
  t.match(await one.some_task({ arg: 1 }), { workerKey: 'one' })
  await one.remember({ arg: { key: 'k', value: 1 } })
  t.equal(await echo.askResult('k'), null, 'each instance has its own results')
  await t.rejects(middleMan.newWorker({ worker: 'echo_worker', workerKey: 'one' }), { code: 'WORKER_KEY_IN_USE' })
  t.match(await one.workerInfo(), { worker: 'echo_worker', workerKey: 'one', status: 'running' })
  await one.delete()
  await t.rejects(one.echo({ arg: 1 }), { code: 'NO_WORKER' })
  t.equal(await middleMan.newWorker({ worker: 'echo_worker', workerKey: 'one' }), 'one', 'the key is free again')
  t.equal(await one.askResult('k'), null)
  await one.delete()
})

t.test('newWorker whose create fails rejects with that error and leaves nothing behind', async (t) => {
  await t.rejects(middleMan.newWorker({ worker: 'echo_worker', workerKey: 'bad', data: 'fail' }), {
    code: 'CREATE_FAILED',
    message: /create was told to fail/,
  })
  await t.rejects(middleMan.worker('echo_worker', 'bad').echo!({}), { code: 'NO_WORKER' })
  await t.rejects(middleMan.newWorker({ worker: 'nobody', workerKey: 'x' }), { code: 'NO_WORKER' })
})

t.test('the instance without a key can be deleted, and started again without one', async (t) => {
  await t.rejects(middleMan.newWorker({ worker: 'recording_worker' }), {
    code: 'WORKER_KEY_IN_USE',
    message: /without a key/,
  })
  const recording = middleMan.worker<RecordingWorker>('recording_worker')
  await recording.delete()
  await t.rejects(recording.record({ arg: 1 }), { code: 'NO_WORKER' })
  t.equal(await middleMan.newWorker({ worker: 'recording_worker' }), '')
  t.equal(await recording.record({ arg: 1 }), undefined)
})

t.test('two newWorker under one key at the same time: one wins', async (t) => {
  const both = await Promise.allSettled(
    [1, 2].map(() => middleMan.newWorker({ worker: 'echo_worker', workerKey: 'same' })),
  )
  t.strictSame(both.map((outcome) => outcome.status).sort(), ['fulfilled', 'rejected'])
  await middleMan.worker('echo_worker', 'same').delete()
})

t.test('allWorkerInfo has the workers of each server', async (t) => {
  const all = await middleMan.allWorkerInfo()
  t.strictSame(Object.keys(all), [server.address])
  const infos = all[server.address]!
  t.ok(infos.find((info) => info.worker === 'echo_worker' && info.workerKey === '' && info.status === 'running'))
})

t.test(
  '10,000 calls of 1 kB at 256 in flight over one connection are all answered, and memory goes back',
  async (t) => {
    const arg = 'x'.repeat(1_000)
    const round = async (calls: number) => {
      let next = 0
      let answered = 0
      const lane = async () => {
        while (next < calls) {
          const mine = `${next++}:${arg}`
          if ((await echo.echo({ arg: mine })) === mine) answered++
        }
      }
      await Promise.all(Array.from({ length: 256 }, lane))
      return answered
    }
    t.equal(await round(10_000), 10_000)
    const memory = async () =>
      Number((await import('node:fs')).readFileSync(`/proc/${server.child.pid}/statm`, 'utf8').split(' ')[1]) * 4_096
    const before = await memory()
    for (let i = 0; i < 4; i++) t.equal(await round(10_000), 10_000)
    const growth = (await memory()) - before
    t.ok(growth < 64 * 1024 * 1024, `grew by ${growth} bytes over 40,000 more calls`)
  },
)

t.test(
  'an answer beyond the limit is an error of its call, and the others on the connection are answered',
  async (t) => {
    const half = 'x'.repeat(600_000)
    const others = [echo.echo({ arg: 1 }), echo.echo({ arg: 2 })]
    const tooLarge = {
      name: 'RemoteWorkerError',
      code: 'RESULT_TOO_LARGE',
      executed: 'yes',
      message: /at most 1048576/,
    }
    await t.rejects(echo.twice({ arg: half }), tooLarge as never)
    t.strictSame(await Promise.all(others), [1, 2])
    await echo.rememberTwice({ arg: half })
    await t.rejects(echo.askResult('twice'), { code: 'RESULT_TOO_LARGE' } as never)
    t.equal(await echo.echo({ arg: 3 }), 3)
  },
)
