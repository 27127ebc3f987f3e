/** The schedules of a new worker as they travel: with the keys of the configuration, each argument as bytes of its own. */

import { InvalidArgument } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { show } from './options.js'

/** Keys as the rest of this API writes them. */
const KEYS: Readonly<Record<string, string>> = { triggerArgs: 'trigger_args', repeatInterval: 'repeat_interval' }

/** What the plans say is the server's business; `InvalidArgument` for what is no map of plans. */
export function encodeSchedule(schedule: unknown): Uint8Array {
  const plans = Object.entries(asMap(schedule, 'schedule', '{ sweep: { cron: "0 0 * * * *" } }'))
  return encodeValue(
    Object.fromEntries(plans.map(([method, plan]) => [method, wirePlan(plan, `schedule.${method}`)])),
    'schedule',
  )
}

function wirePlan(plan: unknown, where: string): object {
  const entries = Object.entries(asMap(plan, where, '{ cron: "0 0 * * * *" }')).filter(
    ([, value]) => value !== undefined,
  )
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const key = KEYS[name] ?? name
      if (key === 'data') return [key, encodeValue(value, `${where}.data`)]
      const isSpan = key === 'trigger_args' && typeof value === 'object' && value !== null
      return [key, isSpan ? wirePlan(value, `${where}.${name}`) : value]
    }),
  )
}

function asMap(value: unknown, where: string, example: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new InvalidArgument(`${where} is ${show(value)}: it has to be an object such as ${example}`)
}
