/** Journals with every kind of record, for the tests of the tools. */
import { type CheckResult, checkJournal } from '#offstage/persistence/journal/tools/check.js'
import { newJob } from '../../../contract/job-store.js'
import type { FakeFs } from '../fake-fs.js'
import { DIR, FAILURE, killedJournal, openFake, QUEUE } from '../journals.js'

export const SMALL = 2048

/** Several segments, with jobs in every state; as a killed process leaves it. */
export async function busyJournal(): Promise<FakeFs> {
  const system = await killedJournal([])
  const store = await openFake(system, { segmentBytes: SMALL })
  const jobs = ['failed', 'dead', 'finished', 'released', 'active'].map((key) =>
    newJob(key, { payload: Buffer.from('argument'), maxAttempts: key === 'dead' ? 1 : 5, priority: 1 }),
  )
  await store.enqueue(jobs)
  await store.enqueue([newJob('removed'), newJob('later', { runAt: 1_900_000_000_000 })])
  const [failed, dead, finished, released] = await store.claim(QUEUE, 5)
  await Promise.all([store.fail(failed!, FAILURE), store.fail(dead!, FAILURE)])
  await Promise.all([store.finish([finished!]), store.release(released!), store.remove(QUEUE, 'removed')])
  for (let i = 0; i < 20; i++) await store.enqueue([newJob(`filling ${i}`, { payload: Buffer.alloc(40, i) })])
  return system.copy()
}

/** The same, closed. */
export async function closedJournal(): Promise<FakeFs> {
  const system = await busyJournal()
  await (await openFake(system, { segmentBytes: SMALL })).close()
  return system.copy()
}

export function check(system: FakeFs, user?: number, folder = DIR): CheckResult {
  return checkJournal({ system, folder, clock: () => 1_750_000_100_000, user })
}

/** A look at everything, to see whether anything was changed. */
export function contents(system: FakeFs): Map<string, string> {
  return new Map([...system.files].map(([path, { bytes }]) => [path, bytes.toString('latin1')]))
}
