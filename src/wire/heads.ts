/** Heads of CBOR items, in their shortest form (RFC 8949, section 4.2.1). */

/** Writes the head of `major` (already shifted: 0x00, 0x20, 0x40 …) and returns the offset after it. */
export function writeHead(to: Buffer, at: number, major: number, value: number): number {
  if (value < 24) {
    to[at] = major | value
    return at + 1
  }
  if (value < 0x100) {
    to[at] = major | 24
    to[at + 1] = value
    return at + 2
  }
  if (value < 0x1_0000) {
    to[at] = major | 25
    to[at + 1] = value >>> 8
    to[at + 2] = value
    return at + 3
  }
  if (value < 0x1_0000_0000) {
    to[at] = major | 26
    return to.writeUInt32BE(value, at + 1)
  }
  to[at] = major | 27
  const next = to.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1)
  return to.writeUInt32BE(value >>> 0, next)
}

export function headBytes(value: number): number {
  return value < 24 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : value < 0x1_0000_0000 ? 5 : 9
}
