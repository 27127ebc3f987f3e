/**
 * Which methods of a worker class clients may call: a table made once, at load, from the own functions of
 * the exported class's prototype. A call looks its method up here and nowhere else, never by `object[name]`.
 */
import { isGeneratorFunction } from 'node:util/types'

export type Method = (this: object, argument: unknown) => unknown

/** A name of the class that looks callable and is not. */
export interface RefusedMethod {
  name: string
  why: string
}

export interface MethodTable {
  methods: Map<string, Method>
  /** For the log. Names that nobody expects to call (`create`, `_x`, accessors) are left out silently. */
  refused: RefusedMethod[]
}

/** What JavaScript itself, or a promise, would call on an object that is passed around. */
const ASKED_BY_THE_LANGUAGE = new Set(['then', 'catch', 'finally', 'toJSON', 'valueOf', 'toString'])

/** What a client's proxy does itself. */
const ASKED_OF_THE_PROXY = new Set(['workerInfo', 'askResult', 'resetResult', 'delete', 'pauseQueue', 'resumeQueue'])

/** What printers and comparers, most of all those of test tools, look for on any object. */
const ASKED_BY_TOOLS = new Set(['prototype', 'inspect', 'nodeType', 'tagName', 'asymmetricMatch'])

/** `asyncFoo`, `enq_foo`: the proxy reads these as "foo, but…". */
const PREFIXED = /^(async|enq|deq)(?:_.|\p{Lu})/u

/** `base` is the prototype of `MetaWorker`. */
export function methodTable(prototype: object, base: object): MethodTable {
  const methods = new Map<string, Method>()
  const refused: RefusedMethod[] = []
  for (const key of Reflect.ownKeys(prototype)) {
    if (typeof key === 'symbol' || key === 'constructor' || key === 'create' || key.startsWith('_')) continue
    const value: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.value
    if (typeof value !== 'function') continue
    const why = whyNot(key, value, base)
    if (why === undefined) methods.set(key, value as Method)
    else refused.push({ name: key, why })
  }
  return { methods, refused }
}

function whyNot(name: string, method: unknown, base: object): string | undefined {
  if (ASKED_BY_THE_LANGUAGE.has(name)) return 'JavaScript itself calls it on objects that are passed around'
  if (ASKED_OF_THE_PROXY.has(name)) return "it is an operation of the client's proxy"
  if (ASKED_BY_TOOLS.has(name)) return "tools look for it on any object, so a client's proxy does not have it"
  const prefix = PREFIXED.exec(name)?.[1]
  if (prefix !== undefined) return `a client's proxy reads "${prefix}" before a name as a way to call that name`
  if (name in base) return 'it would hide a member that every worker has'
  if (isGeneratorFunction(method)) return 'it is a generator; return an array or a promise instead'
  return undefined
}
