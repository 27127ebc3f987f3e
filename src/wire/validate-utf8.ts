/**
 * Checks UTF-8 from `at` (the first byte of a character) to `end` by table 3-7 of the Unicode Standard: no
 * overlong forms, no surrogates, nothing over U+10FFFF. Returns `end`, or the offset of the first wrong byte.
 */
export function utf8End(bytes: Uint8Array, at: number, end: number): number {
  let i = at
  while (i < end) {
    const lead = bytes[i]!
    if (lead < 0x80) {
      i++
      continue
    }
    let more = 0
    let low = 0x80
    let high = 0xbf
    if (lead >= 0xc2 && lead <= 0xdf) more = 1
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2
      if (lead === 0xe0) low = 0xa0
      else if (lead === 0xed) high = 0x9f
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3
      if (lead === 0xf0) low = 0x90
      else if (lead === 0xf4) high = 0x8f
    } else return i
    if (i + more >= end) return i
    const second = bytes[i + 1]!
    if (second < low || second > high) return i
    for (let j = 2; j <= more; j++) if ((bytes[i + j]! & 0xc0) !== 0x80) return i
    i += more + 1
  }
  return end
}
