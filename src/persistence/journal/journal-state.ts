/** What the main thread holds of a journal: the jobs as columns, and where the rest of them is. */
import { crc32 } from 'node:zlib'
import { JobColumns } from '../queue/job-columns.js'
import { QueueState } from '../queue/queue-state.js'
import { JournalBodies } from './bodies.js'
import type { JournalFs } from './file-system.js'
import type { JournalLog } from './log.js'
import { SegmentReader } from './segment-reader.js'
import { SegmentTable } from './segment-table.js'

export interface JournalState {
  readonly queue: QueueState
  readonly bodies: JournalBodies
  readonly segments: SegmentTable
  readonly reader: SegmentReader
}

export interface JournalStateOptions {
  readonly system: JournalFs
  readonly folder: string
  readonly log: JournalLog
  /** For the cache of records. */
  readonly cacheBytes: number
}

export function journalState({ system, folder, log, cacheBytes }: JournalStateOptions, uuid: Uint8Array): JournalState {
  const jobs = new JobColumns()
  const segments = new SegmentTable()
  const reader = new SegmentReader(system, folder, uuid, segments)
  const onDamage = (file: string, offset: number, what: string) =>
    log.error({ file, offset, reason: what }, 'a job cannot be read back from the journal: it is kept as dead')
  const bodies = new JournalBodies({ jobs, reader, segments, cacheBytes, onDamage })
  // The uuid never leaves the server, so a seed that is made of it is as good as a secret one.
  return { queue: new QueueState(jobs, bodies, crc32(uuid)), bodies, segments, reader }
}
