/**
 * `salvage`: everything that can still be read of a damaged journal, as a new journal; and a list of what is lost. Never
 * changes the damaged one.
 */
import { StoreError } from '../../../errors.js'
import type { QueueName } from '../../store.js'
import { type CheckResult, checkJournal } from './check.js'
import { ExitCode } from './exit-code.js'
import { JobSource } from './job-source.js'
import { beginFolder, giveUp, type LockFolder } from './new-folder.js'
import { type LostJob, type SalvagedJob, SalvageJobs } from './salvage-jobs.js'
import { type Loss, SalvageReader, type TornEnd } from './salvage-read.js'
import { writeSalvaged } from './salvage-write.js'
import { cannotCreate, cannotWrite, damaged } from './tool-error.js'
import type { ToolFs } from './tool-fs.js'
import { findUuid } from './uuid.js'
import { type JournalView, openView } from './view.js'

export interface SalvageOptions {
  readonly system: ToolFs
  readonly from: string
  /** Must not exist, or be empty. */
  readonly to: string
  readonly clock: () => number
  readonly lock: LockFolder
  /** The process that has the journal, if any. */
  readonly user: number | undefined
}

export interface NamedJob extends QueueName {
  readonly id: number
  readonly method: string
  readonly jobKey: string
}

export interface SalvageReport {
  /** The new journal. */
  readonly check: CheckResult
  readonly losses: readonly Loss[]
  /** Jobs of which no whole record is left, as far as anything is known of them. */
  readonly lostJobs: readonly LostJob[]
  /** Records that are lost may say that these have ended: they will run, maybe again. */
  readonly mayRunAgain: readonly NamedJob[]
  /** Enqueued with `atMostOnce`, and maybe started: kept as dead. */
  readonly keptAsDead: readonly NamedJob[]
  /** They ended, since a later job has their key; how they ended is lost: kept as dead. */
  readonly endedSomehow: readonly NamedJob[]
  readonly torn: TornEnd | undefined
}

/** Throws `StoreError` with exit code 65 (nothing can be read), 66, 73, 74 or 75. */
export function salvageJournal(options: SalvageOptions): SalvageReport {
  const { system, from, to, user } = options
  if (user !== undefined) {
    throw new StoreError('STORE_LOCKED', `process ${user} uses the journal in ${from}: stop it first`, {
      exitCode: ExitCode.inUse,
    })
  }
  if (to === from || to.startsWith(`${from}/`)) throw cannotCreate(to, `it is inside of ${from}: give another place`)
  const view = openView(system, from)
  try {
    const uuid = view.manifest?.uuid ?? findUuid(system, view.segments)
    if (uuid === undefined) {
      const consequence =
        'nothing can be told from other bytes: neither a manifest nor the header of a segment is whole. Restore a backup'
      throw damaged(from, consequence, [])
    }
    return salvageView(options, view, uuid)
  } finally {
    view.close()
  }
}

function salvageView(options: SalvageOptions, view: JournalView, uuid: Uint8Array): SalvageReport {
  const { system, to, clock, lock } = options
  const { jobs, source, nextSeq, ...found } = findJobs(system, view, uuid)
  const target = beginFolder(system, to, lock)
  try {
    writeSalvaged({ system, folder: target.path, clock, nextSeq }, jobs, source)
    // The check needs as much memory again.
    jobs.length = 0
    const check = checkJournal({ system, folder: target.path, clock, user: undefined })
    if (check.damaged) throw damaged(target.path, 'the disk does not keep what was written', check.findings)
    target.finish()
    return { check: { ...check, folder: to }, ...found }
  } catch (error) {
    giveUp(target, error)
    throw error instanceof StoreError ? error : cannotWrite(to, error)
  }
}

interface Found extends Omit<SalvageReport, 'check'> {
  readonly jobs: SalvagedJob[]
  readonly source: JobSource
  readonly nextSeq: number
}

function findJobs(system: ToolFs, view: JournalView, uuid: Uint8Array): Found {
  const losses: Loss[] = []
  const known = new SalvageJobs()
  const reader = new SalvageReader(system, view, uuid, {
    record: (seq, head, body, index) => known.apply(seq, head, body, index),
    loss: (loss) => losses.push(loss),
    damaged: (job) => known.damaged(job),
    unexplained: (before) => known.lose(before),
  })
  const { nextSeq, torn } = reader.read()
  const jobs = known.end()
  const source = new JobSource(system, reader.segments)
  const named = (fate: SalvagedJob['fate']) => jobs.filter((job) => job.fate === fate).map((job) => name(source, job))
  return {
    jobs,
    source,
    nextSeq: Math.max(nextSeq, (jobs.at(-1)?.id ?? 0) + 1),
    losses,
    lostJobs: known.lost(),
    mayRunAgain: named('doubtful'),
    keptAsDead: named('unknown'),
    endedSomehow: named('ended'),
    torn,
  }
}

function name(source: JobSource, job: SalvagedJob): NamedJob {
  const { worker, workerKey, method, jobKey } = source.read(job)
  return { id: job.id, worker, workerKey, method, jobKey }
}
