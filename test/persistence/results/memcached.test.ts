/** Cached results in a real memcached. What clients and workers see of it is in supervisor/memcache.test.ts. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { memcachedKey } from '#offstage/persistence/results/memcached/key.js'
import { readMemcache } from '#offstage/persistence/results/memcached/options.js'
import { LARGEST_VALUE, MemcachedResults } from '#offstage/persistence/results/memcached/results.js'
import { resultStorageContract } from '../../contract/result-storage.js'
import { freePort, Memcached, NEEDS_MEMCACHED } from '../../support/memcached.js'

const one = Uint8Array.of(1)
/** Milliseconds that a request may take, by docs/RESULTS.md, and a slow machine besides. */
const BOUNDED = 20_000

function resultsOf(t: Test, memcached: readonly { address: string }[], now?: () => number): MemcachedResults {
  const servers = memcached.map(({ address }) => address).join(',')
  const results = new MemcachedResults(readMemcache(servers, 'memcache'), now)
  t.teardown(() => results.close())
  return results
}

async function start(t: Test, count: number): Promise<Memcached[]> {
  return Promise.all(Array.from({ length: count }, () => Memcached.start(t)))
}

/** Which of the servers has each of these keys of worker `w`, by asking them. */
async function owners(servers: readonly Memcached[], keys: readonly string[]): Promise<Map<string, Memcached>> {
  const found = new Map<string, Memcached>()
  for (const server of servers) {
    for (const key of keys) {
      if ((await server.ask(`get ${memcachedKey('offstage', 'w', '', key)}`)).startsWith('VALUE'))
        found.set(key, server)
    }
  }
  return found
}

