/** Goes through a damaged journal and gives every record that can be found, in order, and every loss. */
import type { JournalFs } from '../file-system.js'
import { BatchFlag, decodeSegmentHeader, getU64, SEGMENT_HEADER_BYTES, segmentSeed } from '../format.js'
import { RecordType } from '../record-types.js'
import { notTorn } from '../scan.js'
import { numberRecords, type SeqRange } from './numbering.js'
import { type BatchPiece, type HolePiece, type Piece, pieces } from './pieces.js'
import { readReadable, type Span } from './readable.js'
import { type RecordBody, type RecordHead, readBody, readHead } from './record.js'
import { type DamagedJob, damagedJobs, type Rescued, rescue } from './rescue.js'
import type { JournalView, OpenSegment } from './view.js'

/** Records that are lost. */
export interface Loss {
  /** The segment's path; the folder when the segment is missing. */
  readonly file: string
  readonly offset: number
  readonly end: number
  readonly what: string
  /** The first and the last number that is lost; `toSeq` undefined: nobody knows how many there were. */
  readonly fromSeq: number
  readonly toSeq: number | undefined
}

/** The last batch was cut short. It was most likely never acknowledged, so that its rest does not count as lost. */
export interface TornEnd {
  readonly file: string
  readonly offset: number
  readonly rescued: number
}

export interface SalvageVisitor {
  record(seq: number, head: RecordHead, body: RecordBody, segment: number): void
  loss(loss: Loss): void
  damaged(job: DamagedJob): void
  /** Records with numbers below this one are lost, and nobody knows what they were. */
  unexplained(before: number): void
}

export interface ReadEnd {
  /** Higher than every number that was given out. */
  readonly nextSeq: number
  readonly torn: TornEnd | undefined
}

interface Region {
  readonly segment: OpenSegment
  readonly bytes: Buffer
  readonly seed: number
  readonly start: number
  readonly end: number
  readonly what: string
  readonly header: boolean
}

export class SalvageReader {
  readonly #system: JournalFs
  readonly #view: JournalView
  readonly #uuid: Uint8Array
  readonly #visitor: SalvageVisitor
  /** By number; the index of a segment in this list is what the visitor gets. */
  readonly segments: readonly OpenSegment[]
  #nextSeq = 1
  #headCrc: number | undefined
  #torn: TornEnd | undefined

  constructor(system: JournalFs, view: JournalView, uuid: Uint8Array, visitor: SalvageVisitor) {
    this.#system = system
    this.#view = view
    this.#uuid = uuid
    this.#visitor = visitor
    this.segments = identified(system, view.segments, uuid)
  }

