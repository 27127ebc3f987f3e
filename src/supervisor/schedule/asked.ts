/** The schedules that come with a new worker: over the wire, by the rules of those in the configuration. */
import { ConfigurationError, InvalidArgument } from '../../errors.js'
import { decodeValue } from '../../wire/codec.js'
import { validate } from '../../wire/validate.js'
import { check } from '../config-check.js'
import { type Planned, planSchema, readPlan, type Target } from './plan.js'

/**
 * `bytes` is a map of plans by method, in which `data` is a byte string: the argument as one CBOR value, which is passed on as
 * it is. Throws `InvalidArgument`.
 */
export function readAsked({ worker, workerKey }: Omit<Target, 'method'>, bytes: Uint8Array): Planned[] {
  const asked = decodeValue(bytes)
  if (!isMap(asked)) throw new InvalidArgument('schedule has to be a map: of what to call, and when')
  return Object.entries(asked).map(([method, plan]) => {
    const where = `schedule.${method}`
    if (!isMap(plan))
      throw new InvalidArgument(`${where} has to be a map that says when, such as { cron: "0 0 * * * *" }`)
    const { data, ...when } = plan
    try {
      const planned = readPlan({ worker, workerKey, method }, check(planSchema, when, where), where)
      return data === undefined ? planned : { ...planned, argument: argumentIn(data, where) }
    } catch (error) {
      if (error instanceof ConfigurationError) throw new InvalidArgument(error.message, { cause: error })
      throw error
    }
  })
}

function argumentIn(data: unknown, where: string): Uint8Array {
  const whole = data instanceof Uint8Array && validate(Buffer.from(data), 0, data.length) === data.length
  if (whole) return data
  throw new InvalidArgument(`${where}.data has to be a byte string that holds one CBOR value, and nothing else`)
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
