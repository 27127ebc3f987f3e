/** Times and durations as people write them: ISO dates, `in 5 seconds`, `90 minutes`. */
import { ConfigurationError } from '../../errors.js'
import { parseCron } from './cron.js'
import { next } from './next.js'
import type { Zone } from './zone.js'

const SECOND = 1_000
const UNITS: Record<string, number> = {
  millisecond: 1,
  second: SECOND,
  minute: 60 * SECOND,
  hour: 3_600 * SECOND,
  day: 86_400 * SECOND,
  week: 7 * 86_400 * SECOND,
}
/** A hundred years: what is longer is a mistake. */
const LONGEST = 36_525 * 86_400 * SECOND

const DURATION = 'a number with millisecond, second, minute, hour, day or week, such as "90 seconds"'

/** In milliseconds; a number alone counts `unit` milliseconds. Throws a `ConfigurationError`. */
export function parseDuration(value: string | number, unit: number, where: string): number {
  const ms = typeof value === 'number' ? value * unit : fromText(value)
  if (ms !== undefined && ms > 0 && ms <= LONGEST) return ms
  const number = unit === SECOND ? 'seconds' : 'milliseconds'
  throw new ConfigurationError(
    `${where} is ${JSON.stringify(value)}; allowed: a number of ${number} above 0, or ${DURATION}; at most 100 years`,
  )
}

function fromText(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*$/i.exec(text)
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '']
  return unit === undefined ? undefined : Number(match![1]) * unit
}

/**
 * In milliseconds since 1970. A time without a zone of its own is one on the wall in `zone`; `in …` counts from `now`.
 * Throws a `ConfigurationError`.
 */
export function parseMoment(value: string | Date, zone: Zone, now: number, where: string): number {
  const found = typeof value === 'string' ? fromMoment(value.trim(), zone, now) : value.getTime()
  if (found !== undefined && !Number.isNaN(found)) return found
  throw new ConfigurationError(
    `${where} is ${JSON.stringify(value)}; allowed: an ISO time such as "2030-01-31T08:00" (with a zone such as Z, or on ` +
      `the wall), a date such as "2030-01-31", or "in" and ${DURATION}`,
  )
}

function fromMoment(text: string, zone: Zone, now: number): number | undefined {
  const duration = /^in (.+)$/i.exec(text)
  if (duration !== null) {
    const ms = fromText(duration[1]!)
    return ms === undefined || ms > LONGEST ? undefined : now + ms
  }
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text)
  if (match === null) return undefined
  const [, day, time = '00:00', seconds = '00', offset] = match
  const wall = new Date(`${day}T${time}:${seconds}Z`)
  // The 31st of February is the 3rd of March to Date.
  if (Number.isNaN(wall.getTime()) || !wall.toISOString().startsWith(day!)) return undefined
  return offset === undefined ? onTheWall(wall, zone) : Date.parse(text.replace(' ', 'T'))
}

/** As a schedule would understand it, also when the clocks are changed. */
function onTheWall(wall: Date, zone: Zone): number | undefined {
  const time = [wall.getUTCSeconds(), wall.getUTCMinutes(), wall.getUTCHours()]
  const line = [...time, wall.getUTCDate(), wall.getUTCMonth() + 1, '*', wall.getUTCFullYear()].join(' ')
  return next(parseCron(line, 'a time'), zone, wall.getTime() - 2 * UNITS.day!)
}