  read(): ReadEnd {
    const { segments } = this
    const { manifest } = this.#view
    const first = segments[0]
    if (first !== undefined && manifest !== undefined && first.segment > manifest.firstSegment) {
      this.#missing(manifest.firstSegment, first.segment - 1, first.firstSeq)
    }
    this.#nextSeq = Math.max(this.#nextSeq, first?.firstSeq ?? 1)
    for (const [index, segment] of segments.entries()) this.#segment(segment, index, segments[index + 1])
    const last = segments.at(-1)?.segment ?? (manifest?.firstSegment ?? 1) - 1
    if (manifest !== undefined && manifest.lastSegment > last) {
      this.#missing(last + 1, manifest.lastSegment, manifest.clean ? manifest.nextSeq : undefined)
    }
    return { nextSeq: Math.max(this.#nextSeq, manifest?.nextSeq ?? 1), torn: this.#torn }
  }

  #missing(first: number, last: number, nextSeq: number | undefined): void {
    const what = first === last ? `segment ${first} is missing` : `segments ${first} to ${last} are missing`
    this.#lose({ from: this.#nextSeq, to: nextSeq }, { file: this.#view.folder, offset: 0, end: 0, what })
    this.#nextSeq = Math.max(this.#nextSeq, nextSeq ?? 0)
    this.#headCrc = undefined
  }

  #segment(segment: OpenSegment, index: number, following: OpenSegment | undefined): void {
    const { bytes, unreadable } = readReadable(this.#system, segment)
    const seed = segmentSeed(this.#uuid, segment.segment)
    const header = decodeSegmentHeader(bytes, this.#uuid, segment.segment)
    if (header !== undefined) this.#headCrc = header.prevHeadCrc
    let holes: HolePiece[] = []
    const region = (start: number, end: number, header: boolean): Region => {
      return { segment, bytes, seed, start, end, what: damageText(start, end, header, unreadable), header }
    }
    const regions = () => holes.map((hole) => region(hole.at, hole.next, true))
    for (const piece of inOrder(allPieces(bytes, seed, unreadable))) {
      if (piece.kind === 'hole') {
        holes.push(piece)
        continue
      }
      const { firstSeq, count, headCrc } = piece.header
      this.#gap(piece, regions(), index, segment)
      holes = []
      if (piece.whole) this.#whole(bytes, piece, index)
      else if (firstSeq + count > this.#nextSeq) {
        const torn = following === undefined && this.#isTorn(bytes, piece.at, seed)
        this.#regions(
          [region(piece.bodyAt, piece.bodyEnd, false)],
          { from: firstSeq, to: firstSeq + count },
          index,
          torn,
        )
      }
      this.#nextSeq = Math.max(this.#nextSeq, firstSeq + count)
      this.#headCrc = headCrc
    }
    this.#endOfSegment(segment, bytes, seed, regions(), index, following)
  }

  /** What is between the batch before and this one. */
  #gap(batch: BatchPiece, regions: Region[], index: number, segment: OpenSegment): void {
    const { firstSeq, flags, prevHeadCrc } = batch.header
    const refused = (flags & BatchFlag.GAP) !== 0 && regions.length === 0 && prevHeadCrc === this.#headCrc
    if (refused || firstSeq <= this.#nextSeq) return
    const range = { from: this.#nextSeq, to: firstSeq }
    if (regions.length > 0) this.#regions(regions, range, index, false)
    else
      this.#lose(range, {
        file: segment.path,
        offset: batch.at,
        end: batch.at,
        what: 'batches before this one are missing',
      })
    this.#nextSeq = firstSeq
  }

  #endOfSegment(
    segment: OpenSegment,
    bytes: Buffer,
    seed: number,
    regions: Region[],
    index: number,
    following: OpenSegment | undefined,
  ): void {
    const to = following?.firstSeq ?? this.#closedAt(segment)
    if (to !== undefined && to <= this.#nextSeq) return
    const range = { from: this.#nextSeq, to }
    const [first] = regions
    if (first !== undefined) {
      this.#regions(regions, range, index, to === undefined && this.#isTorn(bytes, first.start, seed))
    } else if (to !== undefined) {
      const between = following === undefined ? 0 : following.segment - segment.segment - 1
      const what = between > 0 ? `${between} of the following segments are missing` : 'the segment ends too early'
      this.#lose(range, { file: segment.path, offset: bytes.length, end: bytes.length, what })
    }
    this.#nextSeq = Math.max(this.#nextSeq, to ?? 0)
  }

  /** The number that was next when the journal was closed with this segment as its last. */
  #closedAt({ segment }: OpenSegment): number | undefined {
    const { manifest } = this.#view
    return manifest?.clean && manifest.lastSegment === segment ? manifest.nextSeq : undefined
  }

  #isTorn(bytes: Buffer, offset: number, seed: number): boolean {
    return !this.#view.manifest?.clean && notTorn(bytes, offset, seed) === undefined
  }

  #whole(bytes: Buffer, batch: BatchPiece, index: number): void {
    let seq = batch.header.firstSeq
    // The same batch a second time, in a segment that is there twice.
    if (seq + batch.header.count <= this.#nextSeq) return
    for (let at = batch.bodyAt; at < batch.bodyEnd; ) {
      const head = readHead(bytes, at, batch.bodyEnd)
      if (head === undefined) return
      const body = readBody(bytes, head)
      if (body !== undefined) this.#visitor.record(seq, head, body, index)
      if (head.type !== RecordType.SEAL) seq++
      at = head.end
    }
  }

