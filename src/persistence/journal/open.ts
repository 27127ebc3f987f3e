/** Opens a journal: folder, lock, recovery, writer. */
import fs from 'node:fs'
import path from 'node:path'
import { type Backoff, DEFAULT_BACKOFF } from '../backoff.js'
import { toJobCounts } from '../queue/job-queue.js'
import { KEEP_NOTHING, type KeepLimits } from '../queue/kept-jobs.js'
import { Queue } from '../queue/queue.js'
import type { JobStore } from '../store.js'
import { errorCode, type JournalFs, realFs } from './file-system.js'
import { type Indexer, inlineIndexer, noIndexer, threadIndexer } from './indexer.js'
import { inlineLink, threadLink } from './link.js'
import { lockFolder, refuseNetworkFileSystem } from './lock.js'
import type { JournalLog } from './log.js'
import { recover } from './recovery.js'
import { JournalStore } from './store.js'

const SEGMENT_BYTES = 64 * 1024 * 1024
/** After so long without work an empty batch proves the last one. */
const IDLE_MS = 1000
/** Room for some 50,000 jobs to run and end while the disk is full. */
const RESERVE_BYTES = 8 * 1024 * 1024
/** After so long sealed segments are checked and indexed. */
const INDEX_AFTER_MS = 5000
const CACHE_BYTES = 32 * 1024 * 1024

export interface JournalOptions {
  /** The folder; made when it is missing. */
  readonly dir: string
  readonly log?: JournalLog
  /** Wall-clock ms since 1970. */
  readonly clock?: () => number
  /** In [0, 1). */
  readonly random?: () => number
  readonly backoff?: Partial<Backoff>
  /** Which results of finished jobs are kept. Default: none. `bytes` counts their records. */
  readonly keep?: KeepLimits
  readonly segmentBytes?: number
  readonly idleMs?: number
  /** Room that is kept so that jobs can end while the disk is full (default 8 MiB); 0 for none. */
  readonly reserveBytes?: number
  /** How long after a start, or after its end, a sealed segment is checked and indexed, in ms; Infinity: never. */
  readonly indexAfterMs?: number
  /** Memory for jobs that were written or read last (default 32 MiB). */
  readonly cacheBytes?: number
  /** Open the journal even on a network file system, where neither locks nor syncs can be relied on. */
  readonly allowNetworkFs?: boolean
  /** Another file system, for tests: without a lock, written to from this thread, and indexed (at once) only when `indexAfterMs` is given. */
  readonly system?: JournalFs
}

/** Rejects with `StoreError`: STORE_LOCKED, JOURNAL_CORRUPT; or with the error of the file system. */
export async function openJournal(options: JournalOptions): Promise<JobStore> {
  const { dir, system = realFs, clock = Date.now, segmentBytes = SEGMENT_BYTES } = options
  const inline = options.system !== undefined
  const folder = inline ? dir : path.resolve(dir)
  const log = options.log ?? silent
  if (system.list(folder) === undefined) makeFolder(system, folder)
  syncNames(system, folder)
  if (!inline && options.allowNetworkFs !== true) refuseNetworkFileSystem(folder)
  const unlock = inline ? () => {} : lockFolder(folder)
  try {
    const started = performance.now()
    const { end, state } = recover({ system, folder, log, clock, cacheBytes: options.cacheBytes ?? CACHE_BYTES })
    log.info(
      { folder, jobs: toJobCounts(state.queue.total), ms: Math.round(performance.now() - started) },
      'journal opened',
    )
    const backoff = { ...DEFAULT_BACKOFF, ...options.backoff }
    const { idleMs = IDLE_MS, reserveBytes = RESERVE_BYTES } = options
    const linkOptions = { folder, segmentBytes, idleMs, reserveBytes, clock, system }
    const indexer = openIndexer({ ...options, folder }, end.manifest.uuid, log)
    for (const file of end.older) indexer.sealed(file)
    return new JournalStore({
      folder,
      indexer,
      log,
      state,
      queue: new Queue(state.queue, {
        backoff,
        random: options.random ?? Math.random,
        keep: options.keep ?? KEEP_NOTHING,
      }),
      clock,
      nextSeq: end.nextSeq,
      unlock,
      link: (report) => (inline ? inlineLink(linkOptions, end, report) : threadLink(linkOptions, end, report)),
    })
  } catch (error) {
    unlock()
    throw error
  }
}

function openIndexer(
  { folder, system, indexAfterMs }: JournalOptions & { folder: string },
  uuid: Uint8Array,
  log: JournalLog,
): Indexer {
  const afterMs = indexAfterMs ?? (system === undefined ? INDEX_AFTER_MS : Number.POSITIVE_INFINITY)
  if (afterMs === Number.POSITIVE_INFINITY) return noIndexer
  const options = { folder, uuid, log, afterMs }
  return system === undefined ? threadIndexer(options) : inlineIndexer(system, options)
}

function makeFolder(system: JournalFs, folder: string): void {
  if (system === realFs) fs.mkdirSync(path.dirname(folder), { recursive: true })
  system.makeFolder(folder)
}

/**
 * Makes the names in the folder durable, and its own, and those above it. Every time: whoever made or changed them may
 * have been killed before this, and a power cut would then take back what everything after it relies on.
 */
function syncNames(system: JournalFs, folder: string): void {
  system.syncFolder(folder)
  for (
    let child = folder, parent = path.dirname(child);
    parent !== child;
    child = parent, parent = path.dirname(child)
  ) {
    try {
      system.syncFolder(parent)
    } catch (error) {
      // What we may not even read, we have not made.
      if (!['EACCES', 'EPERM'].includes(errorCode(error))) throw error
    }
  }
}

const silent: JournalLog = { info() {}, warn() {}, error() {} }
