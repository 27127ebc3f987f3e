/** Reads, without a server, what a server that was stopped has left on the disk. */
import { openJournal } from '#offstage/persistence/journal/open.js'

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
