/**
 * Checks sealed segments in the background, from front to back, and writes their indexes: those that were there at the
 * start once, so that damage is found before a job needs what is damaged; each new one when it is sealed.
 */
import { Worker } from 'node:worker_threads'
import type { JournalFs } from './file-system.js'
import type { IndexReport, IndexThreadData } from './index-thread.js'
import type { JournalLog } from './log.js'
import type { SegmentFile } from './segment.js'
import { indexSegment } from './segment-index.js'

export interface Indexer {
  /** This segment takes no more batches. */
  sealed(file: SegmentFile): void
  stop(): Promise<void>
}

export interface IndexerOptions {
  readonly folder: string
  readonly uuid: Uint8Array
  readonly log: JournalLog
  /** How long a segment waits, in ms: a start, or a burst of work, has the machine for itself. */
  readonly afterMs: number
}

export function threadIndexer({ folder, uuid, log, afterMs }: IndexerOptions): Indexer {
  let waiting: SegmentFile[] = []
  let worker: Worker | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const run = () => {
    const workerData: IndexThreadData = { folder, uuid, files: waiting }
    waiting = []
    const url = new URL('./index-thread.js', import.meta.url)
    worker = new Worker(url, { name: 'offstage-index', workerData, execArgv: [] })
    worker.unref()
    worker.on('message', (report: IndexReport) => tell(log, folder, report))
    worker.on('error', (error) => log.warn({ reason: error.message }, 'the index of the journal could not be written'))
    worker.once('exit', () => {
      worker = undefined
      schedule()
    })
  }
  const schedule = () => {
    if (stopped || waiting.length === 0 || worker !== undefined || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      run()
    }, afterMs).unref()
  }
  return {
    sealed(file) {
      waiting.push(file)
      schedule()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await worker?.terminate()
    },
  }
}

/** At once and in this thread, for a file system that a test brings. */
export function inlineIndexer(system: JournalFs, { folder, uuid, log }: IndexerOptions): Indexer {
  return {
    sealed(file) {
      tell(log, folder, { file: file.name, problem: indexSegment(system, folder, uuid, file) })
    },
    async stop() {},
  }
}

export const noIndexer: Indexer = { sealed() {}, async stop() {} }

function tell(log: JournalLog, folder: string, { file, problem }: IndexReport): void {
  if (problem === undefined) return
  log.error(
    { file: `${folder}/${file}`, offset: problem.offset, reason: problem.problem },
    'the journal is damaged: run `offstage journal fsck`, and restore a backup; jobs that can be read still run',
  )
}
