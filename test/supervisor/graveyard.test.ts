import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { MemoryStore } from '#offstage/persistence/memory/store.js'
import type { JobStore } from '#offstage/persistence/store.js'
import { Graveyard } from '#offstage/supervisor/graveyard.js'
import { newJob } from '../contract/job-store.js'
import { Server } from '../support/server.js'

async function bury(store: JobStore, count: number): Promise<void> {
  await store.enqueue(
    Array.from({ length: count }, (_, i) => newJob(`${i}`, { maxAttempts: 1, worker: 'echo_worker' })),
  )
  const jobs = await store.claim({ worker: 'echo_worker', workerKey: '' }, count)
  await Promise.all(jobs.map((job) => store.fail(job, { name: 'Error', message: 'no' })))
}

t.test('thousands of dead jobs go at once, those that died first before the others', async (t) => {
  const store = new MemoryStore()
  await bury(store, 2_500)
  const told: string[] = []
  const log = { info: (_: object, msg?: string) => told.push(String(msg)), error: () => t.fail() }
  const graveyard = new Graveyard({ store, log: log as never, keep: 0, entries: 30 })
  graveyard.start()
  while (told.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await graveyard.stop()
  t.same(told, ['2470 dead jobs were discarded: they are not kept for longer'])
  t.same(
    (await store.inspect({ state: 'dead' })).map(({ jobKey }) => jobKey),
    Array.from({ length: 30 }, (_, i) => `${2_470 + i}`),
  )
})

t.test('a store that refuses is asked again later, and the log says why', async (t) => {
  const errors: string[] = []
  const log = { info: () => t.fail(), error: (_: object, msg: string) => errors.push(msg) }
  const store = { discardDead: () => Promise.reject(new Error('full')) }
  const graveyard = new Graveyard({ store, log: log as never, keep: 5, entries: 1 })
  graveyard.start()
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await graveyard.stop()
  t.same(errors, ['dead jobs could not be discarded; it is tried again in a minute'])
})

t.test('a server forgets dead jobs by the settings, when it starts', async (t) => {
  const folder = t.testdir()
  const data = join(folder, 'data')
  const store = await openJournal({ dir: data, clock: () => Date.now() - 60_000 })
  await bury(store, 3)
  await store.close()
  const before = await Server.start({ data, env: { OFFSTAGE_DEAD_JOBS_KEEP: '3600' } })
  const middleMan = await MiddleMan.connect({ client: before.address })
  t.equal((await middleMan.jobs({ state: 'dead' })).length, 3)
  await middleMan.close()
  await before.stop()
  const server = await Server.start({ data, env: { OFFSTAGE_DEAD_JOBS_KEEP: '30' } })
  t.teardown(() => server.kill())
  t.match(await server.line(({ msg }) => msg.includes('were discarded')), { discarded: 3 })
})
