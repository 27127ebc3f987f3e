/** `result_storage: memcache`: real servers, real clients, and a real memcached, which comes and goes. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectOptions, MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Memcached, NEEDS_MEMCACHED } from '../support/memcached.js'
import { Server, type ServerOptions } from '../support/server.js'

const WORKER = `import { MetaWorker } from 'offstage'
export default class extends MetaWorker {
  keep([key, value, options]) { this.cache.set(key, value, options) }
  keepThere(given) { return this.threadPool.defer('keep', given) }
  forgetThere(key) { return this.threadPool.defer('forget', key) }
  forget(key) { return this.cache.delete(key) }
  get(key) { return this.cache.get(key) ?? null }
  tick(key) { this.addTimer(0, () => this.cache.set(key, 1)) }
  die() { process.exit(3) }
}
`

type Proxy = ReturnType<MiddleMan['worker']>

async function serve(t: Test, yaml: string, options: Partial<ServerOptions> = {}): Promise<Server> {
  const cwd = t.testdir({ workers: { 'a_worker.mjs': WORKER, 'b_worker.mjs': WORKER }, 'offstage.yml': yaml })
  const server = await Server.start({ data: 'data', workers: 'workers', cwd, ...options })
  t.teardown(() => server.kill())
  return server
}

async function connect(t: Test, server: Server, options: ConnectOptions = {}): Promise<MiddleMan> {
  const middleMan = await MiddleMan.connect({ client: server.address, ...options })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  return middleMan
}

async function setUp(t: Test, count: number) {
  const memcached = await Promise.all(Array.from({ length: count }, () => Memcached.start(t)))
  const servers = memcached.map(({ address }) => address).join(',')
  const server = await serve(t, `supervisor: { result_storage: memcache, retry_delay: 0.01 }\nmemcache: "${servers}"`)
  const middleMan = await connect(t, server, { memcache: servers })
  return { memcached, servers, server, middleMan, worker: middleMan.worker('a_worker') as Proxy }
}

t.test('workers write there, and clients read and write there', NEEDS_MEMCACHED, async (t) => {
  const { memcached, server, middleMan, worker } = await setUp(t, 1)
  t.equal(await worker.askResult('absent'), null)
  await worker.keep!({ arg: ['k', { at: new Date(5), big: 7n }] })
  t.same(await worker.askResult('k'), { at: new Date(5), big: 7n })
  t.match(await memcached[0]!.ask('get offstage:a_worker::k'), /^VALUE/)
  t.equal(await middleMan.worker('b_worker').askResult('k'), null)
  await worker.keepThere!({ arg: ['there', [1]] })
  t.same(await worker.askResult('there'), [1])
  t.equal(await worker.forget!({ arg: 'there' }), true)
  t.equal(await worker.askResult('there'), null)

  await worker.resetResult('k', 'by a client')
  t.equal(await worker.askResult('k'), 'by a client')
  t.same(await worker.get!({ arg: 'k' }), { at: new Date(5), big: 7n }, 'the worker knows what it has set itself')
  await worker.resetResult('k')
  t.equal(await worker.askResult('k'), null)
  await worker.resetResult('null', null)
  t.equal(await worker.askResult('null'), null)

  await server.stop()
  t.equal(await worker.askResult('absent'), null, 'also without a server')
  await worker.resetResult('alone', 1)
  t.equal(await worker.askResult('alone'), 1)
})

t.test('a client that knows of no memcached asks its server, which asks there', NEEDS_MEMCACHED, async (t) => {
  const { server, worker } = await setUp(t, 2)
  const other = (await connect(t, server)).worker('a_worker') as Proxy
  await worker.keep!({ arg: ['k', 1] })
  t.equal(await other.askResult('k'), 1)
  t.equal(await other.askResult('absent'), null)
  await other.resetResult('k', 2)
  t.equal(await worker.askResult('k'), 2)
  t.equal(await worker.get!({ arg: 'k' }), 2)
  await other.resetResult('k')
  t.equal(await worker.askResult('k'), null)
  await t.rejects(other.resetResult('k', 'x'.repeat(1_048_100)), { code: 'RESULT_STORAGE_TOO_LARGE' })
})

t.test('what a worker has cached survives its crash and the end of its server', NEEDS_MEMCACHED, async (t) => {
  const { server, worker } = await setUp(t, 1)
  await worker.keep!({ arg: ['k', 1] })
  await t.rejects(worker.die!(), { name: 'WorkerCrashed' })
  t.equal(await worker.get!({ arg: 'k' }), 1)
  await server.kill()
  t.equal(await worker.askResult('k'), 1)
})

t.test('a worker clears what an earlier server has kept, too', NEEDS_MEMCACHED, async (t) => {
  const { servers, server, worker } = await setUp(t, 1)
  for (const key of ['one', 'other']) await worker.keep!({ arg: [key, 1] })
  await server.kill()
  const yaml = `supervisor: { result_storage: memcache }\nmemcache: "${servers}"`
  const next = (await connect(t, await serve(t, yaml), { memcache: servers })).worker('a_worker') as Proxy
  t.equal(await next.forget!({ arg: 'one' }), false, 'this one has not known of it')
  t.equal(await next.forgetThere!({ arg: 'other' }), false)
  for (const key of ['one', 'other']) t.equal(await next.askResult(key), null)
})

t.test('close waits for what memcached has been asked', NEEDS_MEMCACHED, async (t) => {
  const { memcached, middleMan, worker } = await setUp(t, 1)
  await worker.keep!({ arg: ['k', 1] })
  const ended: string[] = []
  memcached[0]!.pause()
  const asked = t.rejects(worker.resetResult('k', 2), { code: 'RESULT_STORAGE_DOWN', executed: 'maybe' })
  const noted = asked.then(() => ended.push('call'))
  await middleMan.close({ timeout: 60_000 })
  ended.push('close')
  await noted
  t.same(ended, ['call', 'close'])
})

t.test('a time to live is the same for clients, in both units of memcached', NEEDS_MEMCACHED, async (t) => {
  const { memcached, worker } = await setUp(t, 1)
  await worker.keep!({ arg: ['short', 1, { ttl: 1_000 }] })
  await worker.keep!({ arg: ['long', 1, { ttl: 40 * 86_400_000 }] })
  await worker.keep!({ arg: ['for ever', 1] })
  const until = (await memcached[0]!.now()) + 3
  while ((await memcached[0]!.now()) <= until) await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(await worker.askResult('short'), null)
  t.equal(await worker.get!({ arg: 'short' }), null)
  t.equal(await worker.askResult('long'), 1)
  t.equal(await worker.askResult('for ever'), 1)
})

t.test(
  'a value that memcached would not take throws in the line that sets it, and for a client',
  NEEDS_MEMCACHED,
  async (t) => {
    const { worker } = await setUp(t, 1)
    const large = 'x'.repeat(1_048_000)
    await worker.keep!({ arg: ['k', large] })
    t.equal(await worker.askResult('k'), large)
    for (const method of ['keep', 'keepThere']) {
      // The argument itself has to fit into a frame.
      await t.rejects(worker[method]!({ arg: ['k', 'x'.repeat(1_048_100)] }), {
        code: 'WORKER_ERROR',
        message: /cache\["k"\] has 1048105 bytes, and at most 1048064 can be kept/,
      })
    }
    await t.rejects(worker.resetResult('k', 'x'.repeat(1_100_000)), {
      name: 'ResultStorageError',
      code: 'RESULT_STORAGE_TOO_LARGE',
      message: /the result "k" has 1100005 bytes, and memcached takes at most 1048064/,
    })
    t.equal(await worker.askResult('k'), large)
  },
)

t.test(
  'one of three is killed: an error for calls that need it, and nobody ends; then it is back',
  NEEDS_MEMCACHED,
  async (t) => {
    const { memcached, server, worker } = await setUp(t, 3)
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key) => worker.keep!({ arg: [key, key] })))
    const down = memcached[1]!
    const theirs = new Set<string>()
    for (const key of keys) if ((await down.ask(`get offstage:a_worker::${key}`)).startsWith('VALUE')) theirs.add(key)
    t.ok(theirs.size > 0 && theirs.size < keys.length)

    await down.kill()
    const error = {
      name: 'ResultStorageError',
      code: 'RESULT_STORAGE_DOWN',
      message: new RegExp(`memcached ${down.address}`),
    }
    await Promise.all(
      keys.map(async (key) => {
        if (!theirs.has(key)) {
          await worker.keep!({ arg: [key, `${key} again`] })
          t.equal(await worker.askResult(key), `${key} again`)
          return
        }
        await t.rejects(worker.keep!({ arg: [key, 1] }), { ...error, executed: 'yes' })
        await t.rejects(worker.keepThere!({ arg: [key, 1] }), { ...error, executed: 'yes' })
        await t.rejects(worker.askResult(key), error)
        await t.rejects(worker.resetResult(key, 1), error)
      }),
    )
    const [key] = [...theirs] as [string]
    await worker.tick!({ arg: key })
    await server.line(({ msg }) => msg.startsWith('what a_worker has cached is not kept'))
    t.match(await worker.workerInfo(), { status: 'running', restarts: 0 })

    // A queued job is tried again until there is something to keep its result.
    await worker.enqKeep!({ arg: [key, 'by a job'], jobKey: 'job', attempts: 100 })
    await server.line(({ msg }) => msg.includes('is tried again'))
    await down.run()
    while ((await worker.askResult(key)) !== 'by a job') await new Promise((resolve) => setTimeout(resolve, 10))
    for (const back of theirs) {
      await worker.keep!({ arg: [back, 2] })
      t.equal(await worker.askResult(back), 2)
    }
    t.match(await worker.workerInfo(), { status: 'running', restarts: 0 })
  },
)

t.test(
  'without any memcached everything else works, and it is used as soon as it is there',
  NEEDS_MEMCACHED,
  async (t) => {
    const memcached = await Memcached.start(t)
    await memcached.kill()
    const { address } = memcached
    const server = await serve(t, `supervisor: { result_storage: memcache }\nmemcache: "${address}"`)
    const worker = (await connect(t, server, { memcache: address })).worker('a_worker') as Proxy
    await t.rejects(worker.keep!({ arg: ['k', 1] }), { code: 'RESULT_STORAGE_DOWN', message: /ECONNREFUSED/ })
    await t.rejects(worker.askResult('k'), { code: 'RESULT_STORAGE_DOWN', message: /ECONNREFUSED/, executed: 'no' })
    t.equal(await worker.get!({ arg: 'x' }), null)
    await memcached.run()
    await worker.keep!({ arg: ['k', 2] })
    t.equal(await worker.askResult('k'), 2)
  },
)

t.test('what a client takes: timeout and signal, host, and nothing after close', NEEDS_MEMCACHED, async (t) => {
  const { memcached, server, middleMan, worker } = await setUp(t, 1)
  await worker.keep!({ arg: ['k', 1] })
  for (const host of ['all', 'local', server.address]) t.equal(await worker.askResult('k', { host }), 1)
  await t.rejects(worker.askResult('k', { host: 'nowhere:1' }), {
    name: 'InvalidArgument',
    message: /host is "nowhere:1"/,
  })
  await t.rejects(worker.askResult('k', { hast: 'all' } as never), { name: 'InvalidArgument' })
  await t.rejects(worker.askResult(''), { name: 'InvalidArgument', message: /the key of askResult/ })

  memcached[0]!.pause()
  await t.rejects(worker.askResult('k', { timeout: 50 }), { name: 'DeadlineExceeded', message: /within 50 ms/ })
  const controller = new AbortController()
  const asked = worker.askResult('k', { signal: controller.signal })
  controller.abort()
  await t.rejects(asked, { name: 'Cancelled' })
  await t.rejects(worker.askResult('k', { signal: controller.signal }), { name: 'Cancelled' })
  const common = middleMan.with({ timeout: 50 }).worker('a_worker') as Proxy
  await t.rejects(common.askResult('k'), { name: 'DeadlineExceeded' })
  memcached[0]!.resume()
  t.equal(await worker.askResult('k'), 1)

  await middleMan.close()
  await t.rejects(worker.askResult('k'), { code: 'CLOSED' })
})

t.test('what somebody else has put there is an error, and no value', NEEDS_MEMCACHED, async (t) => {
  const { memcached, server, worker } = await setUp(t, 1)
  const other = (await connect(t, server)).worker('a_worker') as Proxy
  await memcached[0]!.ask('set offstage:a_worker::k 0 0 7\r\n<html/>')
  for (const asking of [worker, other]) {
    await t.rejects(asking.askResult('k'), {
      name: 'ResultStorageError',
      code: 'RESULT_STORAGE_REFUSED',
      message: /namespace/,
    })
  }
})

t.test('one configuration file for both sides, with a namespace', NEEDS_MEMCACHED, async (t) => {
  const memcached = await Memcached.start(t)
  const yaml = (port: number) => `
:backgroundrb: { :ip: 127.0.0.1, :port: ${port}, :result_storage: memcache, :result_ttl: 1000, :result_bytes: 2000 }
:memcache: { servers: "\${CACHE:-${memcached.address}}", namespace: shop }
`
  const server = await serve(t, yaml(0))
  const file = join(t.testdirName, 'client.yml')
  writeFileSync(file, yaml(server.port))
  const clients = [MiddleMan.fromConfig(file), Promise.resolve(MiddleMan.lazy({ config: file }))]
  for (const client of clients) {
    const middleMan = await client
    t.teardown(() => middleMan.close({ timeout: 0 }))
    const worker = middleMan.worker('a_worker') as Proxy
    await worker.keep!({ arg: ['k', 1] })
    t.match(await memcached.ask('get shop:a_worker::k'), /^VALUE/)
    t.equal(await worker.askResult('k'), 1)
    await worker.resetResult('k', 2)
    t.match(await memcached.ask('mg shop:a_worker::k t', /\r\n$/), /^HD t(1000|1001)\r\n/)
  }
  const asking = (await connect(t, server)).worker('a_worker') as Proxy
  await t.rejects(asking.resetResult('k', 'x'.repeat(2_000)), { code: 'RESULT_STORAGE_TOO_LARGE' })
  t.equal(await asking.askResult('k'), 2, 'what the supervisor cannot keep does not get to memcached')
})

t.test('environment variables, for both sides', NEEDS_MEMCACHED, async (t) => {
  const memcached = await Memcached.start(t)
  const env = { OFFSTAGE_RESULT_STORAGE: 'memcache', OFFSTAGE_MEMCACHE: memcached.address }
  const server = await serve(t, '', { env })
  Object.assign(process.env, env)
  t.teardown(() => {
    for (const name of Object.keys(env)) delete process.env[name]
  })
  const worker = (await connect(t, server)).worker('a_worker') as Proxy
  await worker.keep!({ arg: ['k', 1] })
  await server.kill()
  t.equal(await worker.askResult('k'), 1, 'it is not the server who says so')
})

t.test('what is wrong is said before anything starts', async (t) => {
  const cwd = t.testdir({ workers: {} })
  const file = join(cwd, 'offstage.yml')
  for (const [yaml, message] of [
    ['supervisor: { result_storage: memcache }', /result_storage is "memcache", and nothing says where/],
    ['supervisor: { result_storage: memcache }\nmemcache:', /nothing says where/],
    ['memcache: "a b"', /offstage.yml: memcache has "a b", which is no address of a memcached/],
    [
      'memcache: { servers: a, name: b }',
      /offstage.yml: memcache.name is not a known key; allowed here: servers, namespace/,
    ],
    ['supervisor: { result_storage: redis }', /result_storage is "redis" \(string\); allowed: worker, memcache/],
    ['supervisor: { result_ttl: -1 }', /result_ttl is -1/],
  ] as const) {
    writeFileSync(file, yaml)
    const server = Server.spawn({ data: 'data', workers: 'workers', cwd })
    t.equal(await server.ended(), 78, yaml)
    t.match(server.errors, message)
  }
  for (const [yaml, message] of [
    ['supervisor: { result_storage: memcache }', /says that results are in memcached .* add a section memcache/],
    ['supervisor: { result_storage: memcache }\nmemcache: 5', /memcache has to be text/],
    [
      'supervisor: { result_storage: memcache, result_ttl: soon }\nmemcache: a',
      /result_ttl has to be a number of seconds/,
    ],
  ] as const) {
    writeFileSync(file, yaml)
    await t.rejects(MiddleMan.fromConfig(file), { message }, yaml)
  }
  await t.rejects(MiddleMan.connect({ memcache: 'a:b:c' }), {
    name: 'InvalidArgument',
    message: /memcache has "a:b:c"/,
  })
  await t.rejects(MiddleMan.connect({ memcache: 5 as never }), {
    name: 'InvalidArgument',
    message: /memcache has to be text/,
  })
})
