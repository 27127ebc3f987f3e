/** Amounts as people read them. */

export function count(items: number, word: string): string {
  return `${grouped(items)} ${word}${items === 1 ? '' : 's'}`
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return value.toLocaleString('en')
}

export function size(bytes: number): string {
  if (bytes < 1024) return count(bytes, 'byte')
  let value = bytes
  let unit = -1
  while (value >= 1024 && unit < 3) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${['KiB', 'MiB', 'GiB', 'TiB'][unit]}`
}
