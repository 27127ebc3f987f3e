/**
 * Worker proxies: any method name gives a function that sends a call. The functions are made on first use and
 * then are own properties, so a method that was called before costs an ordinary property read.
 */
import { Verb } from '../wire/envelope.js'
import { Call } from './call.js'
import { broadcast, everywhere, valuesOf } from './everywhere.js'
import { instanceMethods } from './instance-methods.js'
import { JobHandle } from './job.js'
import { readOptions } from './options.js'
import type { Route } from './route.js'
import { serverOf, Target } from './target.js'

/**
 * Names that programs ask any object for: as methods they would make a proxy look like something else. The server
 * refuses methods of these names when it loads a worker (methods.ts), and the types leave them out (types.ts).
 */
const NOT_METHODS = new Set([
  'then',
  'catch',
  'finally',
  'constructor',
  'prototype',
  'toJSON',
  'toString',
  'toLocaleString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  'inspect',
  'nodeType',
  'tagName',
  'asymmetricMatch',
])

type Method = (options?: unknown) => Promise<unknown>

export function workerProxy(route: Route, worker: string, workerKey: string): object {
  const target = new Target(route, worker, workerKey)
  const methods = new Proxy(Object.freeze(Object.create(null)) as object, {
    get(_target, name): Method | undefined {
      if (typeof name === 'symbol' || NOT_METHODS.has(name) || name.startsWith('_')) return undefined
      const method = makeMethod(target, name)
      Object.defineProperty(proxy, name, { value: method })
      return method
    },
  })
  const proxy = Object.create(methods) as object
  for (const [name, method] of Object.entries(instanceMethods(target))) {
    Object.defineProperty(proxy, name, { value: method })
  }
  return proxy
}

/** Sends the call that `make` gives; what it throws is a rejection. */
export function run(route: Route, make: () => Call): Promise<unknown> {
  try {
    return route.call(make())
  } catch (error) {
    return Promise.reject(error)
  }
}

function makeMethod(target: Target, name: string): Method {
  const { verb, method } = parseName(name)
  const { route } = target
  const wrap = verb === Verb.ENQUEUE ? handlesOf(route) : undefined
  return (options) => {
    try {
      const call = target.call(verb, method)
      call.wrap = wrap
      const { host } = readOptions(call, options)
      if (host === undefined) return verb === Verb.DEQUEUE ? dequeue(route, call, options) : route.call(call)
      if (host === 'all') return onAll(target, call, options)
      call.to = serverOf(route, host)
      return route.call(call)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

async function onAll(target: Target, { verb, method, wrap }: Call, options: unknown): Promise<unknown> {
  const make = () => {
    const call = target.call(verb, method)
    call.wrap = wrap
    readOptions(call, options)
    return call
  }
  const values = valuesOf(await everywhere(target.route, make), make().title)
  return verb === Verb.ASYNC ? undefined : values
}

/** What an enqueue is answered with, as the handle of the job. */
function handlesOf(route: Route): (value: unknown, server: string) => JobHandle {
  return (value, server) => {
    const { id, created, replaced = false } = value as { id: number; created: boolean; replaced?: true }
    return new JobHandle(route, id, created, replaced, server)
  }
}

/** The job may lie where its key belonged when other servers were up: who does not have it is not the last to ask. */
async function dequeue(route: Route, call: Call, options: unknown): Promise<unknown> {
  // Of the connections there are now: when these are closed meanwhile, no others are made for it.
  const { links } = route
  const removed = await route.call(call)
  const others = links.filter((link) => link.open && link.address.text !== call.server)
  if (removed === true || others.length === 0) return removed
  const again = () => {
    const copy = new Call(call.verb, call.worker, call.workerKey, call.method)
    readOptions(copy, options)
    return copy
  }
  const outcomes = await broadcast(route, others, again)
  const there = outcomes.filter(({ error }) => error?.code !== 'NO_WORKER')
  return valuesOf(there, call.title).includes(true)
}

/** `asyncSomeTask` and `async_some_task` ask for the methods `someTask` and `some_task`, and so on. */
function parseName(name: string): { verb: number; method: string } {
  const match = /^(async|enq|deq)(?:_(.+)|(\p{Lu}.*))$/su.exec(name)
  if (match === null) return { verb: Verb.CALL, method: name }
  const verb = match[1] === 'async' ? Verb.ASYNC : match[1] === 'enq' ? Verb.ENQUEUE : Verb.DEQUEUE
  const camel = match[3]
  return { verb, method: camel === undefined ? match[2]! : camel[0]!.toLowerCase() + camel.slice(1) }
}
