/**
 * Firings found the slow way, to compare with: every second of some days is looked at, with the clock on the wall
 * as Intl shows it. It shares no code with what it checks.
 */

interface Wall {
  readonly minute: number
  readonly hour: number
  readonly day: number
  readonly month: number
  readonly weekday: number
  readonly year: number
  /** All of it, as minutes since 1970 as if it were UTC. */
  readonly count: number
}

interface Minute {
  readonly at: number
  readonly wall: Wall
  /** The clock has shown this before. */
  readonly repeated: boolean
  /** What it would show had it not been put forward, while that is a time it left out. */
  readonly skipped: Wall | undefined
}

const MINUTE = 60_000
const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

export class Days {
  readonly minutes: Minute[] = []
  /** When the clock was changed. */
  readonly changes: number[] = []

  constructor(zone: string, from: string, days: number) {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      dateStyle: 'short',
      timeStyle: 'short',
      hourCycle: 'h23',
    })
    const seen = new Set<number>()
    let left: { before: number; first: number } | undefined
    const start = Date.parse(from)
    for (let i = 0; i < days * 1440; i++) {
      const at = start + i * MINUTE
      const [day, month, year, hour, minute] = format.format(at).match(/\d+/g)!.map(Number) as Five
      const wall = wallOf(Date.UTC(year, month - 1, day, hour, minute) / MINUTE)
      const before = this.minutes.at(-1)?.wall.count ?? wall.count - 1
      if (wall.count !== before + 1) this.changes.push(at)
      if (wall.count > before + 1) left = { before: before + 1, first: wall.count }
      let skipped: Wall | undefined
      if (left !== undefined && left.before < left.first) skipped = wallOf(left.before++)
      this.minutes.push({ at, wall, repeated: seen.has(wall.count), skipped })
      seen.add(wall.count)
    }
  }

  get end(): number {
    return this.minutes.at(-1)!.at + MINUTE
  }

  /** The first firings after a time. */
  firings(line: string, after: number, most: number): number[] {
    const found: number[] = []
    const fields = fieldsOf(line)
    const alike = Array.from({ length: 24 }, (_, h) => h).every((h) => matches(fields.hour, h))
    const first = Math.max(0, Math.floor((after - this.minutes[0]!.at) / MINUTE))
    for (let i = first; i < this.minutes.length; i++) {
      const { at, wall, repeated, skipped } = this.minutes[i]!
      const now = (alike || !repeated) && fits(fields, wall)
      if (!now && (alike || skipped === undefined || !fits(fields, skipped))) continue
      for (let second = 0; second < 60; second++) {
        if (at + second * 1_000 > after && matches(fields.second, second)) found.push(at + second * 1_000)
        if (found.length === most) return found
      }
    }
    return found
  }
}

type Five = [number, number, number, number, number]

function wallOf(count: number): Wall {
  const date = new Date(count * MINUTE)
  return {
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    weekday: date.getUTCDay(),
    year: date.getUTCFullYear(),
    count,
  }
}

interface Text {
  readonly text: string
  /** What `*` with a step counts from. */
  readonly first: number
  readonly known: (boolean | undefined)[]
}

type Fields = Record<'second' | 'minute' | 'hour' | 'day' | 'month' | 'weekday' | 'year', Text>

/** A line as text: it is asked for one value at a time what it says. */
export function fieldsOf(line: string): Fields {
  const [second, minute, hour, day, month, weekday, year] = line.split(' ') as Seven
  const text = (of: string, first = 0): Text => ({ text: of, first, known: [] })
  return {
    second: text(second),
    minute: text(minute),
    hour: text(hour),
    day: text(day, 1),
    month: text(numbered(month, months, 1), 1),
    weekday: text(numbered(weekday, names, 0).replaceAll('-0', '-7')),
    year: text(year ?? '*'),
  }
}

type Seven = [string, string, string, string, string, string, string?]

/** All but the second. */
export function fits(fields: Fields, wall: Omit<Wall, 'count'>): boolean {
  const { minute, hour, day, month, weekday, year } = fields
  if (!matches(minute, wall.minute) || !matches(hour, wall.hour)) return false
  if (!matches(month, wall.month) || !matches(year, wall.year)) return false
  // Sunday has two numbers, the second not for a step that goes on to the end.
  const second = wall.weekday === 0 && !/[*]|(^|,)[^-,]+[/]/.test(weekday.text)
  const onDay = matches(day, wall.day)
  const onWeekday = matches(weekday, wall.weekday) || (second && matches(weekday, 7))
  const free = ({ text }: Text) => text === '*' || text === '?'
  return free(day) || free(weekday) ? onDay && onWeekday : onDay || onWeekday
}

function numbered(text: string, list: readonly string[], first: number): string {
  return text.toLowerCase().replace(/[a-z]{3,}/g, (name) => String(list.indexOf(name.slice(0, 3)) + first))
}

function matches(field: Text, value: number): boolean {
  field.known[value] ??= field.text.split(',').some((part) => {
    const [range = '', step] = part.split('/')
    if (range === '*' || range === '?') return step === undefined || (value - field.first) % Number(step) === 0
    const [low, high] = range.split('-').map(Number) as [number, number?]
    if (step === undefined) return value >= low && value <= (high ?? low)
    return value >= low && value <= (high ?? 9999) && (value - low) % Number(step) === 0
  })
  return field.known[value]
}
