/** Openings that the simulation has found to go wrong. */
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../contract/job-store.js'
import { Prng } from './prng.js'
import { SimulatedDisk } from './simulated-disk.js'

const DIR = '/data/deeper/journal'
const NEVER = 2_147_483_647

function open(system: SimulatedDisk) {
  return openJournal({ dir: DIR, clock: () => 1, random: () => 0.5, idleMs: NEVER, reserveBytes: 512, system })
}

function disk(seed: number): SimulatedDisk {
  const made = new SimulatedDisk(new Prng(seed))
  made.makeFolder('/data')
  made.makeFolder('/data/deeper')
  return made
}

t.test('a folder that was made by a process killed at once is durable when a job in it is acknowledged', async (t) => {
  for (let seed = 0; seed < 50; seed++) {
    const system = disk(seed)
    system.crashAt = { kind: 'makeFolder', after: 0, moment: 'after' }
    await t.rejects(open(system), { message: /crashed after .* makeFolder/ })
    system.restart('kill')
    const store = await open(system)
    await store.enqueue([newJob('k')])
    system.crash()
    await store.close().catch(() => {})
    system.restart('power')
    const again = await open(system)
    const jobs = await again.inspect({})
    await again.close()
    t.equal(jobs.length, 1, `seed ${seed}`)
  }
})

t.test('a new journal begins beside temporary files that an earlier beginning has left', async (t) => {
  const system = disk(1)
  await (await open(system)).close()
  for (const name of system.list(DIR)!) if (name.startsWith('MANIFEST')) system.remove(`${DIR}/${name}`)
  system.rename(`${DIR}/RESERVE`, `${DIR}/RESERVE.tmp`)
  const store = await open(system)
  t.same(await store.inspect({}), [])
  await store.close()
  t.notOk(system.list(DIR)!.includes('RESERVE.tmp'))
})

t.test(
  'a tail that was renamed by a process killed before it synced the folder is durable before the next job',
  async (t) => {
    for (let seed = 0; seed < 50; seed++) {
      const system = disk(seed)
      const closed = await open(system)
      await closed.enqueue([newJob('first')])
      await closed.close()
      // Killed before the manifest that takes the clean end away is synced, then after the rename of the tail.
      system.crashAt = { kind: 'sync', after: 0, moment: 'before' }
      await t.rejects(open(system))
      system.restart('kill')
      system.crashAt = { kind: 'rename', after: 0, moment: 'after' }
      await t.rejects(open(system))
      system.restart('kill')
      // That manifest is damaged: the clean one counts, so that the tail is not written anew.
      const [newest] = ['MANIFEST.a', 'MANIFEST.b']
        .map((name) => system.file(`${DIR}/${name}`))
        .sort((a, b) => Number(b.bytes.readBigUInt64LE(8) - a.bytes.readBigUInt64LE(8)))
      newest!.rot(30, 1)
      const store = await open(system)
      await store.enqueue([newJob('second')])
      system.crash()
      await store.close().catch(() => {})
      system.restart('power')
      const again = await open(system)
      const keys = (await again.inspect({})).map((job) => job.jobKey)
      await again.close()
      t.same(keys, ['first', 'second'], `seed ${seed}`)
    }
  },
)
