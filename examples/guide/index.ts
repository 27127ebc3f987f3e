/**
 * The client guide of BackgrounDRb, snippet by snippet: README.md shows the Ruby beside this. Run it with
 * `npm run example:guide`.
 */
import { MiddleMan } from 'offstage/middleman'
import { poll } from '../poll.js'
import { findServer } from '../server.js'
import type FooWorker from './workers/foo_worker.js'
import type HelloWorker from './workers/hello_worker.js'
import type SocketWorker from './workers/socket_worker.js'

const server = await findServer(new URL('workers/', import.meta.url))
const middleMan = await MiddleMan.connect({ client: server.address })
const data = 'Ada'

heading('Invoke a task asynchronously on a worker')
const worker = middleMan.worker<FooWorker>('foo_worker')
show('async_some_task', await worker.async_some_task({ arg: data }))

heading('Invoke a task and wait for its result')
const result = await worker.some_task({ arg: data })
show('some_task', result)

heading('Retrieve cached worker results')
const cache_key = 'ada-1'
await worker.async_some_task({ arg: data, jobKey: cache_key })
show('askResult', await poll('the cached result', () => worker.askResult(cache_key)))
await worker.resetResult(cache_key)
show('askResult after resetResult', await worker.askResult(cache_key))

heading('Enqueue a task to the persistent job queue')
const hello = middleMan.worker<HelloWorker>('hello_worker')
const boy = await middleMan<HelloWorker>('hello_worker').enq_some_task({ arg: 'hello_world', jobKey: 'boy' })
show('enq_some_task', { created: boy.created })
show('askResult', await poll('the job', () => hello.askResult('boy')))
await hello.resetResult('boy')
const inAnHour = new Date(Date.now() + 3_600_000)
const girl = { arg: 'hello_world', jobKey: 'girl', scheduledAt: inAnHour }
show('enq_some_task in an hour', { created: (await hello.enq_some_task(girl)).created })
show('the same key again', { created: (await hello.enq_some_task(girl)).created })
show('deq_some_task', await hello.deq_some_task({ jobKey: 'girl' }))

heading('Start a new worker')
const used_job_key = await middleMan.newWorker({ worker: 'foo_worker', workerKey: 'my_secret_job_key' })
show('newWorker', used_job_key)
const secret = middleMan.worker<FooWorker>('foo_worker', used_job_key)
show('some_task on it', await secret.some_task({ arg: data }))

heading('Worker info')
const { worker: name, workerKey, status } = await secret.workerInfo()
show('workerInfo', { worker: name, workerKey, status })
await secret.delete()
for (const [address, infos] of Object.entries(await middleMan.allWorkerInfo())) {
  // The server of `npm start` has the workers of the other examples too.
  const own = infos?.filter((info) => /^(foo|hello|log)_worker$/.test(info.worker)) ?? []
  for (const { worker, workerKey, status } of own) show(address, { worker, workerKey, status })
}

heading('Clustering')
const sessionUser = 'user-7'
show('on all servers', await hello.async_some_task({ arg: data, jobKey: sessionUser, host: 'all' }))
show('on the configured server', await hello.async_some_task({ arg: data, jobKey: sessionUser, host: 'local' }))
show('on this server', await hello.async_some_task({ arg: data, jobKey: sessionUser, host: server.address }))

// Two servers, one of which is down.
const cluster = await MiddleMan.connect({ client: `${server.address},127.0.0.1:1` })
const infos = await cluster.allWorkerInfo()
show(server.address, infos[server.address] === null ? null : 'up')
show('127.0.0.1:1', infos['127.0.0.1:1'])
await cluster.close()

heading('TCP inside a worker')
const sockets = middleMan.worker<SocketWorker>('socket_worker')
await sockets.talk()
show('what came back', await poll('the answer', () => sockets.askResult('heard')))
show('connections', await sockets.count())
await sockets.resetResult('heard')

await middleMan.close()
await server.stop()

function heading(title: string): void {
  console.log(`\n${title}`)
}

function show(what: string, value: unknown): void {
  console.log(`  ${what}: ${JSON.stringify(value)}`)
}
