import t from 'tap'
import { Overloaded } from '#offstage/errors.js'
import { parseAddresses } from '#offstage/middleman/addresses.js'
import { placeKey } from '#offstage/middleman/place.js'
import { Verb } from '#offstage/wire/envelope.js'
import { Rendezvous } from '#offstage/wire/rendezvous.js'
import { echo, type Script } from './scripted-server.js'
import { connect, received, start, stop, until } from './servers.js'

const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)

/** Keeps the keys of its jobs, as a queue does. */
const queue = (): Script => {
  const jobs = new Set<string>()
  return (call) => {
    if (call.verb === Verb.ENQUEUE) {
      call.result({ id: jobs.size, created: !jobs.has(call.jobKey) })
      jobs.add(call.jobKey)
    } else if (call.verb === Verb.DEQUEUE) call.result(jobs.delete(call.jobKey))
    else echo(call)
  }
}

t.test('a place is the same everywhere: the formula gives what docs/CLUSTER.md says', (t) => {
  const servers = parseAddresses('10.0.0.1:11006,10.0.0.2:11006,10.0.0.3:11006').map((address) => ({ address }))
  const places = new Rendezvous(servers, ({ address }) => address.text)
  const at = (jobKey: string) => places.find(placeKey('billing_worker', '', jobKey), () => true)?.address.text
  t.same(
    ['invoice-1', 'invoice-2', 'invoice-3', 'invoice-4', 'Grüße'].map(at),
    ['2', '1', '1', '3', '1'].map((n) => `10.0.0.${n}:11006`),
  )
  t.equal(
    places.find('any', () => false),
    undefined,
  )
  t.end()
})

t.test('keys are spread evenly, and when a server leaves only its own keys move', (t) => {
  const servers = [1, 2, 3, 4].map((i) => ({ address: parseAddresses(`10.0.0.${i}:11006`)[0]! }))
  const places = new Rendezvous(servers, ({ address }) => address.text)
  const counts = new Map(servers.map((server) => [server, 0]))
  const evenly = 10_000 / servers.length
  for (let i = 0; i < 10_000; i++) {
    const key = placeKey('w', '', `job ${i}`)
    const at = places.find(key, () => true)!
    counts.set(at, counts.get(at)! + 1)
    if (at === servers[0]) continue
    if (places.find(key, (server) => server !== servers[0]) !== at) t.fail(`${key} moved`)
  }
  for (const count of counts.values()) t.ok(Math.abs(count - evenly) < evenly / 10, String(count))
  t.end()
})

t.test('each job key has a server of its own, and every client knows which', async (t) => {
  const servers = await start(t, 4, queue)
  const [one, two] = [await connect(t, servers), await connect(t, servers.toReversed())]
  const places = new Map<string, string>()
  for (const jobKey of keys) {
    const { server, created } = (await one.worker('w').enqX!({ jobKey })) as { server: string; created: boolean }
    t.ok(created)
    places.set(jobKey, server)
  }
  t.equal(new Set(places.values()).size, 4, 'all of them have some')
  for (const jobKey of keys) {
    t.match(await two.worker('w').enqX!({ jobKey }), { created: false, server: places.get(jobKey) })
  }
  const [address] = servers.map((server) => server.address)
  t.match(await one.worker('w').enqX!({ jobKey: 'named', host: address }), { server: address }, 'unless host names one')
  for (const server of servers) server.received.length = 0
  for (const jobKey of keys) t.equal(await two.worker('w').deqX!({ jobKey }), true)
  t.equal(servers.flatMap(received).length, keys.length, 'removing asks that server alone')
})

t.test(
  'when a server goes its keys move, when it is back they return, and what is elsewhere can still be removed',
  async (t) => {
    const servers = await start(t, 3, queue)
    const middleMan = await connect(t, servers)
    const worker = middleMan.worker('w')
    const enqueue = async () => {
      const places = new Map<string, string>()
      for (const jobKey of keys) places.set(jobKey, ((await worker.enqX!({ jobKey })) as { server: string }).server)
      return places
    }
    const before = await enqueue()
    const [gone] = servers
    const { port, address } = gone!
    await stop(middleMan, gone!)
    const meanwhile = await enqueue()
    for (const key of keys) {
      if (before.get(key) === address) t.not(meanwhile.get(key), address, 'moved')
      else t.equal(meanwhile.get(key), before.get(key), 'stayed')
    }
    await gone!.listen(port)
    await until(middleMan, (up) => up.includes(address))
    t.same(await enqueue(), before)
    const [twice] = keys.filter((key) => before.get(key) === address)
    t.equal(await worker.deqX!({ jobKey: twice! }), true, 'at its place')
    t.equal(await worker.deqX!({ jobKey: twice! }), true, 'and where it was put meanwhile')
    t.equal(await worker.deqX!({ jobKey: twice! }), false)
    t.equal(await worker.deqX!({ jobKey: twice!, host: address }), false)
  },
)

