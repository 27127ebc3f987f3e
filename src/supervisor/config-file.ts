/**
 * Reads the configuration file: finds it, parses the YAML, takes the leading colons off old files' keys and
 * puts environment variables in place of `${NAME}`. What the keys mean is `config.ts`'s business.
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Document, isPair, parseDocument, visit } from 'yaml'
import { ConfigurationError } from '../errors.js'

/** Looked for in this order in the working directory. */
const CONFIG_NAMES = ['offstage.yml', 'config/offstage.yml', 'config/backgroundrb.yml'] as const

export type Environment = Readonly<Record<string, string | undefined>>

/** The file to read, or undefined when there is none; a file that was asked for by name must exist. */
export function findConfigFile(cwd: string, asked: string | undefined): string | undefined {
  if (asked !== undefined) {
    const path = resolve(cwd, asked)
    if (!existsSync(path)) throw new ConfigurationError(`the configuration file ${path} does not exist`)
    return path
  }
  return CONFIG_NAMES.map((name) => resolve(cwd, name)).find((path) => existsSync(path))
}

/** The sections of the file, by name. `supervisor` and its old name `backgroundrb` are one section. */
export function readConfigFile(path: string, env: Environment): Record<string, unknown> {
  const document = parseDocument(read(path), { prettyErrors: true })
  const broken = document.errors[0]
  if (broken !== undefined) {
    // Its further lines repeat what stands there, which may be a password.
    throw new ConfigurationError(`${path} is not valid YAML: ${broken.message.split(':\n')[0]}`)
  }
  substituteAll(document, path, env)
  const value: unknown = document.toJS()
  if (value === null || value === undefined) return {}
  if (!isMap(value)) throw new ConfigurationError(`${path} holds ${describe(value)} and not a map of sections`)
  const sections = clean(value, path) as Record<string, unknown>
  if ('backgroundrb' in sections) {
    if ('supervisor' in sections) {
      throw new ConfigurationError(
        `${path} has both "supervisor" and "backgroundrb": these are two names of one section, keep one`,
      )
    }
    sections.supervisor = sections.backgroundrb
    delete sections.backgroundrb
  }
  return sections
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigurationError(`${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** Takes the colons off the keys. */
function clean(value: unknown, at: string): unknown {
  if (Array.isArray(value)) return value.map((item, i) => clean(item, `${at}[${i}]`))
  if (!isMap(value)) return value
  const result: Record<string, unknown> = Object.create(null)
  for (const [key, child] of Object.entries(value)) {
    const name = withoutColon(key)
    if (name in result) throw new ConfigurationError(`${at}: the key "${name}" stands twice, with and without a colon`)
    result[name] = clean(child, `${at}: ${name}`)
  }
  return result
}

/** As YAML has it: without quotes, what looks like a number or a boolean is one. */
const NOT_TEXT = /^(true|false|-?(0|[1-9]\d*)(\.\d+)?)$/

function substituteAll(document: Document, path: string, env: Environment): void {
  visit(document, {
    Scalar(key, node, parents) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
      const names = parents.filter(isPair).map((pair) => withoutColon(String(pair.key)))
      const text = substitute(node.value, [path, ...names].join(': '), env)
      node.value = node.type === 'PLAIN' && NOT_TEXT.test(text) ? JSON.parse(text) : text
    },
  })
}

function substitute(text: string, at: string, env: Environment): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, inner: string) => {
    const [name = '', ...rest] = inner.split(':-')
    const value = env[name]
    // As a shell takes `:-`, and the client the same file: empty is as good as not set.
    if (value !== undefined && value !== '') return value
    if (rest.length > 0) return rest.join(':-')
    throw new ConfigurationError(
      `${at}: the environment variable ${name} is not set; set it, or give a default as \${${name}:-value}`,
    )
  })
}

function withoutColon(key: string): string {
  return key.startsWith(':') ? key.slice(1) : key
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** A value as an error message names it. */
export function describe(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return `${JSON.stringify(value)} (${typeof value})`
}
