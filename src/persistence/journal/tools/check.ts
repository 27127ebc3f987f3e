/** `fsck`: is the journal whole, and what is in it? Without the lock, and without changing anything. */
import type { JournalFs } from '../file-system.js'
import type { Finding } from './finding.js'
import { Ledger } from './ledger.js'
import { isOutdated, type JournalView, openView } from './view.js'
import { JournalWalk } from './walk.js'

export interface CheckOptions {
  readonly system: JournalFs
  readonly folder: string
  /** Wall-clock ms since 1970: tells due jobs from scheduled ones. */
  readonly clock: () => number
  /** The process that has the journal, if any; only words depend on it. */
  readonly user: number | undefined
}

export interface CheckResult {
  readonly folder: string
  readonly damaged: boolean
  readonly findings: readonly Finding[]
  readonly user: number | undefined
  /** Closed cleanly by its supervisor. */
  readonly clean: boolean
  readonly segments: number
  readonly batches: number
  /** When the last batch was written, ms since 1970; undefined when there is none. */
  readonly lastTime: number | undefined
  readonly records: number
  readonly bytes: number
  /** Bytes of the records that hold the jobs which are left. */
  readonly liveBytes: number
  readonly jobs: { readonly scheduled: number; readonly ready: number; readonly active: number; readonly dead: number }
}

/** With every look a supervisor may have dropped or begun a segment; damage is only what stays. */
const LOOKS = 3

/** Throws `StoreError` with exit code 66 when there is no journal, 74 when the disk cannot read it. */
export function checkJournal(options: CheckOptions): CheckResult {
  for (let look = 1; ; look++) {
    const view = openView(options.system, options.folder)
    try {
      const result = checkView(options, view)
      if (!result.damaged || look === LOOKS || !isOutdated(options.system, view)) return result
    } finally {
      view.close()
    }
  }
}

function checkView({ system, folder, clock, user }: CheckOptions, view: JournalView): CheckResult {
  const ledger = new Ledger()
  const walk = new JournalWalk(view, {
    system,
    user,
    onRecord: ({ head, body, sound }) => {
      const problem = ledger.apply(head, body)
      // With records missing, a key is easily held by a job whose end is lost.
      return sound ? problem : undefined
    },
  })
  walk.run()
  const { liveBytes, ...jobs } = ledger.totals(clock())
  return {
    folder,
    damaged: walk.damaged,
    findings: walk.findings,
    user,
    clean: view.manifest?.clean ?? false,
    segments: view.segments.length,
    batches: walk.batches,
    lastTime: walk.lastTime,
    records: walk.records,
    bytes: walk.bytes,
    liveBytes,
    jobs,
  }
}
