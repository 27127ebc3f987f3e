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
 * - The newest is read first, and copied up to its last whole batch. If it was sealed meanwhile, the copy ends with it: segments that
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
import { type Finding, finding } from './finding.js'
import type { BatchPiece } from './pieces.js'
import { readAt, SegmentReader } from './read-segment.js'
import { checkSegment, type SegmentCheck, type SegmentEnd } from './segment-check.js'
import { judgeTail } from './tail.js'
import type { ToolFs } from './tool-fs.js'
import type { JournalView, OpenSegment } from './view.js'

const CHUNK = 1024 * 1024

export interface CopyCounts {
  linked: number
  copied: number
}

/** Writes the view's journal into `folder`, which is empty and nobody else's. `newest`: of that view. */
export function copyJournal(
  system: ToolFs,
  view: JournalView,
  newest: NewestSegment | undefined,
  folder: string,
  link: boolean,
): CopyCounts {
  const { manifest, segments } = view
  if (manifest === undefined) throw new Error(`there is no manifest in ${view.folder}`)
  const counts = { linked: 0, copied: 0 }
  for (const segment of segments.slice(0, -1)) {
    const linked = link && tryLink(system, segment, `${folder}/${segment.name}`)
    if (!linked) copySegment(system, segment, `${folder}/${segment.name}`)
    counts[linked ? 'linked' : 'copied']++
  }
  const end = newest?.write(folder)
  if (newest !== undefined) counts.copied++
  writeManifest(system, folder, copiedManifest(manifest, segments.at(-1), end))
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

/** The newest segment, as it was when it was read: up to its last whole batch. */
export class NewestSegment {
  readonly #system: ToolFs
  readonly #segment: OpenSegment
  readonly #uuid: Uint8Array
  readonly #bytes: Buffer
  readonly #end: SegmentEnd
  readonly #last: BatchPiece | undefined
  readonly damage: readonly Finding[]

  constructor(system: ToolFs, view: JournalView, segment: OpenSegment, uuid: Uint8Array) {
    this.#system = system
    this.#segment = segment
    this.#uuid = uuid
    const seed = segmentSeed(uuid, segment.segment)
    this.#bytes = new SegmentReader(system).readNewest(segment, seed)
    const { check, last } = this.#check(this.#bytes)
    const problems = [...check.header, ...judgeTail(view, segment, this.#bytes, seed, check).damage]
    this.damage = problems.map(({ kind, offset, what }) => finding(kind, segment.path, offset, what))
    this.#end = check.end
    this.#last = last
  }

  /** Returns where the copy ends. */
  write(folder: string): SegmentEnd {
    const target = this.#system.open(`${folder}/${this.#segment.name}`, 'create')
    try {
      writeAll(this.#system, target, [this.#bytes.subarray(0, this.#end.offset)], 0)
      this.#system.sync(target)
      if (this.#last === undefined || this.#isStillThere(this.#last)) return this.#end
      const { end } = this.#check(this.#bytes.subarray(0, this.#last.at)).check
      this.#system.truncate(target, end.offset)
      this.#system.sync(target)
      return end
    } finally {
      this.#system.close(target)
    }
  }

  #check(bytes: Buffer): { check: SegmentCheck; last: BatchPiece | undefined } {
    let last: BatchPiece | undefined
    const check = checkSegment(bytes, this.#segment, this.#uuid, undefined, (batch, sound) => {
      if (sound) last = batch
    })
    return { check, last }
  }

  #isStillThere({ at, bodyAt }: BatchPiece): boolean {
    const header = Buffer.alloc(bodyAt - at)
    const read = readAt(this.#system, this.#segment, header, at)
    return read === header.length && header.equals(this.#bytes.subarray(at, bodyAt))
  }
}
