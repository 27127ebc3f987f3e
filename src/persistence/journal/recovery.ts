/**
 * Opens what a journal's folder holds: chooses the manifest, checks that the segments are all there and whole,
 * replays them, drops a torn end, and refuses damage. docs/JOURNAL.md has the rules in words.
 *
 * Nothing that was acknowledged is ever cut off, and without a valid manifest nothing is created or deleted.
 */
import { Replay } from '../queue/replay.js'
import { beginJournal } from './begin.js'
import { corrupt } from './corrupt.js'
import { createWhole, type JournalFs, readWhole, TEMPORARY } from './file-system.js'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentSeed } from './format.js'
import { type JournalState, journalState } from './journal-state.js'
import type { JournalLog } from './log.js'
import { type Manifest, readManifests, writeManifest } from './manifest.js'
import { filePlace } from './place.js'
import { BadRecord, RecordReplay } from './replay-records.js'
import { notTorn, type ScanEnd, scanSegment, writtenEnd } from './scan.js'
import { type SegmentFile, segmentFiles } from './segment.js'
import { eachEntry, readIndex } from './segment-index.js'
import type { JournalEnd } from './writer.js'

export interface RecoveryOptions {
  readonly system: JournalFs
  readonly folder: string
  readonly log: JournalLog
  readonly clock: () => number
  readonly cacheBytes: number
}

export interface Recovered {
  readonly end: JournalEnd
  readonly state: JournalState
}

/** Reads the journal's jobs, and makes the folder ready to be appended to. */
export function recover(options: RecoveryOptions): Recovered {
  const { system, folder } = options
  const names = system.list(folder) ?? []
  const files = segmentFiles(names)
  const { newest, damaged } = readManifests(system, folder)
  if (newest === undefined) {
    if (files.length > 0) throw corrupt(`${folder}/MANIFEST.a`, 0, 'no valid manifest, but there are segments')
    clearTemporary(system, folder, names)
    const end = beginJournal(system, folder)
    return { end, state: journalState(options, end.manifest.uuid) }
  }
  const segments = contiguous(folder, newest, files)
  const state = journalState(options, newest.uuid)
  const end = new SegmentScan(options, newest, damaged.length > 0, state).read(segments)
  // Only now, when the journal is known to be whole, is anything changed.
  clearTemporary(system, folder, names)
  const manifest = { ...newest, epoch: newest.epoch + 1, lastSegment: end.segment, clean: false }
  if (end.tail !== undefined) keepValidPrefix(options, end.tail)
  // What was read is the old file of that name.
  state.reader.closeAll()
  writeManifest(system, folder, manifest)
  // The manifest that gave them up may have been read from memory only; now there is one on the disk.
  clearPassed(system, folder, names, manifest.firstSegment)
  return { end: { ...end, manifest }, state }
}

/**
 * The segments of the manifest, all of them. A segment behind the last one is ours, too: its manifest may
 * not have been written any more; whether it belongs is for its header to say.
 */
function contiguous(folder: string, manifest: Manifest, files: readonly SegmentFile[]): SegmentFile[] {
  const ours = files.filter((file) => file.segment >= manifest.firstSegment)
  const last = Math.max(manifest.lastSegment, ours.at(-1)?.segment ?? 0)
  for (let segment = manifest.firstSegment; segment <= last; segment++) {
    const [file, another] = ours.filter((candidate) => candidate.segment === segment)
    if (file === undefined)
      throw corrupt(folder, 0, `segment ${segment} of ${manifest.firstSegment} to ${last} is missing`)
    if (another !== undefined) throw corrupt(`${folder}/${another.name}`, 0, `segment ${segment} is there twice`)
  }
  return ours
}

/** The last segment and how much of it counts. */
interface Tail {
  readonly name: string
  readonly bytes: Buffer
  readonly offset: number
}

interface ReadEnd extends Omit<JournalEnd, 'manifest'> {
  /** Set after an unclean stop: the segment is to be written anew from here. */
  readonly tail: Tail | undefined
}

