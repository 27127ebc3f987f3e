/** `offstage journal …` as a process of its own. */
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { JobStore } from '#offstage/persistence/store.js'
import { encodeValue } from '#offstage/wire/codec.js'
import { newJob } from '../contract/job-store.js'
import { command, type ToolResult } from './command.js'

export function journalTool(...args: string[]): Promise<ToolResult> {
  return command('journal', ...args)
}

/** The lines that `inspect` printed. */
export function recordsIn(out: string): Record<string, unknown>[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Jobs `first` to `last`, one batch each, with arguments that can be decoded. */
async function enqueueJobs(store: JobStore, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) {
    await store.enqueue([newJob(`job ${i}`, { payload: Buffer.from(encodeValue({ i })) })])
  }
}

/** A journal that was closed, with jobs 1 to `jobs`; small segments make several. */
export async function makeJournal(dir: string, jobs: number, segmentBytes = 4096): Promise<void> {
  const store = await openJournal({ dir, segmentBytes })
  await enqueueJobs(store, 1, jobs)
  await store.close()
}
