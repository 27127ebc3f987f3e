/**
 * The original's cron syntax, `second minute hour day month weekday [year]`, as a calendar without a time zone.
 *
 * It is parsed here, and not by node-cron, which gives away no parsed fields, knows neither years nor a start with
 * a step (`6/2`), takes a day and a weekday to have to match both, and leaves open what a change of the clocks does.
 */
import { ConfigurationError } from '../../errors.js'
import { FIELDS, FieldProblem, isAny, parseField } from './cron-field.js'

export interface Cron {
  /** As it was written. */
  readonly source: string
  /** False when it fires in every hour alike: see `next`. */
  readonly fixedHours: boolean
  readonly seconds: readonly boolean[]
  readonly minutes: readonly boolean[]
  readonly hours: readonly boolean[]
  readonly months: readonly boolean[]
  readonly years: readonly boolean[]
  readonly isDay: (day: number, weekday: number) => boolean
}

const NAMES = ['second', 'minute', 'hour', 'day', 'month', 'weekday', 'year'] as const
const DAY = 86_400

/** Throws a `ConfigurationError` that begins with `where`. */
export function parseCron(source: string, where: string): Cron {
  const texts = source.trim().split(/\s+/)
  if (texts.length < 6 || texts.length > 7) {
    const found = source.trim() === '' ? 'no field' : `${texts.length} field${texts.length === 1 ? '' : 's'}`
    throw new ConfigurationError(
      `${where}: "${source}" has ${found}; a cron line has six or seven: second minute hour day month weekday [year]`,
    )
  }
  const sets = texts.map((text, i) => fieldOf(text, NAMES[i]!, source, where))
  const [seconds, minutes, hours, days, months, weekdays, years = parseField('*', FIELDS.year)] = sets as Sets
  const either = !isAny(texts[3]!) && !isAny(texts[5]!)
  const isDay = either
    ? (day: number, weekday: number) => days[day]! || weekdays[weekday]!
    : (day: number, weekday: number) => days[day]! && weekdays[weekday]!
  return { source, fixedHours: hours.includes(false), seconds, minutes, hours, months, years, isDay }
}

type Numbers = readonly boolean[]
type Sets = [Numbers, Numbers, Numbers, Numbers, Numbers, Numbers, Numbers?]

function fieldOf(text: string, name: (typeof NAMES)[number], source: string, where: string): Numbers {
  try {
    return parseField(text, FIELDS[name])
  } catch (cause) {
    if (!(cause instanceof FieldProblem)) throw cause
    throw new ConfigurationError(`${where}: "${source}" is not a cron line: ${cause.message}`, { cause })
  }
}

/**
 * The first wall-clock time from `wall` on that matches, undefined when there is none up to the last year. Both in
 * seconds since 1970 as if it were UTC.
 */
export function nextWall(cron: Cron, wall: number): number | undefined {
  const today = Math.floor(wall / DAY) * DAY
  const time = timeFrom(cron, wall - today)
  const date = new Date((time === undefined ? today + DAY : today) * 1_000)
  while (date.getUTCFullYear() <= FIELDS.year.last) {
    const year = date.getUTCFullYear()
    const month = date.getUTCMonth()
    if (cron.years[year] !== true) date.setTime(Date.UTC(year + 1, 0))
    else if (!cron.months[month + 1]) date.setTime(Date.UTC(year, month + 1))
    else if (!cron.isDay(date.getUTCDate(), date.getUTCDay())) date.setTime(date.getTime() + DAY * 1_000)
    else {
      const midnight = date.getTime() / 1_000
      return midnight + (midnight === today ? time! : timeFrom(cron, 0)!)
    }
  }
  return undefined
}

/** The first time of day from this one on, in seconds. */
function timeFrom({ hours, minutes, seconds }: Cron, from: number): number | undefined {
  const [h, m, s] = [Math.floor(from / 3600), Math.floor(from / 60) % 60, from % 60]
  const second = hours[h] && minutes[m] ? seconds.indexOf(true, s) : -1
  if (second >= 0) return h * 3600 + m * 60 + second
  const minute = hours[h] ? minutes.indexOf(true, m + 1) : -1
  if (minute >= 0) return h * 3600 + minute * 60 + seconds.indexOf(true)
  const hour = hours.indexOf(true, h + 1)
  return hour >= 0 ? hour * 3600 + minutes.indexOf(true) * 60 + seconds.indexOf(true) : undefined
}
