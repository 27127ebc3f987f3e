/**
 * Copies a journal, also while a supervisor works on it: the common part of backup and restore.
 *
 * The copy is always a beginning of the journal's history that holds everything which was acknowledged before the
 * copying began:
 * - The view (view.ts) has a manifest and an open descriptor of every segment from its firstSegment on. When that
 *   manifest was written, every job that was left had its records in these segments; and whatever was acknowledged
 *   before the view was opened is in these files, because a write is visible to readers before its sync returns.
 * - All but the newest were sealed and synced before the one behind them got its name, and never change again.
 *   They are linked, or copied from the descriptor. When compaction unlinks one meanwhile, the descriptor still has it.
 * - The newest is copied up to its last whole batch. If it was sealed meanwhile, the copy ends with it: segments that
 *   came later are later history. If the supervisor was started again meanwhile, which puts a new file in its place,
 *   the descriptor has the old one, with the same batches.
 * - The last batch may not be synced yet: nobody was told that it is stored, and it may be in the copy. But a batch
 *   that a full disk refuses is whole for a moment, too, when there was room for it and none for the zeros behind
 *   it, and it is cut off again. So the last batch is looked for once more, after everything else was copied.
 * - The copy is synced before it gets a manifest, and that one says that it was closed cleanly at its very end: so
 *   every later damage to the copy is told from a torn write, and refused.
 * - Files like `.idx` are made from segments and are not copied.
 */
import { writeAll } from '../file-system.js'
import { segmentSeed } from '../format.js'
import { type Manifest, writeManifest } from '../manifest.js'
import { finding } from './finding.js'
import type { BatchPiece } from './pieces.js'
import { readAt, SegmentReader } from './read-segment.js'
import { checkSegment, type Problem, type SegmentEnd } from './segment-check.js'
import { judgeTail } from './tail.js'
import { damaged } from './tool-error.js'
import type { ToolFs } from './tool-fs.js'
import type { JournalView, OpenSegment } from './view.js'

const CHUNK = 1024 * 1024

export interface CopyCounts {
  linked: number
  copied: number
}

/** Writes the view's journal into `folder`, which is empty and on no one else's mind. `consequence`: see `damaged`. */
export function copyJournal(
  system: ToolFs,
  view: JournalView,
  folder: string,
  options: { readonly link: boolean; readonly consequence: string },
): CopyCounts {
  const { manifest, missing, segments } = view
  if (manifest === undefined || missing.length > 0) throw damaged(view.folder, options.consequence, [])
  const counts = { linked: 0, copied: 0 }
  for (const segment of segments.slice(0, -1)) {
    const linked = options.link && tryLink(system, segment, `${folder}/${segment.name}`)
    if (!linked) copySegment(system, segment, `${folder}/${segment.name}`)
    counts[linked ? 'linked' : 'copied']++
  }
  const newest = segments.at(-1)
  const end = newest && new NewestCopy(system, view, newest, manifest.uuid, options.consequence).write(folder)
  if (newest !== undefined) counts.copied++
  writeManifest(system, folder, copiedManifest(manifest, newest, end))
  return counts
}

function copiedManifest(manifest: Manifest, newest: OpenSegment | undefined, end: SegmentEnd | undefined): Manifest {
  return {
    ...manifest,
    epoch: manifest.epoch + 1,
    lastSegment: newest?.segment ?? manifest.lastSegment,
    clean: true,
    endOffset: end?.offset ?? 0,
    endHeadCrc: end?.headCrc ?? 0,
    nextSeq: end?.nextSeq ?? manifest.nextSeq,
  }
}

/** False when it cannot be linked, for whatever reason: another file system, not our file, or already unlinked. */
function tryLink(system: ToolFs, { path, file }: OpenSegment, to: string): boolean {
  try {
    system.link(path, to)
  } catch {
    // Copying says what is really wrong, if anything is.
    return false
  }
  system.sync(file)
  return true
}

function copySegment(system: ToolFs, segment: OpenSegment, to: string): void {
  const target = system.open(to, 'create')
  try {
    const buffer = Buffer.allocUnsafe(CHUNK)
    for (let at = 0; ; ) {
      const read = readAt(system, segment, buffer, at)
      if (read === 0) break
      writeAll(system, target, [buffer.subarray(0, read)], at)
      at += read
    }
    system.sync(target)
  } finally {
    system.close(target)
  }
}

/** The newest segment, which may grow meanwhile. */
class NewestCopy {
  readonly #system: ToolFs
  readonly #view: JournalView
  readonly #segment: OpenSegment
  readonly #uuid: Uint8Array
  readonly #consequence: string

  constructor(system: ToolFs, view: JournalView, segment: OpenSegment, uuid: Uint8Array, consequence: string) {
    this.#system = system
    this.#view = view
    this.#segment = segment
    this.#uuid = uuid
    this.#consequence = consequence
  }

  /** Returns where the copy ends. */
  write(folder: string): SegmentEnd {
    const seed = segmentSeed(this.#uuid, this.#segment.segment)
    const bytes = new SegmentReader(this.#system).readNewest(this.#segment, seed)
    const { end, last } = this.#check(bytes)
    const target = this.#system.open(`${folder}/${this.#segment.name}`, 'create')
    try {
      writeAll(this.#system, target, [bytes.subarray(0, end.offset)], 0)
      this.#system.sync(target)
      if (last === undefined || this.#isStillThere(bytes, last)) return end
      const { end: before } = this.#check(bytes.subarray(0, last.at))
      this.#system.truncate(target, before.offset)
      this.#system.sync(target)
      return before
    } finally {
      this.#system.close(target)
    }
  }

  #check(bytes: Buffer): { end: SegmentEnd; last: BatchPiece | undefined } {
    const seed = segmentSeed(this.#uuid, this.#segment.segment)
    let last: BatchPiece | undefined
    const check = checkSegment(bytes, this.#segment, this.#uuid, undefined, (batch, sound) => {
      if (sound) last = batch
    })
    const problems: readonly Problem[] = [
      ...check.header,
      ...judgeTail(this.#view, this.#segment, bytes, seed, check).damage,
    ]
    if (problems.length > 0) {
      const findings = problems.map(({ kind, offset, what }) => finding(kind, this.#segment.path, offset, what))
      throw damaged(this.#view.folder, this.#consequence, findings)
    }
    return { end: check.end, last }
  }

  #isStillThere(bytes: Buffer, { at, bodyAt }: BatchPiece): boolean {
    const header = Buffer.alloc(bodyAt - at)
    const read = readAt(this.#system, this.#segment, header, at)
    return read === header.length && header.equals(bytes.subarray(at, bodyAt))
  }
}
