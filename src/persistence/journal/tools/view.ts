/**
 * A journal's folder as it stood at one moment, for tools that read it without the lock, also while a supervisor
 * works on it.
 *
 * What a supervisor does meanwhile, and why it does no harm:
 * - It appends to the newest segment, and never changes a batch that is whole. A part that was read while it was
 *   written looks torn; `readSegment` looks again.
 * - It begins a segment: seals the old one, syncs it, renames the new one into place, writes the manifest. A
 *   folder is listed in no particular order, so that the listing may lack a segment that came meanwhile; then there
 *   is a gap, and it is listed again.
 * - It drops its oldest segments: first a durable manifest without them, then the unlink. Once a segment is open,
 *   its bytes stay. One that is gone before it was opened means that the manifest we read is old: all over again.
 * - It rewrites the newest segment when it starts after a crash, under another name that is renamed over the old
 *   one: the open descriptor still has the old file, with the same batches.
 *
 * So the segments of one view always hold a beginning of the journal's history that goes at least to the moment
 * at which the view was opened.
 */
import { StoreError } from '../../../errors.js'
import { errorCode, type JournalFs } from '../file-system.js'
import { type Manifest, readManifests } from '../manifest.js'
import { type SegmentFile, segmentFiles } from '../segment.js'
import { ExitCode } from './exit-code.js'

/** A segment with an open descriptor. */
export interface OpenSegment extends SegmentFile {
  readonly path: string
  readonly file: number
}

export interface JournalView {
  readonly folder: string
  readonly manifest: Manifest | undefined
  /** Manifests that exist and are not valid. */
  readonly damagedManifests: readonly string[]
  /** Those that count, by number; without a manifest, all. */
  readonly segments: readonly OpenSegment[]
  /** Numbers of segments that should be there. */
  readonly missing: readonly number[]
  close(): void
}

/** A supervisor that drops or begins a segment in every single one of so many looks is none of ours. */
const LOOKS = 50
/** A slot that is written while it is read looks damaged, but not again and again. */
const SLOT_LOOKS = 3

/** Throws `StoreError` with exit code 66 when there is no journal. */
export function openView(system: JournalFs, folder: string): JournalView {
  listFolder(system, folder)
  let last: JournalView | undefined
  try {
    for (let look = 0; look < LOOKS; look++) {
      const view = tryView(system, folder)
      if (view === undefined) continue
      if (view.missing.length === 0 || isSame(view, last)) {
        last?.close()
        last = undefined
        return view
      }
      last?.close()
      last = view
    }
  } finally {
    last?.close()
  }
  throw new StoreError('STORE_FAILED', `the journal in ${folder} changes faster than it can be read: try again`, {
    exitCode: ExitCode.inUse,
    retryable: true,
  })
}

/** Has the supervisor changed which segments there are since the view was opened? */
export function isOutdated(system: JournalFs, { folder, manifest }: JournalView): boolean {
  return readSlots(system, folder).newest?.epoch !== manifest?.epoch
}

/** Undefined when a segment vanished before it was opened. */
function tryView(system: JournalFs, folder: string): JournalView | undefined {
  const { newest, damaged } = readSlots(system, folder)
  const names = listFolder(system, folder)
  const files = segmentFiles(names).filter((file) => newest === undefined || file.segment >= newest.firstSegment)
  if (newest === undefined && damaged.length === 0 && files.length === 0)
    throw noJournal(folder, 'has no journal in it')
  const segments: OpenSegment[] = []
  const close = () => {
    for (const { file } of segments) system.close(file)
  }
  try {
    for (const file of files) {
      const path = `${folder}/${file.name}`
      segments.push({ ...file, path, file: system.open(path, 'read') })
    }
  } catch (error) {
    close()
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  return { folder, manifest: newest, damagedManifests: damaged, segments, missing: missing(newest, files), close }
}

function readSlots(system: JournalFs, folder: string) {
  let found = readManifests(system, folder)
  for (let look = 1; look < SLOT_LOOKS && found.damaged.length > 0; look++) found = readManifests(system, folder)
  return found
}

function listFolder(system: JournalFs, folder: string): string[] {
  let names: string[] | undefined
  try {
    names = system.list(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') throw noJournal(folder, 'is a file, not a folder')
    throw error
  }
  if (names === undefined) throw noJournal(folder, 'does not exist')
  return names
}

function missing(manifest: Manifest | undefined, files: readonly SegmentFile[]): number[] {
  const there = new Set(files.map((file) => file.segment))
  const first = manifest?.firstSegment ?? files[0]?.segment ?? 1
  const last = Math.max(manifest?.lastSegment ?? 0, files.at(-1)?.segment ?? 0)
  // A name can claim any number; nobody needs a list of millions.
  const gaps: number[] = []
  for (let segment = first; segment <= last && gaps.length < 1000; segment++)
    if (!there.has(segment)) gaps.push(segment)
  return gaps
}

function isSame(view: JournalView, before: JournalView | undefined): boolean {
  return before?.manifest?.epoch === view.manifest?.epoch && before?.missing.join() === view.missing.join()
}

function noJournal(folder: string, what: string): StoreError {
  return new StoreError(
    'NO_JOURNAL',
    `${folder} ${what}: give the folder that the supervisor was started with (--data, "data" by default)`,
    { exitCode: ExitCode.noInput, details: { folder } },
  )
}
