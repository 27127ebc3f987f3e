/** What the clocks on the wall show in a time zone, and when they are changed. All times are in whole seconds. */

import { ConfigurationError } from '../../errors.js'

const DAY = 86_400

export interface Transition {
  /** The first second with the new offset. */
  readonly at: number
  readonly before: number
}

export class Zone {
  readonly #format: Intl.DateTimeFormat

  /** An IANA name; the machine's own zone by default. Throws a `RangeError` when there is no such zone. */
  constructor(name?: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZoneName: 'longOffset',
      ...(name === undefined ? {} : { timeZone: name }),
    })
  }

  /** Wall clock minus UTC at a time. */
  offset(at: number): number {
    // 3/29/2026, GMT+01:00
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(this.#format.format(at * 1_000))
    const [, sign, hours = 0, minutes = 0, seconds = 0] = match!
    const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
    return sign === '-' ? -offset : offset
  }

  /** The first change after `from` and up to `to`. Two that undo each other within a day are not found; there are none. */
  transition(from: number, to: number): Transition | undefined {
    const before = this.offset(from)
    for (let low = from; low < to; low += DAY) {
      let high = Math.min(low + DAY, to)
      if (this.offset(high) === before) continue
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        if (this.offset(middle) === before) low = middle
        else high = middle
      }
      return { at: high, before }
    }
    return undefined
  }
}

/** `where` says in the error what names it: an IANA name, or undefined for the machine's own time zone. */
export function zoneOf(name: string | undefined, where: string): Zone {
  try {
    return new Zone(name)
  } catch (cause) {
    throw new ConfigurationError(`${where}: "${name}" is no time zone; write a name such as Europe/London`, { cause })
  }
}