  /** Everything that can be found in damaged places that together held these numbers. */
  #regions(regions: readonly Region[], range: SeqRange, index: number, torn: boolean): void {
    const found: Rescued[] = []
    for (const { bytes, start, end, seed, header } of regions) found.push(...rescue(bytes, start, end, seed, header))
    const { records, lost } = numberRecords(found, range)
    const { segment, bytes, start, what } = regions[0]!
    const damaged = found.flatMap((each) => (each.kind === 'lost' ? damagedJobs(bytes, segment.path, each) : []))
    const place = { file: segment.path, offset: start, end: regions.at(-1)!.end, what }
    if (torn) {
      this.#torn = { file: place.file, offset: start, rescued: records.length }
      for (const { seq, record } of records) this.#record(seq, record.head, record.body, index)
      return
    }
    let next = 0
    for (const gap of [...lost, undefined]) {
      for (; next < records.length && (gap === undefined || records[next]!.seq < gap.from); next++) {
        const { seq, record } = records[next]!
        this.#record(seq, record.head, record.body, index)
      }
      if (gap !== undefined) this.#lose(gap, place, damaged)
    }
  }

  #record(seq: number, head: RecordHead, body: RecordBody, index: number): void {
    this.#visitor.record(seq, head, body, index)
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1)
  }

  #lose(range: SeqRange, place: Omit<Loss, 'fromSeq' | 'toSeq'>, damaged: readonly DamagedJob[] = []): void {
    const { from, to } = range
    this.#visitor.loss({ ...place, fromSeq: from, toSeq: to === undefined ? undefined : to - 1 })
    const inside = (id: number) => id >= from && (to === undefined || id < to)
    const enqueues = new Set(damaged.filter(({ id, isEnqueue }) => isEnqueue && inside(id)).map(({ id }) => id))
    for (const job of damaged) if (!job.isEnqueue || inside(job.id)) this.#visitor.damaged(job)
    let last = to === undefined ? Number.POSITIVE_INFINITY : to - 1
    while (enqueues.has(last)) last--
    if (last >= from) this.#visitor.unexplained(last + 1)
    // Numbers that the lost end may have used are not used again: no record is shorter than 20 bytes.
    if (to === undefined) this.#nextSeq = Math.max(this.#nextSeq, from + Math.ceil((place.end - place.offset) / 20) + 1)
  }
}

/** Files that were renamed, by what their headers say. Where a header is damaged, the name has to do. */
function identified(system: JournalFs, segments: readonly OpenSegment[], uuid: Uint8Array): OpenSegment[] {
  const found = segments.map((segment) => {
    const bytes = readReadable(system, segment, SEGMENT_HEADER_BYTES).bytes
    if (bytes.length < SEGMENT_HEADER_BYTES) return segment
    const header = decodeSegmentHeader(bytes, uuid, getU64(bytes, 24))
    return header === undefined ? segment : { ...segment, segment: header.segment, firstSeq: header.firstSeq }
  })
  return found.sort((a, b) => a.segment - b.segment || a.firstSeq - b.firstSeq)
}

function allPieces(bytes: Buffer, seed: number, unreadable: readonly Span[]): Piece[] {
  const all = [...pieces(bytes, SEGMENT_HEADER_BYTES, seed)]
  const end = all.at(-1)?.next ?? SEGMENT_HEADER_BYTES
  const last = unreadable.at(-1)
  // What cannot be read at the end looks like zeros that were written ahead.
  if (last !== undefined && last.end > end) all.push({ kind: 'hole', at: end, next: last.end })
  return all
}

/** By number, each batch with the holes behind it: batches that changed places are put back. */
function inOrder(all: readonly Piece[]): Piece[] {
  const groups: { firstSeq: number; pieces: Piece[] }[] = [{ firstSeq: 0, pieces: [] }]
  for (const piece of all) {
    if (piece.kind === 'batch') groups.push({ firstSeq: piece.header.firstSeq, pieces: [piece] })
    else groups.at(-1)!.pieces.push(piece)
  }
  return groups.sort((a, b) => a.firstSeq - b.firstSeq).flatMap((group) => group.pieces)
}

function damageText(start: number, end: number, header: boolean, unreadable: readonly Span[]): string {
  if (unreadable.some((span) => span.start < end && span.end > start)) return 'the disk cannot read this place'
  return header ? 'no valid batch header' : 'the body of the batch does not match its CRC'
}
