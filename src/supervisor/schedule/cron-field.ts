/** One field of a cron line: lists, ranges, steps and names, as the numbers that they stand for. */

export interface Field {
  readonly name: string
  readonly first: number
  readonly last: number
  /** Names of the numbers from `first` on; three letters are enough of each. */
  readonly names?: readonly string[]
}

const MONTHS = 'january february march april may june july august september october november december'.split(' ')
const WEEKDAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ')
const SUNDAY = 7

export const FIELDS = {
  second: { name: 'second', first: 0, last: 59 },
  minute: { name: 'minute', first: 0, last: 59 },
  hour: { name: 'hour', first: 0, last: 23 },
  day: { name: 'day', first: 1, last: 31 },
  month: { name: 'month', first: 1, last: 12, names: MONTHS },
  /** 0 and 7 are Sunday. */
  weekday: { name: 'weekday', first: 0, last: SUNDAY, names: WEEKDAYS },
  year: { name: 'year', first: 1970, last: 2199 },
} as const satisfies Record<string, Field>

/** What is wrong with a field: the message names the field, what was found and what is allowed. */
export class FieldProblem extends Error {}

/** `*` and `?` restrict nothing. */
export function isAny(text: string): boolean {
  return text === '*' || text === '?'
}

/** Whether each number of the field is in it. Throws a `FieldProblem`. */
export function parseField(text: string, field: Field): readonly boolean[] {
  const set = new Array<boolean>(field.last + 1).fill(false)
  for (const part of text.split(',')) {
    const { from, to, step } = rangeOf(part, field)
    for (let n = from; n <= to; n += step) set[n] = true
  }
  if (field === FIELDS.weekday && set[SUNDAY]) set[0] = true
  return set
}

function rangeOf(part: string, field: Field): { from: number; to: number; step: number } {
  const match = /^(?:[*?]|(\w+)(?:-(\w+))?)(?:\/(\w+))?$/.exec(part)
  if (match === null) throw problem(part, field, 'a value, a range such as 1-5, a step such as */2 or 6/2, or *')
  const [, start, end, by] = match
  const step = by === undefined ? 1 : Number(by)
  const widest = field.last - field.first
  if (!(Number.isInteger(step) && step >= 1 && step <= widest)) {
    throw problem(part, field, `a step from 1 to ${widest}`)
  }
  // Without it, `*/2` of weekdays would be all of them, with Sunday as its own neighbour.
  const last = field === FIELDS.weekday ? SUNDAY - 1 : field.last
  if (start === undefined) return { from: field.first, to: last, step }
  const from = numberOf(start, part, field)
  let to = end === undefined ? (by === undefined ? from : last) : numberOf(end, part, field)
  if (field === FIELDS.weekday && to === 0 && from > 0) to = SUNDAY
  if (to < from && end !== undefined) throw problem(part, field, 'a range that begins with its lower end')
  return { from, to, step }
}

function numberOf(text: string, part: string, field: Field): number {
  const { first, last, names } = field
  const name = text.toLowerCase()
  const index = names?.findIndex((full) => full === name || full.slice(0, 3) === name) ?? -1
  if (index >= 0) return first + index
  const value = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (value >= first && value <= last) return value
  const alike = names === undefined ? '' : `, or ${names[0]!.slice(0, 3)} to ${names.at(-1)!.slice(0, 3)}`
  throw problem(part, field, `${first} to ${last}${alike}`)
}

function problem(part: string, { name }: Field, allowed: string): FieldProblem {
  return new FieldProblem(`the ${name} is ${JSON.stringify(part)}; allowed: ${allowed}`)
}
