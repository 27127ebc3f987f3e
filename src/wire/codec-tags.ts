/** Tags and bounds of the CBOR profile; `codec.ts` has the table with their meaning. */

/** Arrays and maps inside each other. */
export const MAX_DEPTH = 64

/** Items in one value: every number, text, array, map, tag … and every key counts as one. */
export const MAX_ITEMS = 100_000

/** Bytes of a big number. */
export const MAX_BIGNUM = 1024

export const Tag = {
  EPOCH: 1,
  POSITIVE_BIGNUM: 2,
  NEGATIVE_BIGNUM: 3,
  OBJECT: 27,
  UINT8: 64,
  UINT8_CLAMPED: 68,
  UINT16: 69,
  UINT32: 70,
  UINT64: 71,
  INT8: 72,
  INT16: 77,
  INT32: 78,
  INT64: 79,
  FLOAT32: 85,
  FLOAT64: 86,
  SET: 258,
  MAP: 259,
} as const

/** Bytes in an element of a typed array tag (RFC 8746, the little-endian half); 0 for any other tag. */
export function elementSize(tag: number): number {
  switch (tag) {
    case Tag.UINT8:
    case Tag.UINT8_CLAMPED:
    case Tag.INT8:
      return 1
    case Tag.UINT16:
    case Tag.INT16:
      return 2
    case Tag.UINT32:
    case Tag.INT32:
    case Tag.FLOAT32:
      return 4
    case Tag.UINT64:
    case Tag.INT64:
    case Tag.FLOAT64:
      return 8
    default:
      return 0
  }
}
