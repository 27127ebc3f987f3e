/**
 * Worker proxies: any method name gives a function that sends a call. The functions are made on first use and
 * then are own properties, so a method that was called before costs an ordinary property read.
 */
import { InvalidArgument } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { Call, cancelled } from './call.js'
import type { Link } from './link.js'
import { readCommonOptions, readOptions, show, text } from './options.js'

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

/** The instance that a proxy stands for. */
class Target {
  constructor(
    readonly link: Link,
    readonly worker: string,
    readonly workerKey: string,
  ) {}

  /** A call to it; throws when its name or key cannot be one. */
  call(verb: number, method = ''): Call {
    text(this.worker, 'the name of the worker')
    if (this.workerKey !== '') text(this.workerKey, 'the key of the worker')
    return new Call(verb, this.worker, this.workerKey, method)
  }
}

export function workerProxy(link: Link, worker: string, workerKey: string): object {
  const target = new Target(link, worker, workerKey)
  const own: Record<string, (...args: never[]) => Promise<unknown>> = {
    askResult: (key: unknown, options?: unknown) =>
      run(link, () => {
        const call = target.call(Verb.ASK_RESULT)
        call.jobKey = text(key, 'the key of askResult')
        return withOptions(call, options)
      }),
    resetResult: (key: unknown, value?: unknown, options?: unknown) =>
      run(link, () => {
        const call = target.call(Verb.RESET_RESULT)
        call.jobKey = text(key, 'the key of resetResult')
        if (value !== undefined) call.payload = encodeValue(value, 'value')
        return withOptions(call, options)
      }).then(ignore),
    workerInfo: (options?: unknown) => run(link, () => withOptions(target.call(Verb.WORKER_INFO), options)),
    delete: (options?: unknown) => run(link, () => withOptions(target.call(Verb.DELETE), options)).then(ignore),
  }
  const methods = new Proxy(Object.freeze(Object.create(null)) as object, {
    get(_target, name): Method | undefined {
      if (typeof name === 'symbol' || NOT_METHODS.has(name) || name.startsWith('_')) return undefined
      const method = makeMethod(target, name)
      Object.defineProperty(proxy, name, { value: method })
      return method
    },
  })
  const proxy = Object.create(methods) as object
  for (const [name, method] of Object.entries(own)) Object.defineProperty(proxy, name, { value: method })
  return proxy
}

export function withOptions(call: Call, options: unknown): Call {
  readCommonOptions(call, options)
  return call
}

/** Sends the call that `make` gives; what it throws is a rejection. */
export function run(link: Link, make: () => Call): Promise<unknown> {
  try {
    return start(link, make())
  } catch (error) {
    return Promise.reject(error)
  }
}

function start(link: Link, call: Call): Promise<unknown> {
  const { signal } = call
  if (signal?.aborted) return Promise.reject(cancelled(call, signal))
  if (call.limit < 0) call.limit = link.timeout
  const promise = call.begin(link)
  link.send(call)
  return promise
}

function makeMethod(target: Target, name: string): Method {
  const { verb, method } = parseName(name)
  const { link } = target
  return (options) => {
    try {
      const call = target.call(verb, method)
      const { host } = readOptions(call, options)
      if (host === undefined) return start(link, call)
      const all = reaches(link, host)
      const answer = start(link, call)
      return all && verb !== Verb.ASYNC ? answer.then(inArray) : answer
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

/** `asyncSomeTask` and `async_some_task` ask for the methods `someTask` and `some_task`, and so on. */
function parseName(name: string): { verb: number; method: string } {
  const match = /^(async|enq|deq)(?:_(.+)|(\p{Lu}.*))$/su.exec(name)
  if (match === null) return { verb: Verb.CALL, method: name }
  const verb = match[1] === 'async' ? Verb.ASYNC : match[1] === 'enq' ? Verb.ENQUEUE : Verb.DEQUEUE
  const camel = match[3]
  return { verb, method: camel === undefined ? match[2]! : camel[0]!.toLowerCase() + camel.slice(1) }
}

/** Checks that `host` means the server that the link goes to, and says whether it was `'all'`. */
function reaches(link: Link, host: string): boolean {
  const { addresses } = link
  const known = host === 'all' || host === 'local' || addresses.some((address) => address.text === host)
  const names = addresses.map((address) => address.text).join(', ')
  if (!known) {
    throw new InvalidArgument(`host is ${show(host)}: it has to be 'all', 'local' or a configured server (${names})`)
  }
  if (addresses.length > 1) {
    throw new InvalidArgument(
      `host is ${show(host)}, and with several servers (${names}) this version goes to one of them at a time: ` +
        'leave host out, or connect to that server alone',
    )
  }
  return host === 'all'
}

function inArray(value: unknown): unknown[] {
  return [value]
}

function ignore(): void {}
