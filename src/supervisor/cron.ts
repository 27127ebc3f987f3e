/**
 * The original's cron syntax, in terms of node-cron: `sec min hour day month weekday [year]`.
 *
 * node-cron takes neither a start/step (`6/2`: from 6 by 2 to the field's end) nor a year, and runs only when
 * day and weekday both match; here either is enough when both are restricted, as in cron(8).
 */
import { validateDetailed } from 'node-cron'
import { ConfigurationError } from '../errors.js'

export interface Cron {
  /** As it was written. */
  readonly source: string
  /** One or two node-cron expressions; the schedule fires when either does. */
  readonly expressions: readonly string[]
  /** Years in which it fires; undefined for all. */
  readonly years: ReadonlySet<number> | undefined
}

const FIELDS = ['second', 'minute', 'hour', 'day', 'month', 'weekday'] as const
const LAST = [59, 59, 23, 31, 12, 6] as const
const FIRST_YEAR = 1970
const LAST_YEAR = 2199

/** `where` names the schedule in the error. */
export function parseCron(source: string, where: string): Cron {
  const fields = source.trim().split(/\s+/)
  if (fields.length < 6 || fields.length > 7) {
    throw new ConfigurationError(
      `${where}: "${source}" has ${fields.length} fields; a cron line has six or seven: ` +
        'second minute hour day month weekday [year]',
    )
  }
  const year = fields[6]
  const rewritten = fields.slice(0, 6).map((field, i) => rewriteSteps(field, LAST[i]!))
  const [second, minute, hour, day, month, weekday] = rewritten as [string, string, string, string, string, string]
  const both = isRestricted(day) && isRestricted(weekday)
  const expressions = both
    ? [
        [second, minute, hour, day, month, '*'],
        [second, minute, hour, '*', month, weekday],
      ].map((parts) => parts.join(' '))
    : [rewritten.join(' ')]
  for (const expression of expressions) check(expression, source, where)
  return {
    source,
    expressions,
    years: year === undefined || year === '*' ? undefined : parseYears(year, source, where),
  }
}

function isRestricted(field: string): boolean {
  return field !== '*' && field !== '?'
}

/** `6/2` becomes `6-59/2` (in the field of minutes). */
function rewriteSteps(field: string, last: number): string {
  return field
    .split(',')
    .map((part) => part.replace(/^(\d+)\/(\d+)$/, (_, from: string, step: string) => `${from}-${last}/${step}`))
    .join(',')
}

function check(expression: string, source: string, where: string): void {
  const result = validateDetailed(expression)
  if (result.valid) return
  const first = result.errors[0]
  const field = FIELDS.find((name) => first?.field.toLowerCase().includes(name)) ?? first?.field ?? 'a field'
  throw new ConfigurationError(`${where}: "${source}" is not a cron line: ${field}: ${first?.message ?? 'not valid'}`)
}

function parseYears(field: string, source: string, where: string): Set<number> {
  const years = new Set<number>()
  for (const part of field.split(',')) {
    const match = /^(?:(\d{4})(?:-(\d{4}))?|\*)(?:\/(\d+))?$/.exec(part)
    const from = match?.[1] === undefined ? FIRST_YEAR : Number(match[1])
    const step = match?.[3] === undefined ? 1 : Number(match[3])
    const open = match?.[1] === undefined || (match[2] === undefined && match[3] !== undefined)
    const to = match?.[2] !== undefined ? Number(match[2]) : open ? LAST_YEAR : from
    if (match === null || from < FIRST_YEAR || to > LAST_YEAR || to < from || step < 1) {
      throw new ConfigurationError(
        `${where}: "${source}" is not a cron line: the year "${part}" is not a year, a range or a step ` +
          `within ${FIRST_YEAR} to ${LAST_YEAR}`,
      )
    }
    for (let year = from; year <= to; year += step) years.add(year)
  }
  return years
}
