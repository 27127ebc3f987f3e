/**
 * Schemas of arguments, of any library that follows Standard Schema (https://standardschema.dev), such as zod, valibot and
 * arktype. The few types of it that are needed are written here, so that no library is.
 */
import { ConfigurationError, type OffstageError, RemoteWorkerError } from '../errors.js'
import { describeThrown } from '../wire/failure.js'
import type { Method } from './methods.js'

export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What the schemas of a class take, for the methods that have one; else `A`. */
export type SchemaInput<C, M extends string, A> = C extends { readonly schemas: infer S }
  ? M extends keyof S
    ? S[M] extends StandardSchema
      ? NonNullable<S[M]['~standard']['types']>['input']
      : A
    : A
  : A

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** One thing that is wrong with an argument, as `details.issues` of the error has it. */
export interface ArgumentIssue {
  /** Keys and indices from the argument to the value in question; empty for the argument itself. */
  path: (string | number)[]
  message: string
}

/** More issues than these say nothing new, and would make an error longer than can be sent. */
const MOST_ISSUES = 50
const LONGEST_TEXT = 500

/** What a turn ends with whose method was not called. */
export class NotCalled extends Error {
  constructor(readonly error: OffstageError) {
    super(error.message)
  }
}

/** `static schemas` of a class. Throws `ConfigurationError` for what is no schema, or is for no method. */
export function schemasOf(Class: object, methods: ReadonlyMap<string, Method>): Map<string, StandardSchema> {
  const found: unknown = Reflect.get(Class, 'schemas')
  if (found === undefined) return new Map()
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    throw wrong('static schemas has to be an object with a schema for each of some methods')
  }
  const schemas = new Map<string, StandardSchema>()
  for (const [name, schema] of Object.entries(found)) {
    if (!methods.has(name)) {
      const there = [...methods.keys()].join(', ') || 'none'
      throw wrong(`schemas has ${JSON.stringify(name)}, which clients cannot call; methods are: ${there}`)
    }
    if (!isSchema(schema)) {
      throw wrong(
        `static schemas.${name} is no schema: it has to follow Standard Schema (have "~standard"), as those of zod, valibot and arktype do`,
      )
    }
    schemas.set(name, schema)
  }
  return schemas
}

/** The method with its schema in front: it gets what the schema makes of the argument. */
export function checkedMethod(name: string, schema: StandardSchema, method: Method): Method {
  return function (argument) {
    const fit = fitArgument(name, schema, argument)
    return fit instanceof Promise ? fit.then((value) => method.call(this, value)) : method.call(this, fit)
  }
}

/** What the schema makes of the argument. Throws, or rejects with, `NotCalled` when it does not fit. */
export function fitArgument(name: string, schema: StandardSchema, argument: unknown): unknown {
  try {
    const validated = schema['~standard'].validate(argument)
    if (!isThenable(validated)) return outcomeOf(name, validated)
    return Promise.resolve(validated)
      .then((later) => outcomeOf(name, later))
      .catch((thrown: unknown) => {
        throw notCalled(name, thrown)
      })
  } catch (thrown) {
    throw notCalled(name, thrown)
  }
}

function outcomeOf(name: string, validated: Validated<unknown>): unknown {
  if (validated.issues === undefined) return validated.value
  const issues = validated.issues.slice(0, MOST_ISSUES).map(readIssue)
  const left = validated.issues.length - 1
  const [first = { path: [], message: 'it was refused' }] = issues
  const further = left <= 0 ? '' : ` (and ${left} more)`
  throw new NotCalled(
    new RemoteWorkerError(
      'BAD_ARGUMENT',
      `the argument of ${name} does not fit its schema: ${textOf(first.path)}${first.message}${further}`,
      { details: { method: name, issues } },
    ),
  )
}

function readIssue({ message, path = [] }: SchemaIssue): ArgumentIssue {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
  return {
    path: keys.map((key) => (typeof key === 'number' ? key : clip(String(key)))),
    message: clip(String(message)),
  }
}

/** `items[0].price: `, and nothing for the argument itself. */
function textOf(path: readonly (string | number)[]): string {
  if (path.length === 0) return ''
  const text = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`
    return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  })
  return `${text.join('').replace(/^\./, '')}: `
}

function clip(text: string): string {
  const whole = text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`
  // Half a character cannot be sent.
  return whole.toWellFormed()
}

/** As it is, unless the schema itself failed. */
function notCalled(name: string, thrown: unknown): NotCalled {
  if (thrown instanceof NotCalled) return thrown
  const remote = describeThrown(thrown)
  const message = `the schema of ${name} failed: ${remote.message}`
  return new NotCalled(new RemoteWorkerError('WORKER_ERROR', message, { remote, details: { method: name } }))
}

/** What a schema gives need not be a promise of this realm, or of Node's. */
function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function'
}

function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard: unknown = Reflect.get(value, '~standard')
  return typeof standard === 'object' && standard !== null && typeof Reflect.get(standard, 'validate') === 'function'
}

function wrong(message: string): ConfigurationError {
  return new ConfigurationError(message, { details: { key: 'schemas' } })
}