class SegmentScan {
  readonly #options: RecoveryOptions
  readonly #manifest: Manifest
  /** The newest manifest may be lost, so that this one's word is not the last. */
  readonly #outdated: boolean
  readonly #state: JournalState
  readonly #replay: Replay
  readonly #records: RecordReplay
  /** One segment after the other is read into it. */
  #buffer: Buffer = Buffer.alloc(0)

  constructor(options: RecoveryOptions, manifest: Manifest, outdated: boolean, state: JournalState) {
    this.#options = options
    this.#manifest = manifest
    this.#outdated = outdated
    this.#state = state
    this.#replay = new Replay(state.queue, state.bodies)
    this.#records = new RecordReplay(this.#replay, state.queue.hash)
  }

  read(segments: readonly SegmentFile[]): ReadEnd {
    let end: ReadEnd = {
      older: segments.slice(0, -1),
      segment: 0,
      segmentFirstSeq: 0,
      offset: 0,
      headCrc: 0,
      nextSeq: this.#manifest.lastSegment === 0 ? this.#manifest.nextSeq : 1,
      sealed: true,
      tail: undefined,
    }
    for (const [index, file] of segments.entries()) {
      const isLast = index === segments.length - 1
      end = (isLast ? undefined : this.#indexed(file, end)) ?? this.#segment(file, end, isLast)
    }
    this.#replay.end(this.#options.clock())
    return { ...end, sealed: end.sealed && end.segment > 0 }
  }

  /** From its index; undefined when that is missing, damaged, or does not follow. */
  #indexed(file: SegmentFile, before: ReadEnd): ReadEnd | undefined {
    const { system, folder } = this.#options
    const index = readIndex(system, folder, this.#manifest.uuid, file)
    if (index === undefined) return undefined
    const first = file.segment === this.#manifest.firstSegment
    if (!first && (file.firstSeq !== before.nextSeq || index.prevHeadCrc !== before.headCrc)) return undefined
    const { bytes, nextSeq, headCrc, endOffset } = index
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#state.segments.grown(file.segment, file.firstSeq, endOffset)
    eachEntry(index, (from, at, offset, length) =>
      this.#records.record(from, view, at, filePlace(file.segment, offset), length),
    )
    const { segment, firstSeq: segmentFirstSeq } = file
    return { ...before, segment, segmentFirstSeq, offset: endOffset, headCrc, nextSeq, sealed: true, tail: undefined }
  }

  #segment(file: SegmentFile, before: ReadEnd, isLast: boolean): ReadEnd {
    const { system, folder } = this.#options
    const path = `${folder}/${file.name}`
    const bytes = readWhole(system, path, this.#buffer)
    if (bytes.length > this.#buffer.length) this.#buffer = bytes
    const header = decodeSegmentHeader(bytes, this.#manifest.uuid, file.segment)
    if (header === undefined) throw corrupt(path, 0, 'no valid segment header of this journal')
    const first = file.segment === this.#manifest.firstSegment
    if (header.firstSeq !== file.firstSeq || (!first && header.firstSeq !== before.nextSeq)) {
      throw corrupt(path, 32, `the segment begins with sequence number ${header.firstSeq}, expected ${before.nextSeq}`)
    }
    if (!first && header.prevHeadCrc !== before.headCrc) {
      throw corrupt(path, 48, 'the segment does not follow the one before it')
    }
    const seed = segmentSeed(this.#manifest.uuid, file.segment)
    const start = { seed, headCrc: header.prevHeadCrc, nextSeq: header.firstSeq }
    this.#state.segments.grown(file.segment, file.firstSeq, bytes.length)
    const end = this.#scan(path, file.segment, bytes, start)
    this.#state.segments.grown(file.segment, file.firstSeq, end.offset)
    const position = {
      older: before.older,
      segment: file.segment,
      segmentFirstSeq: header.firstSeq,
      offset: end.offset,
      headCrc: end.headCrc,
      nextSeq: end.nextSeq,
      sealed: end.sealed,
    }
    if (!isLast) {
      if (end.problem !== undefined) throw corrupt(path, end.offset, end.problem)
      if (!end.sealed) throw corrupt(path, end.offset, 'the segment has no end, but another one follows')
      return { ...position, tail: undefined }
    }
    const clean = this.#checkTail(file, path, bytes, seed, end)
    return { ...position, tail: clean ? undefined : { name: file.name, bytes, offset: end.offset } }
  }

  #scan(path: string, segment: number, bytes: Buffer, start: Parameters<typeof scanSegment>[1]): ScanEnd {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    try {
      return scanSegment(bytes, start, (from, to) => this.#records.body(bytes, view, segment, from, to))
    } catch (error) {
      if (error instanceof BadRecord) throw corrupt(path, error.offset, error.message)
      throw error
    }
  }

  /** True when the journal was closed cleanly and ends where it was closed. */
  #checkTail(file: SegmentFile, path: string, bytes: Buffer, seed: number, end: ScanEnd): boolean {
    const manifest = this.#manifest
    if (manifest.clean && file.segment > manifest.lastSegment) {
      if (!this.#outdated) throw corrupt(path, 0, 'the journal was closed before this segment')
    } else if (manifest.clean) {
      if (end.problem !== undefined && end.offset < manifest.endOffset) throw corrupt(path, end.offset, end.problem)
      if (end.offset < manifest.endOffset) {
        throw corrupt(
          path,
          end.offset,
          `the journal was closed at offset ${manifest.endOffset}, and the rest is missing`,
        )
      }
      const asClosed = end.offset === manifest.endOffset && end.headCrc === manifest.endHeadCrc
      if (asClosed && bytes.length === manifest.endOffset) return true
      if (!this.#outdated)
        throw corrupt(path, manifest.endOffset, 'bytes follow the place where the journal was closed')
    }
    if (end.problem === undefined) return false
    const damage = notTorn(bytes, end.offset, seed)
    if (end.sealed || damage !== undefined) {
      throw corrupt(path, end.offset, damage === undefined ? end.problem : `${end.problem}, and ${damage}`)
    }
    this.#quarantine(path, bytes, end)
    return false
  }

  /** Keeps a copy of the torn batch for whoever wants to look. It was never acknowledged. */
  #quarantine(path: string, bytes: Buffer, end: ScanEnd): void {
    const { system, folder, log, clock } = this.#options
    const torn = bytes.subarray(end.offset, writtenEnd(bytes))
    const quarantine = `${folder}/quarantine`
    if (system.list(quarantine) === undefined) {
      system.makeFolder(quarantine)
      system.syncFolder(folder)
    }
    const there = system.list(quarantine) ?? []
    clearTemporary(system, quarantine, there)
    const name = `${path.slice(path.lastIndexOf('/') + 1)}-${end.offset}-${clock()}`
    if (!there.includes(name)) createWhole(system, quarantine, name, [torn])
    log.warn(
      { file: path, from: end.offset, to: end.offset + torn.length, kept: `quarantine/${name}`, reason: end.problem },
      'the last batch was cut short by a crash before it was acknowledged: dropped',
    )
  }
}

function clearTemporary(system: JournalFs, folder: string, names: readonly string[]): void {
  for (const name of names) if (name.endsWith(TEMPORARY)) system.remove(`${folder}/${name}`)
}

/** Segments that the manifest has given up, and indexes without a segment: a crash came before they were removed. */
function clearPassed(system: JournalFs, folder: string, names: readonly string[], firstSegment: number): void {
  const ours = new Set(
    segmentFiles(names)
      .filter(({ segment }) => segment >= firstSegment)
      .map(({ name }) => name),
  )
  for (const name of names) {
    const segment = name.replace(/\.idx$/, '.seg')
    if (segment.endsWith('.seg') && !ours.has(segment)) system.remove(`${folder}/${name}`)
  }
}

/**
 * Writes the valid part of the last segment to a new file. After an unclean stop its pages may be in memory
 * only, marked as written by a sync that failed: reading them back proves nothing, writing them anew does.
 */
function keepValidPrefix({ system, folder }: RecoveryOptions, { name, bytes, offset }: Tail): void {
  createWhole(system, folder, name, [bytes.subarray(0, Math.max(offset, SEGMENT_HEADER_BYTES))])
}
