/** What a proxy has besides the worker's methods. In a cluster these go to all servers, unless `host` names one. */
import { encodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import type { Call } from './call.js'
import { everywhere, type Outcome, valuesOf, whereItIs } from './everywhere.js'
import { readServerOptions, text } from './options.js'
import { serverOf, type Target } from './target.js'
import type { InstanceMethods, ServerOptions, WorkerInfo } from './types.js'

export function instanceMethods(target: Target): InstanceMethods {
  const askResult = (options: unknown, key: unknown) => {
    const call = target.call(Verb.ASK_RESULT)
    call.jobKey = text(key, 'the key of askResult')
    return { call, host: readServerOptions(call, options) }
  }
  const resetResult = (options: unknown, key: unknown, value: unknown) => {
    const call = target.call(Verb.RESET_RESULT)
    call.jobKey = text(key, 'the key of resetResult')
    if (value !== undefined) call.payload = encodeValue(value, 'value')
    return { call, host: readServerOptions(call, options) }
  }
  const plain = (verb: number) => (options: unknown) => {
    const call = target.call(verb)
    return { call, host: readServerOptions(call, options) }
  }
  const info = plain(Verb.WORKER_INFO)
  const end = plain(Verb.DELETE)
  const change = (verb: number) => async (options?: ServerOptions) => {
    const { outcomes, title } = await reach(target, () => plain(verb)(options))
    return valuesOf(whereItIs(outcomes), title).includes(true)
  }
  return {
    askResult: (key, options) => {
      const make = () => askResult(options, key)
      return shared(target, make) ?? first(target, make)
    },
    async resetResult(key, value, options) {
      const make = () => resetResult(options, key, value)
      const done = shared(target, make)
      if (done !== undefined) {
        await done
        return
      }
      const { outcomes, title } = await reach(target, make)
      valuesOf(whereItIs(outcomes), title)
    },
    async workerInfo(options) {
      const { outcomes, title, host } = await reach(target, () => info(options))
      const infos = valuesOf(whereItIs(outcomes), title) as WorkerInfo[]
      const one = infos.find(({ status }) => status === 'running') ?? infos[0]!
      return (options?.host === 'all' && host === 'all' ? infos : one) as never
    },
    async delete(options) {
      const { outcomes, title } = await reach(target, () => end(options))
      valuesOf(whereItIs(outcomes), title)
    },
    pauseQueue: change(Verb.PAUSE),
    resumeQueue: change(Verb.RESUME),
  }
}

interface Made {
  call: Call
  host: string
}

interface Reached {
  readonly outcomes: readonly Outcome[]
  readonly title: string
  readonly host: string
}

/** Resolves to what came of it on each server that it went to. */
export async function reach(
  { route }: Pick<Target, 'route'>,
  make: () => Made,
  onValue?: (value: unknown) => void,
): Promise<Reached> {
  const { call, host } = make()
  const { title } = call
  if (host === 'all') return { outcomes: await everywhere(route, () => make().call, onValue), title, host }
  call.to = serverOf(route, host)
  return { outcomes: [{ server: call.to.address.text, value: await route.call(call) }], title, host }
}

/** What comes of a call about a cached result that is the same for all servers, whichever is named; else undefined. */
function shared({ route }: Target, make: () => Made): Promise<unknown> | undefined {
  try {
    if (!route.sharesResults) return undefined
    const { call, host } = make()
    if (host !== 'all') serverOf(route, host)
    return route.call(call)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** The first value that is not null; null when no server has one. */
function first(target: Target, make: () => Made): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onValue = (value: unknown) => {
      if (value !== null) resolve(value)
    }
    reach(target, make, onValue)
      .then(({ outcomes, title }) => {
        const values = valuesOf(whereItIs(outcomes), title)
        resolve(values.find((value) => value !== null) ?? null)
      })
      .catch(reject)
  })
}
