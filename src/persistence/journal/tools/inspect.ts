/** `inspect`: the records of a journal, in their order, up to the end or the first damage. */
import type { JournalFs } from '../file-system.js'
import type { Finding } from './finding.js'
import { isOutdated, openView } from './view.js'
import { JournalWalk, type WalkedRecord } from './walk.js'

export interface InspectOptions {
  readonly system: JournalFs
  readonly folder: string
  readonly user: number | undefined
  readonly filter: RecordFilter
}

/** Conditions that all have to hold. */
interface RecordFilter {
  /** Records with this sequence number or a higher one. */
  readonly fromSeq?: number | undefined
  readonly job?: number | undefined
  /** Records of jobs with this job key, of whatever worker. */
  readonly key?: string | undefined
  /** ENQ, CLAIM …; undefined: all. */
  readonly types?: readonly string[] | undefined
}

export interface InspectResult {
  readonly findings: readonly Finding[]
  /** The journal was changed meanwhile in a way that can look like damage: look again. */
  readonly outdated: boolean
}

/** Throws as `checkJournal` does. */
export function inspectJournal(
  { system, folder, user, filter }: InspectOptions,
  onRecord: (record: WalkedRecord) => void,
): InspectResult {
  const view = openView(system, folder)
  try {
    const wanted = matcher(filter)
    const walk = new JournalWalk(view, {
      system,
      user,
      onRecord: (record) => {
        if (record.sound && wanted(record)) onRecord(record)
        return undefined
      },
    })
    walk.run()
    return { findings: walk.findings, outdated: walk.damaged && isOutdated(system, view) }
  } finally {
    view.close()
  }
}

function matcher({ fromSeq = 0, job, key, types }: RecordFilter): (record: WalkedRecord) => boolean {
  /** Only ENQ and FULL have the key; the other records of a job have its id. */
  const ids = new Set<number>()
  return ({ seq, head, body }) => {
    if (key !== undefined && (body.type === 'ENQ' || body.type === 'FULL') && body.job.jobKey === key) {
      ids.add(head.jobId)
    }
    return (
      (seq === undefined ? fromSeq === 0 : seq >= fromSeq) &&
      (job === undefined || head.jobId === job) &&
      (key === undefined || ids.has(head.jobId)) &&
      (types === undefined || types.includes(body.type))
    )
  }
}
