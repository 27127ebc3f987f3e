/** `backup` and `restore`: a copy of a journal that is known to be whole, or none. */
import { StoreError } from '../../../errors.js'
import { type CheckResult, checkJournal } from './check.js'
import { type CopyCounts, copyJournal, NewestSegment } from './copy.js'
import { beginFolder, giveUp, type LockFolder } from './new-folder.js'
import { cannotCreate, cannotWrite, damaged } from './tool-error.js'
import type { ToolFs } from './tool-fs.js'
import { isOutdated, type JournalView, openView } from './view.js'

export interface BackupOptions {
  readonly system: ToolFs
  readonly from: string
  /** Must not exist, or be empty. */
  readonly to: string
  readonly clock: () => number
  readonly lock: LockFolder
}

export interface BackupResult extends CopyCounts {
  /** What the copy holds. */
  readonly check: CheckResult
}

/** The two manifests are read one after the other: a supervisor that writes both meanwhile leaves us an old one. */
const LOOKS = 50

/**
 * Copies a journal that may be in use, without its supervisor's help. Segments are linked where that is possible.
 * Throws `StoreError` with exit code 65, 66, 73, 74 or 75; then nothing is left that could pass for a backup.
 */
export function backupJournal(options: BackupOptions): BackupResult {
  return copyInto(options, { link: true, consequence: 'no backup of it was made' })
}

/** Copies a backup to where a supervisor is to use it; never links, so that the backup stays what it is. */
export function restoreJournal(options: BackupOptions): BackupResult {
  const { system, from, clock } = options
  const consequence = 'it was not restored: take an older backup'
  const { damaged: isDamaged, findings } = checkJournal({ system, folder: from, clock, user: undefined })
  if (isDamaged) throw damaged(from, consequence, findings)
  return copyInto(options, { link: false, consequence })
}

interface CopyWay {
  readonly link: boolean
  readonly consequence: string
}

function copyInto(options: BackupOptions, way: CopyWay): BackupResult {
  const { system, from, to } = options
  if (to === from || to.startsWith(`${from}/`)) throw cannotCreate(to, `it is inside of ${from}: give another place`)
  const { view, newest } = openSound(system, from, way)
  try {
    return copyView(options, view, newest, way)
  } finally {
    view.close()
  }
}

/** A view in which nothing is missing, and its newest segment, which ends as the manifest says. */
function openSound(system: ToolFs, from: string, { consequence }: CopyWay) {
  for (let look = 1; ; look++) {
    const view = openView(system, from)
    try {
      const { manifest, missing, segments } = view
      if (manifest === undefined || missing.length > 0) throw damaged(from, consequence, [])
      const last = segments.at(-1)
      const newest = last && new NewestSegment(system, view, last, manifest.uuid)
      if (newest === undefined || newest.damage.length === 0) return { view, newest }
      if (look === LOOKS || !isOutdated(system, view)) throw damaged(from, consequence, newest.damage)
      view.close()
    } catch (error) {
      view.close()
      throw error
    }
  }
}

function copyView(
  { system, from, to, clock, lock }: BackupOptions,
  view: JournalView,
  newest: NewestSegment | undefined,
  { link, consequence }: CopyWay,
): BackupResult {
  const target = beginFolder(system, to, lock)
  try {
    const counts = copyJournal(system, view, newest, target.path, link)
    const check = checkJournal({ system, folder: target.path, clock, user: undefined })
    if (check.damaged) throw damaged(from, consequence, atSource(check, target.path, from))
    target.finish()
    return { ...counts, check: { ...check, folder: to } }
  } catch (error) {
    giveUp(target, error)
    throw error instanceof StoreError ? error : cannotWrite(to, error)
  }
}

/** The copy has the bytes of the source at the same places. */
function atSource({ findings }: CheckResult, copy: string, source: string) {
  return findings.map((each) => ({ ...each, file: each.file.replace(copy, source) }))
}
