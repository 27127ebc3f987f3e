/** Checks what somebody has written by a schema, and says what is wrong: which key, what was found, what is allowed. */
import { z } from 'zod'
import { ConfigurationError } from '../errors.js'
import { describe } from './config-file.js'

/** Throws a `ConfigurationError` with a line for each problem, which begins with `where`. */
export function check<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.flatMap((issue) => explain(issue, value, schema, where))
  throw new ConfigurationError(lines.join('\n'))
}

type Issue = z.core.$ZodIssue

function explain(issue: Issue, root: unknown, schema: z.ZodType, where: string): string[] {
  const path = issue.path.map(String)
  const name = path.length === 0 ? where : `${where}: ${path.join('.')}`
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedKeys(schema, path).join(', ')
    const prefix = path.length === 0 ? `${where}: ` : `${name}.`
    return issue.keys.map((key) => `${prefix}${key} is not a known key; allowed here: ${allowed}`)
  }
  const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], root)
  // What stands there may be a password.
  const found = path[0] === 'users' ? 'not what belongs there' : describe(value)
  const expected = issue.code === 'invalid_union' ? issue.errors.flat().map(expectation) : [expectation(issue)]
  return [`${name} is ${found}; allowed: ${[...new Set(expected)].join(', or ')}`]
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'int') return 'a whole number'
      return (
        { record: 'a map', object: 'a map', array: 'a list', string: 'text', boolean: 'true or false' }[
          issue.expected as string
        ] ?? `a ${issue.expected}`
      )
    case 'invalid_value':
      return issue.values.map((value) => String(value)).join(', ')
    case 'too_small':
      return issue.origin === 'string' ? 'text that is not empty' : `at least ${issue.minimum}`
    case 'too_big':
      return `at most ${issue.maximum}`
    default:
      return issue.message
  }
}

/** The keys of the object schema that `path` leads to. */
function allowedKeys(schema: z.ZodType, path: readonly string[]): string[] {
  let at: unknown = schema
  for (const key of path) {
    at = unwrap(at)
    if (at instanceof z.ZodObject) at = (at.shape as Record<string, unknown>)[key]
    else if (at instanceof z.ZodRecord) at = at.valueType
    else if (at instanceof z.ZodArray) at = at.element
  }
  at = unwrap(at)
  return at instanceof z.ZodObject ? Object.keys(at.shape as object) : []
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema
}