t.test('contract', NEEDS_MEMCACHED, (t) =>
  resultStorageContract(t, async (t) => {
    const [server] = (await start(t, 1)) as [Memcached]
    const pass = async (ms: number) => {
      // By its clock, which is the one that counts: two seconds more is the most that it may be late.
      const until = (await server.now()) + ms / 1_000 + 2
      while ((await server.now()) <= until) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return { storage: resultsOf(t, [server]), largest: LARGEST_VALUE, pass }
  }),
)

t.test('the layout of keys is what docs/RESULTS.md says', async (t) => {
  t.equal(memcachedKey('offstage', 'billing_worker', '', 'order-7'), 'offstage:billing_worker::order-7')
  t.equal(memcachedKey('shop', 'w', 'a:b%', 'c:d%'), 'shop:w:a%3Ab%25:c:d%')
  t.equal(memcachedKey('offstage', 'w', '', 'Grüße'), 'offstage:w::Grüße')
  t.equal(
    memcachedKey('offstage', 'billing_worker', '', 'order 7'),
    'offstage#do8rPQRwdBfVmK7fNN6nB0nb0jKdaaJM6qMs9UFbzqQ',
  )
  const room = 250 - 'offstage:w::'.length
  t.equal(memcachedKey('offstage', 'w', '', 'x'.repeat(room)).length, 250)
  t.match(memcachedKey('offstage', 'w', '', 'x'.repeat(room + 1)), /^offstage#[\w-]{43}$/)
  t.match(memcachedKey('offstage', 'w', '', `${'x'.repeat(room - 1)}ü`), /^offstage#/, 'bytes count')
  for (const bad of ['a b', 'a\nb', '\0', '\x7f', '\t']) t.match(memcachedKey('o', 'w', '', bad), /^o#/)
})

t.test('servers are read in every form, and what is wrong is named', async (t) => {
  const texts = (value: unknown) => readMemcache(value, 'memcache').servers.map(({ text }) => text)
  t.same(texts('10.0.0.1:11212, cache.example.com,10.0.0.1:11212'), ['10.0.0.1:11212', 'cache.example.com:11211'])
  t.same(texts({ servers: '[::1]:5,[fe80::1]' }), ['[::1]:5', '[fe80::1]:11211'])
  t.equal(readMemcache({ servers: 'a', namespace: 'shop.2' }, 'memcache').namespace, 'shop.2')
  for (const [value, message] of [
    ['', /memcache has "", which is no address of a memcached: write host:port/],
    ['a:0', /memcache has "a:0"/],
    ['a:1,,b:1', /memcache has ""/],
    ['user:password@a:1', /no address/],
    [{ servers: 'a b' }, /memcache.servers has "a b"/],
    [{}, /memcache.servers has to be text/],
    [{ servers: 'a', server: 'b' }, /memcache.server is not a known key/],
    [{ servers: 'a', namespace: 'a b' }, /memcache.namespace has to be/],
    [['a'], /memcache has to be text such as/],
    [5, /memcache has to be text such as/],
    [null, /memcache has to be text such as/],
  ] as const) {
    t.throws(() => readMemcache(value, 'memcache'), { name: 'InvalidArgument', message }, JSON.stringify(value))
  }
})

t.test('a time to live over 30 days is told as a time, and one under it as seconds', NEEDS_MEMCACHED, async (t) => {
  const servers = await start(t, 1)
  const [server] = servers as [Memcached]
  const day = 86_400
  const left = async (key: string) => Number(/ t(-?\d+)/.exec(await server.ask(`mg offstage:w::${key} t`, /\r\n$/))![1])
  const results = resultsOf(t, servers)
  for (const days of [1, 29, 30, 31, 3_650]) {
    await results.set('w', '', 'k', one, days * day * 1_000)
    const seconds = await left('k')
    t.ok(Math.abs(seconds - days * day) < 60, `${days} days are ${seconds} s`)
  }
  await results.set('w', '', 'k', one, 0)
  t.equal(await left('k'), -1)
})

t.test('keys are spread over several servers, whatever their order, and all are found', NEEDS_MEMCACHED, async (t) => {
  const servers = await start(t, 3)
  const keys = Array.from({ length: 90 }, (_, i) => `k${i}`)
  const writer = resultsOf(t, servers)
  await Promise.all(keys.map((key, i) => writer.set('w', '', key, Uint8Array.of(i), 0)))
  const places = await owners(servers, keys)
  t.equal(places.size, keys.length)
  for (const server of servers) {
    const share = keys.filter((key) => places.get(key) === server).length
    t.ok(share > 10, `${server.address} has ${share}`)
  }
  const reader = resultsOf(t, servers.toReversed())
  const values = await Promise.all(keys.map((key) => reader.get('w', '', key)))
  t.same(
    values.map((value) => value?.[0]),
    keys.map((_, i) => i),
  )
  t.equal(await servers[0]!.connections(), 2, 'one connection each of the two')

  const fewer = resultsOf(t, servers.slice(0, 2))
  const stayed = keys.filter((key) => places.get(key) !== servers[2])
  for (const key of stayed) t.ok(await fewer.get('w', '', key), `${key} has not moved`)
})

t.test(
  'one of several is killed under traffic: only its keys fail, at once, and all work when it is back',
  NEEDS_MEMCACHED,
  async (t) => {
    const servers = await start(t, 3)
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`)
    const results = resultsOf(t, servers)
    for (const key of keys) await results.set('w', '', key, one, 0)
    const places = await owners(servers, keys)
    const victim = servers[1]!
    const mine = keys.filter((key) => places.get(key) === victim)
    const others = keys.filter((key) => places.get(key) !== victim)

    const failed = new Set<string>()
    let over = false
    const traffic = keys.map(async (key) => {
      while (!over) {
        try {
          await results.set('w', '', key, one, 0)
          t.ok(await results.get('w', '', key))
        } catch (error) {
          t.match(error, {
            name: 'ResultStorageError',
            code: 'RESULT_STORAGE_DOWN',
            retryable: true,
            details: { server: victim.address },
            message: new RegExp(`result "${key}": the memcached ${victim.address} cannot be used: `),
          })
          failed.add(key)
          // Not a storm while it is down.
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      }
    })
    await victim.kill()
    while (failed.size < mine.length) await new Promise((resolve) => setTimeout(resolve, 10))
    t.same([...failed].sort(), mine.sort(), 'the others have not noticed')
    for (const key of others) t.ok(await results.get('w', '', key))

    await victim.run()
    over = true
    await Promise.all(traffic)
    for (const key of mine) await results.set('w', '', key, one, 0)
    for (const key of keys) t.ok(await results.get('w', '', key))
  },
)

t.test('a restart while nobody asks is not noticed', NEEDS_MEMCACHED, async (t) => {
  const servers = await start(t, 1)
  const results = resultsOf(t, servers)
  for (let i = 0; i < 3; i++) {
    await results.set('w', '', 'k', one, 0)
    await servers[0]!.kill()
    await servers[0]!.run()
    t.equal(await results.get('w', '', 'k'), undefined)
  }
})

t.test(
  'one that hangs is an error after the limit, and works when it goes on',
  { ...NEEDS_MEMCACHED, timeout: 60_000 },
  async (t) => {
    const servers = await start(t, 1)
    const [server] = servers as [Memcached]
    const results = resultsOf(t, servers)
    await results.set('w', '', 'k', one, 0)
    server.pause()
    const begun = performance.now()
    const down = { code: 'RESULT_STORAGE_DOWN', message: /has not answered within 2000 ms/ }
    await Promise.all([
      t.rejects(results.get('w', '', 'k'), down),
      t.rejects(results.set('w', '', 'k', one, 0), down),
      t.rejects(results.delete('w', '', 'k'), down),
    ])
    await t.rejects(results.get('w', '', 'k'), down, 'a new connection that is not answered, either')
    t.ok(performance.now() - begun < BOUNDED)
    server.resume()
    await results.set('w', '', 'k', one, 0)
    t.same([...(await results.get('w', '', 'k'))!], [1])
  },
)

t.test('a wrong address is a clear error', async (t) => {
  const nobody = `127.0.0.1:${await freePort()}`
  await t.rejects(resultsOf(t, [{ address: nobody }]).get('w', '', 'k'), {
    name: 'ResultStorageError',
    code: 'RESULT_STORAGE_DOWN',
    message: `getting the result "k": the memcached ${nobody} cannot be used: connect ECONNREFUSED ${nobody}`,
  })
  const unknown = resultsOf(t, [{ address: 'memcached.invalid:11211' }])
  await t.rejects(unknown.set('w', '', 'k', one, 0), { code: 'RESULT_STORAGE_DOWN', message: /memcached.invalid/ })
})

t.test('a connection that is found to be closed by what is sent on it is made again', NEEDS_MEMCACHED, async (t) => {
  const memcached = await Memcached.start(t)
  let connections = 0
  // As a firewall that has forgotten a connection: it says so when something comes.
  const server = createServer((socket) => {
    connections++
    const to = connect(memcached.port, '127.0.0.1')
    for (const end of [socket, to]) end.on('error', () => undefined)
    t.teardown(() => to.destroy())
    to.pipe(socket)
    socket.once('data', (request) => {
      to.write(request)
      socket.on('data', () => socket.resetAndDestroy())
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const results = resultsOf(t, [{ address: `127.0.0.1:${port}` }])
  await results.set('w', '', 'k', one, 0)
  t.same([...(await results.get('w', '', 'k'))!], [1])
  await results.delete('w', '', 'k')
  t.equal(connections, 3)
})

t.test('something else that listens there, or cuts an answer short, is an error each time', async (t) => {
  let behave: (socket: Socket) => void = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    behave(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const results = resultsOf(t, [{ address: `127.0.0.1:${port}` }])
  await t.rejects(results.get('w', '', 'k'), { code: 'RESULT_STORAGE_DOWN', message: /has closed the connection/ })

  // The head of an answer that says 100 bytes follow, and 50 of them.
  const head = Buffer.alloc(24 + 50)
  head[0] = 0x81
  head.writeUInt32BE(100, 8)
  behave = (socket) => socket.once('data', () => socket.end(head))
  await t.rejects(results.get('w', '', 'k'), { code: 'RESULT_STORAGE_DOWN', message: /has closed the connection/ })

  if (NEEDS_MEMCACHED.skip !== false) return
  const memcached = await Memcached.start(t)
  behave = (socket) => {
    const to = connect(memcached.port, '127.0.0.1')
    to.on('error', () => socket.destroy())
    socket.pipe(to).pipe(socket)
  }
  await results.set('w', '', 'k', one, 0)
  t.same([...(await results.get('w', '', 'k'))!], [1], 'half an answer from before does not get into the next')
})

t.test('close lets what was asked have its answer, and leaves no connection', NEEDS_MEMCACHED, async (t) => {
  const servers = await start(t, 1)
  const results = resultsOf(t, servers)
  const setting = results.set('w', '', 'k', one, 0)
  const getting = results.get('w', '', 'absent')
  results.close()
  await setting
  t.equal(await getting, undefined)
  while ((await servers[0]!.connections()) > 0) await new Promise((resolve) => setImmediate(resolve))
})
