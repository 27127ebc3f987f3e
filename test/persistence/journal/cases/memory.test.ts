/** Case 24 of docs/RELIABILITY.md: memory. In a process of its own, where nobody else leaves something to collect. */
import { readdirSync, statSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../../../contract/job-store.js'
import { journalFolder } from '../folder.js'

const JOBS = 20_000
const AT_A_TIME = 1000

t.test('case 24: a queued job takes at most 100 bytes of memory, and its argument none', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const dir = journalFolder(t)
  const store = await openJournal({ dir, reserveBytes: 0, cacheBytes: 0 })
  t.teardown(() => store.close())
  const fill = async (from: number, to: number) => {
    for (let at = from; at < to; at += AT_A_TIME) {
      const payload = Buffer.alloc(500)
      await store.enqueue(
        Array.from({ length: AT_A_TIME }, (_, i) => newJob(`key ${at + i}`, { payload, runAt: 9e12 })),
      )
    }
  }
  await fill(0, JOBS)
  const before = used()
  // Tables double: from here on they have to grow by as much as there are jobs.
  await fill(JOBS, 8 * JOBS)
  const each = (used() - before) / (7 * JOBS)
  t.comment(`${each.toFixed(1)} bytes a job`)
  t.ok(each <= 100, `${each} bytes a job`)
  const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(`${dir}/${name}`).size, 0)
  t.ok(bytes > 8 * JOBS * 500, 'their arguments are on the disk')
})
