/**
 * Where a record is, as one number. In a file: segment and offset. Before it is durable: how many bytes of records
 * this process had produced before it, as a negative number.
 */
const SEGMENT_SPAN = 0x1_0000_0000

export function filePlace(segment: number, offset: number): number {
  return segment * SEGMENT_SPAN + offset
}

export function placeSegment(place: number): number {
  return Math.floor(place / SEGMENT_SPAN)
}

export function placeOffset(place: number): number {
  return place % SEGMENT_SPAN
}

export function streamPlace(position: number): number {
  return -1 - position
}

export function isInStream(place: number): boolean {
  return place < 0
}

export function streamPosition(place: number): number {
  return -1 - place
}
