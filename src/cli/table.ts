/** Rows under their headings, in columns as wide as they need to be. */
import { type Colour, paint } from './colour.js'

export interface Column<T> {
  readonly title: string
  readonly of: (row: T) => string | number
  readonly colour?: (row: T) => Colour | undefined
}

/** Numbers stand to the right. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)))
  const texts = cells.map((row) => row.map((cell) => oneLine(String(cell))))
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...texts.map((row) => row[i]!.length)))
  const right = columns.map((_, i) => cells.length > 0 && cells.every((row) => typeof row[i] === 'number'))
  const line = (row: readonly string[], colourOf: (i: number) => Colour | undefined) =>
    row
      .map((text, i) => {
        const space = ' '.repeat(widths[i]! - text.length)
        const painted = text === '' ? '' : paint(text, colourOf(i))
        return right[i] ? space + painted : i === row.length - 1 ? painted : painted + space
      })
      .join('  ')
      .trimEnd()
  const heads = columns.map(({ title }) => title)
  return [line(heads, () => 'bold'), ...texts.map((row, at) => line(row, (i) => columns[i]!.colour?.(rows[at]!)))].join(
    '\n',
  )
}

/** What somebody else has chosen may hold line breaks, and what a terminal takes for commands. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** Milliseconds, as the two largest units that there are: `3d 4h`, `12m 5s`, `0s`. */
export function age(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const units: [size: number, name: string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ]
  const first = units.findIndex(([size]) => seconds >= size)
  if (first < 0) return '0s'
  let left = seconds
  const parts: string[] = []
  for (const [size, name] of units.slice(first, first + 2)) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count}${name}`)
  }
  return parts.join(' ')
}
