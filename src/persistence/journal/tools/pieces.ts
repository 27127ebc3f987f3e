/** Takes a segment apart: its batches, wherever they stand, and the places between them that are none. */
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  type BatchHeader,
  bodyIsWhole,
  decodeBatchHeader,
  getU32,
  padded,
} from '../format.js'
import { writtenEnd } from '../scan.js'

export interface BatchPiece {
  readonly kind: 'batch'
  readonly at: number
  readonly header: BatchHeader
  readonly bodyAt: number
  readonly bodyEnd: number
  /** Where the next piece begins. */
  readonly next: number
  /** The body matches its CRC. */
  readonly whole: boolean
}

/** Bytes that are no batch, though they were written. */
export interface HolePiece {
  readonly kind: 'hole'
  readonly at: number
  readonly next: number
}

export type Piece = BatchPiece | HolePiece

/** Everything from `from`, a multiple of 8, up to the zeros that were written ahead. Says nothing about their order. */
export function* pieces(bytes: Buffer, from: number, seed: number): Generator<Piece, void> {
  const written = writtenEnd(bytes)
  for (let at = from; at < written; ) {
    const piece = pieceAt(bytes, at, written, seed)
    yield piece
    at = piece.next
  }
}

function pieceAt(bytes: Buffer, at: number, written: number, seed: number): Piece {
  const header = decodeBatchHeader(bytes, at, seed)
  if (header === undefined) return { kind: 'hole', at, next: nextBatch(bytes, at + 8, written, seed) ?? written }
  const bodyAt = at + BATCH_HEADER_BYTES
  const next = bodyAt + padded(header.bodyLen)
  if (bodyIsWhole(bytes, at, header, seed)) {
    return { kind: 'batch', at, header, bodyAt, bodyEnd: bodyAt + header.bodyLen, next, whole: true }
  }
  // Bytes may be missing in the middle, so that the next batch begins within this one's length.
  const end = Math.min(next, nextBatch(bytes, at + 8, written, seed) ?? written)
  const bodyEnd = Math.max(bodyAt, Math.min(bodyAt + header.bodyLen, end))
  return { kind: 'batch', at, header, bodyAt, bodyEnd, next: Math.max(end, at + 8), whole: false }
}

function nextBatch(bytes: Buffer, from: number, written: number, seed: number): number | undefined {
  for (let at = from; at + BATCH_HEADER_BYTES <= written; at += 8) {
    if (getU32(bytes, at) === BATCH_MAGIC && decodeBatchHeader(bytes, at, seed) !== undefined) return at
  }
  return undefined
}
