/** The journal of a data folder, without asking a server: fills it, and reads what is there. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { segmentFiles } from '#offstage/persistence/journal/segment.js'
import { indexName } from '#offstage/persistence/journal/segment-index.js'
import { trackProcess } from '../processes.js'

const FILL = fileURLToPath(new URL('../fill_journal.js', import.meta.url))

/** Leaves `folder` as a server does that was killed with so many jobs of `worker`, due `dueIn` ms from now. */
export async function fillJournal(folder: string, worker: string, jobs: number, dueIn = 0): Promise<void> {
  const child = trackProcess(fork(FILL, [folder, worker, String(jobs), String(dueIn)]))
  const exited = once(child, 'exit')
  const [message] = await Promise.race([once(child, 'message'), exited])
  if (message !== 'filled') throw new Error(`filling a journal ended with ${String(message)}`)
  child.kill('SIGKILL')
  await exited
}

/** Resolves when every sealed segment has its index: until then its server has a thread that makes them. */
export async function indexed(folder: string): Promise<void> {
  for (;;) {
    const names = readdirSync(folder)
    const sealed = segmentFiles(names).slice(0, -1)
    if (sealed.every(({ name }) => names.includes(indexName(name)))) return
    await sleep(100)
  }
}

/** Unfinished jobs in the journal of a data folder. */
export async function countJobs(folder: string): Promise<number> {
  const store = await openJournal({ dir: folder })
  const { scheduled, ready, active, dead } = store.counts()
  await store.close()
  return scheduled + ready + active + dead
}

export function expectOnDisk(who: string, acknowledged: number, found: number): void {
  if (found !== acknowledged) throw new Error(`${who} acknowledged ${acknowledged} jobs, ${found} are on disk`)
}