t.test('enqueueMany sends each job to its place, and answers in order', async (t) => {
  const servers = await start(t, 3, queue)
  const middleMan = await connect(t, servers)
  const jobs = keys.map((jobKey, arg) => ({ worker: 'w', method: 'm', jobKey, arg }))
  const answers = await middleMan.enqueueMany(jobs)
  const held = new Map(
    servers.flatMap((server) =>
      received(server).flatMap(({ arg }) =>
        (arg as { jobKey: string }[]).map(({ jobKey }, i) => [jobKey, { id: i + 1, server: server.address }] as const),
      ),
    ),
  )
  t.equal(held.size, keys.length)
  t.match(
    answers,
    keys.map((key) => held.get(key)),
  )
  t.match(
    await Promise.all(keys.map((jobKey) => middleMan.worker('w').enqM!({ jobKey }))),
    answers.map(({ server }) => ({ server })),
    'one at a time they go to the same',
  )
})

t.test('an enqueue whose server goes before it answers is put elsewhere, unless it may start once only', async (t) => {
  const servers = await start(t, 2, () => () => {})
  for (const server of servers) server.script = (call) => (call.verb === Verb.ALL_WORKER_INFO ? echo(call) : undefined)
  const middleMan = await connect(t, servers)
  const worker = middleMan.worker('w')
  const pending = keys.map((jobKey) => worker.enqX!({ jobKey }))
  const once = t.rejects(worker.enqX!({ jobKey: 'once', host: servers[0]!.address, atMostOnce: true }), {
    name: 'OutcomeUnknown',
    executed: 'maybe',
  })
  const many = middleMan.enqueueMany(keys.map((jobKey) => ({ worker: 'w', method: 'm', jobKey })))
  await servers[0]!.until(() => received(servers[0]!).some(({ verb }) => verb === Verb.ENQUEUE_MANY))
  await servers[1]!.until(() => received(servers[1]!).some(({ verb }) => verb === Verb.ENQUEUE_MANY))
  servers[1]!.script = echo
  for (const call of received(servers[1]!)) echo(call)
  await servers[0]!.stopListening()
  const { address } = servers[1]!
  t.match(
    await Promise.all(pending),
    keys.map(() => ({ server: address })),
  )
  t.match(
    await many,
    keys.map(() => ({ server: address })),
  )
  await once
})

t.test(
  'a job is looked for by its key where that belongs, then on the others; its handle knows where it is',
  async (t) => {
    const there = new Set<number>()
    let deaf = -1
    const jobs =
      (i: number): Script =>
      (call) => {
        if (call.verb === Verb.JOB && deaf === i) call.fail(new Overloaded('busy'))
        else if (call.verb === Verb.JOB) call.result(there.has(i) ? { ...STATUS, id: 100 + i } : null)
        else if (call.verb === Verb.JOB_RESULT) call.result(`result of ${call.job}`)
        else echo(call)
      }
    const servers = await start(t, 3, jobs)
    const middleMan = await connect(t, servers)
    const { server: home } = (await middleMan.worker('w').enqM!({ jobKey: 'k' })) as { server: string }
    const at = servers.findIndex(({ address }) => address === home)
    const job = middleMan.job({ worker: 'w', jobKey: 'k' })
    for (const i of [at, (at + 1) % 3]) {
      there.clear()
      there.add(i)
      for (const server of servers) server.received.length = 0
      t.match(await job.status(), { state: 'active', id: 100 + i, server: servers[i]!.address })
      t.equal(received(servers[(at + 2) % 3]!).length, i === at ? 0 : 1, 'others are asked only when it is not there')
      t.equal(await job.result(), `result of ${100 + i}`)
      t.equal(received(servers[i]!).at(-1)!.verb, Verb.JOB_RESULT)
    }
    there.clear()
    t.same(await job.status(), { state: 'unknown' })
    deaf = (at + 1) % 3
    await t.rejects(job.status(), { name: 'PartialFailure' }, 'where it may be is not known')
    await t.rejects(job.cancel(), { name: 'PartialFailure' })
    t.throws(() => middleMan.job(7), { name: 'InvalidArgument', message: /any of several servers/ })
    t.equal(await middleMan.job(7, { server: servers[2]!.address }).result(), 'result of 7')
  },
)

const STATUS = {
  ...{ worker: 'w', workerKey: '', method: 'm', jobKey: 'k', state: 'active', priority: 0, runAt: 1, enqueuedAt: 1 },
  ...{ attempts: 1, maxAttempts: 5, version: '1' },
}
