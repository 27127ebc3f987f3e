/** Checks one segment: its header, its batches, and that each follows the one before it. Goes on behind damage. */
import { BatchFlag, type BatchHeader, decodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentSeed } from '../format.js'
import type { SegmentFile } from '../segment.js'
import { type BatchPiece, pieces } from './pieces.js'

/** What the next batch has to follow. */
export interface Chain {
  /** Of the batch before; undefined when that one is damaged. */
  readonly headCrc: number | undefined
  readonly nextSeq: number
  /** Is `nextSeq` certain, or only the least that is possible? */
  readonly exact: boolean
}

export interface Problem {
  readonly kind: 'header' | 'order' | 'batch' | 'end'
  readonly offset: number
  readonly what: string
}

export interface SegmentEnd {
  readonly offset: number
  /** Of the last batch before it, or what the first batch would have to carry on. */
  readonly headCrc: number
  readonly nextSeq: number
}

export interface SegmentCheck {
  readonly header: readonly Problem[]
  /** Places that are no batch, or one that does not belong there; in their order. */
  readonly batches: readonly Problem[]
  /** Where the first of those is, or else where the segment ends. */
  readonly end: SegmentEnd
  /** What the first batch of the next segment has to follow. */
  readonly chain: Chain
  readonly sealed: boolean
}

/**
 * `before`: undefined for the oldest segment, which follows nothing. `onBatch` gets every whole batch, and whether
 * everything in the segment before it is sound.
 */
export function checkSegment(
  bytes: Buffer,
  segment: SegmentFile,
  uuid: Uint8Array,
  before: Chain | undefined,
  onBatch: (batch: BatchPiece, sound: boolean) => void,
): SegmentCheck {
  const seed = segmentSeed(uuid, segment.segment)
  const header = checkHeader(bytes, segment, uuid, before)
  const batches: Problem[] = []
  let { chain } = header
  let sealed = false
  let end: SegmentEnd = { offset: SEGMENT_HEADER_BYTES, headCrc: chain.headCrc ?? 0, nextSeq: chain.nextSeq }
  for (const piece of pieces(bytes, SEGMENT_HEADER_BYTES, seed)) {
    const what = sealed ? 'bytes follow the end of a sealed segment' : pieceProblem(piece, chain)
    if (what !== undefined) batches.push({ kind: 'batch', offset: piece.at, what })
    if (piece.kind === 'hole') {
      chain = { ...chain, headCrc: undefined, exact: false }
      continue
    }
    if (piece.whole) onBatch(piece, header.problems.length + batches.length === 0)
    const { headCrc, firstSeq, count, flags } = piece.header
    chain = { headCrc, nextSeq: firstSeq + count, exact: true }
    if (batches.length > 0) continue
    end = { offset: piece.next, headCrc, nextSeq: firstSeq + count }
    sealed = (flags & BatchFlag.SEAL) !== 0
  }
  return { header: header.problems, batches, end, chain, sealed }
}

function checkHeader(bytes: Buffer, segment: SegmentFile, uuid: Uint8Array, before: Chain | undefined) {
  const problems: Problem[] = []
  const header = decodeSegmentHeader(bytes, uuid, segment.segment)
  if (header === undefined) {
    problems.push({ kind: 'header', offset: 0, what: 'no valid segment header of this journal' })
    return { problems, chain: { headCrc: undefined, nextSeq: segment.firstSeq, exact: true } }
  }
  const { firstSeq, prevHeadCrc } = header
  if (firstSeq !== segment.firstSeq) {
    const what = `the segment begins with sequence number ${firstSeq}, its name says ${segment.firstSeq}`
    problems.push({ kind: 'header', offset: 32, what })
  } else if (before !== undefined && (before.exact ? firstSeq !== before.nextSeq : firstSeq < before.nextSeq)) {
    const what = `the segment begins with sequence number ${firstSeq}, expected ${before.nextSeq}`
    problems.push({ kind: 'order', offset: 32, what })
  } else if (before?.headCrc !== undefined && prevHeadCrc !== before.headCrc) {
    problems.push({ kind: 'order', offset: 48, what: 'the segment does not follow the one before it' })
  }
  return { problems, chain: { headCrc: prevHeadCrc, nextSeq: firstSeq, exact: true } }
}

type Checked = { kind: 'hole' } | { kind: 'batch'; header: BatchHeader; whole: boolean }

function pieceProblem(piece: Checked, chain: Chain): string | undefined {
  if (piece.kind === 'hole') return 'no valid batch header'
  const { header, whole } = piece
  if (chain.headCrc !== undefined && header.prevHeadCrc !== chain.headCrc) {
    return 'the batch does not follow the one before it'
  }
  if (!isNext(header, chain)) {
    return `the batch begins with sequence number ${header.firstSeq}, expected ${chain.nextSeq}`
  }
  return whole ? undefined : 'the body of the batch does not match its CRC'
}

function isNext({ firstSeq, flags }: BatchHeader, { nextSeq, exact }: Chain): boolean {
  if (!exact) return firstSeq >= nextSeq
  return (flags & BatchFlag.GAP) === 0 ? firstSeq === nextSeq : firstSeq > nextSeq
}
