/** `middleMan.schedules`: what the schedules of the servers are at, and what can be done to them by name. */
import { InvalidArgument } from '../errors.js'
import { Verb } from '../wire/envelope.js'
import { Call } from './call.js'
import { valuesOf, whereItIs } from './everywhere.js'
import { reach } from './instance-methods.js'
import { readServerOptions, show } from './options.js'
import type { Route } from './route.js'
import type { ScheduleInfo, SchedulesApi } from './types.js'

export function schedulesOf(route: Route): SchedulesApi {
  const change = async (verb: number, name: string, options: unknown) => {
    const make = () => {
      const { worker, workerKey, method } = parseName(name)
      const call = new Call(verb, worker, workerKey, method)
      return { call, host: readServerOptions(call, options) }
    }
    const { outcomes, title } = await reach({ route }, make)
    return valuesOf(whereItIs(outcomes), title)[0]
  }
  return {
    async list(options) {
      const make = () => {
        const call = new Call(Verb.SCHEDULES, '', '', '')
        return { call, host: readServerOptions(call, options) }
      }
      const { outcomes, title } = await reach({ route }, make)
      valuesOf(outcomes, title)
      return outcomes.flatMap(({ server, value }) => (value as ScheduleInfo[]).map((info) => ({ ...info, server })))
    },
    async run(name, options) {
      return (await change(Verb.RUN_SCHEDULE, name, options)) as 'started' | 'queued' | 'leftOut'
    },
    async pause(name, options) {
      await change(Verb.PAUSE_SCHEDULE, name, options)
    },
    async resume(name, options) {
      await change(Verb.RESUME_SCHEDULE, name, options)
    },
  }
}

/** The key may be any text, also one with brackets and points. */
function parseName(name: unknown): { worker: string; workerKey: string; method: string } {
  const match = typeof name === 'string' ? /^([^[\]]+?)(?:\[(.+)\])?\.([^.[\]]+)$/s.exec(name) : null
  if (match === null) {
    throw new InvalidArgument(
      `${show(name)} names no schedule: it has to be worker.method or worker[key].method, as schedules.list() has them`,
    )
  }
  return { worker: match[1]!, workerKey: match[2] ?? '', method: match[3]! }
}
