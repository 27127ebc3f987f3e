/** What the host finds out about a worker class when it loads it, as the supervisor gets to know it. */
import { ConfigurationError } from '../errors.js'
import { type Method, methodTable, type RefusedMethod } from './methods.js'
import { checkPlacement } from './placement.js'
import { type BackoffFunction, type KnownRetry, knownRetry, policiesOf, type RetryPolicy } from './retry-policy.js'
import { checkedMethod, type StandardSchema, schemasOf } from './schemas.js'
import { settingsOf, type WorkerSettings } from './settings.js'
import { BRAND, MetaWorker, type WorkerClass } from './worker.js'

export interface WorkerDescription extends Omit<WorkerSettings, 'workerName' | 'noAutoLoad' | 'retry' | 'retries'> {
  name: string
  retry: KnownRetry
  retries: Record<string, KnownRetry>
  /** What clients can call, in the order of the class. */
  methods: string[]
  /** Those of them whose argument has a schema. */
  schemas: string[]
  /** Names of the class that look callable and are not, and why: for the log. */
  refused: RefusedMethod[]
  autoLoad: boolean
}

export interface LoadedClass {
  Class: WorkerClass
  /** With their schemas in front. */
  methods: Map<string, Method>
  schemas: ReadonlyMap<string, StandardSchema>
  /** Of the methods that have a function for it. */
  backoffs: ReadonlyMap<string, BackoffFunction>
  description: WorkerDescription
}

/** Throws `ConfigurationError` when the class has a static that is not allowed. */
export function describeWorker(
  Class: WorkerClass,
  overrides: Partial<WorkerSettings>,
  fallbackName: string,
): LoadedClass {
  const settings = settingsOf(Class, overrides, fallbackName)
  checkPlacement(settings)
  const { methods, refused } = methodTable(Class.prototype, MetaWorker.prototype)
  const { workerName: name, noAutoLoad, retry, retries, ...rest } = settings
  for (const key of ['timeouts', 'retries'] as const) {
    for (const method of Object.keys(settings[key])) {
      if (methods.has(method)) continue
      throw new ConfigurationError(
        `${key} has ${JSON.stringify(method)}, which clients cannot call; methods are: ${[...methods.keys()].join(', ') || 'none'}`,
        { details: { key } },
      )
    }
  }
  const schemas = schemasOf(Class, methods)
  // Methods without a schema stay as they are, and cost nothing.
  for (const [method, schema] of schemas) methods.set(method, checkedMethod(method, schema, methods.get(method)!))
  return {
    Class,
    methods,
    schemas,
    backoffs: backoffsOf({ methods: [...methods.keys()], retry, retries }),
    description: {
      name,
      retry: knownRetry(retry),
      retries: Object.fromEntries(Object.entries(retries).map(([method, policy]) => [method, knownRetry(policy)])),
      methods: [...methods.keys()],
      schemas: [...schemas.keys()],
      refused,
      autoLoad: !noAutoLoad && !rest.reloadOnSchedule,
      ...rest,
    },
  }
}

function backoffsOf(policies: Parameters<typeof policiesOf<RetryPolicy>>[0]): Map<string, BackoffFunction> {
  const functions = new Map<string, BackoffFunction>()
  for (const [method, { backoff }] of policiesOf(policies)) {
    if (typeof backoff === 'function') functions.set(method, backoff)
  }
  return functions
}

/** Throws `ConfigurationError`, saying what the default export is instead, unless it is a worker class. */
export function asWorkerClass(value: unknown): WorkerClass {
  const expected = "expected is `export default class … extends MetaWorker`, with MetaWorker from 'offstage'"
  if (value === undefined) throw new ConfigurationError(`the file has no default export: ${expected}`)
  if (typeof value !== 'function') {
    throw new ConfigurationError(`its default export is ${kindOf(value)}, not a class: ${expected}`)
  }
  if (value === MetaWorker) throw new ConfigurationError(`its default export is MetaWorker itself: ${expected}`)
  if (value.prototype instanceof MetaWorker) return value as WorkerClass
  const copy: unknown = Reflect.get(value, BRAND)
  if (typeof copy === 'string') {
    throw new ConfigurationError(
      `its class ${value.name} extends the MetaWorker of a second copy of offstage, ${copy}, while this server runs ` +
        `${MetaWorker[BRAND]}: import MetaWorker from 'offstage', which finds the running one`,
    )
  }
  throw new ConfigurationError(
    `its default export, ${value.name || 'a function without a name'}, does not extend MetaWorker: ${expected}`,
  )
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
