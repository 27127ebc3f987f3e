/**
 * The configuration of a supervisor: flags over environment variables over the file over defaults, checked as
 * a whole before anything starts. A wrong key or value is a `ConfigurationError` that names the key, what was
 * found and what is allowed.
 */
import { delimiter, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import type { GroupPlan } from '../actors/group.js'
import { ConfigurationError, InvalidArgument } from '../errors.js'
import { MEMCACHE_VARIABLE, type MemcachedServers, memcacheFrom } from '../persistence/results/memcached/options.js'
import { type AccessRules, accessSchema } from './access.js'
import { check } from './config-check.js'
import { type Environment, findConfigFile, readConfigFile } from './config-file.js'
import { groupsSchema, readGroups } from './group-config.js'
import { type Plan, type Planned, planSchema, readPlan } from './schedule/plan.js'
import { environmentVariable, SETTING_NAMES, SETTINGS, type SettingName, type Settings } from './settings.js'
import { Users } from './users.js'
import { overridesSchema, type WorkerOverrides } from './worker-overrides.js'

export interface Config extends Settings {
  /** The file that was read, if there was one. */
  readonly file: string | undefined
  /** Nobody said where the workers are. */
  readonly workersByDefault: boolean
  readonly workerOverrides: ReadonlyMap<string, WorkerOverrides>
  readonly groups: readonly GroupPlan[]
  readonly schedules: readonly Planned[]
  /** Who may connect; empty: anyone. */
  readonly users: Users
  /** Who may do what; undefined: everybody everything. */
  readonly access: AccessRules | undefined
  /** Where cached results are kept; undefined: in the supervisor. */
  readonly memcache: MemcachedServers | undefined
}

export interface ConfigSources {
  readonly cwd: string
  readonly env: Environment
  /** `--config`. */
  readonly file?: string | undefined
  /** Settings given as flags, or by a program that embeds the supervisor. */
  readonly flags?: { readonly [K in SettingName]?: unknown }
  /** In place of the section `groups`. */
  readonly groups?: unknown
}

const fileSchema = z.strictObject({
  supervisor: z
    .strictObject(
      Object.fromEntries(SETTING_NAMES.map((name): [string, z.ZodType] => [name, SETTINGS[name].schema.optional()])),
    )
    .optional(),
  // The client's own business, with a password in it: it is neither looked at nor shown here.
  client: z.unknown().optional(),
  users: z.record(z.string(), z.unknown()).optional(),
  access: accessSchema.optional(),
  schedules: z.record(z.string(), z.record(z.string(), planSchema)).optional(),
  workers: z.record(z.string(), overridesSchema).optional(),
  groups: groupsSchema.optional(),
  memcache: z.unknown().optional(),
})

/** Sections without which there is no protection: what somebody meant who left one empty is not to be guessed. */
const EMPTY_MEANS_EVERYBODY: Readonly<Record<string, string>> = {
  users: 'connect: add users (offstage user add), or take the section out',
  access: 'do everything: add rules, write [] to allow nothing, or take the section out',
}

export function loadConfig(sources: ConfigSources): Config {
  const file = findConfigFile(sources.cwd, sources.file)
  const raw = file === undefined ? {} : readConfigFile(file, sources.env)
  // A section that is written but left empty is null in YAML.
  for (const [section, value] of Object.entries(raw)) {
    if (value !== null) continue
    const everybody = EMPTY_MEANS_EVERYBODY[section]
    if (everybody !== undefined) {
      throw new ConfigurationError(`${file}: ${section} is empty, which would let everybody ${everybody}`)
    }
    delete raw[section]
  }
  const parsed = check(fileSchema, raw, file ?? 'the configuration')
  const settings = { ...defaults(sources.env), ...parsed.supervisor } as Settings
  for (const name of Object.keys(sources.flags ?? {})) {
    if (name in SETTINGS) continue
    throw new ConfigurationError(`"${name}" is not a setting; allowed are: ${SETTING_NAMES.join(', ')}`)
  }
  for (const name of SETTING_NAMES) {
    const flag = sources.flags?.[name]
    const variable = environmentVariable(name)
    const text = sources.env[variable]
    if (flag !== undefined) assign(settings, name, flag, `--${name.replaceAll('_', '-')}`)
    else if (text !== undefined && text !== '') assign(settings, name, fromText(name, text), variable)
  }
  const workersByDefault = settings.workers === SETTINGS.workers.fallback
  settings.workers = settings.workers.map((folder) => resolve(sources.cwd, folder))
  settings.data = resolve(sources.cwd, settings.data)
  settings.pid_file = resolve(settings.data, settings.pid_file)
  for (const name of ['socket', 'tls_cert', 'tls_key', 'tls_ca'] as const) {
    if (settings[name] !== '') settings[name] = resolve(sources.cwd, settings[name])
  }
  if (settings.log !== 'foreground') settings.log = resolve(sources.cwd, settings.log)
  if (settings.debug_log && settings.log_level === 'info') settings.log_level = 'debug'
  const declared = sources.groups === undefined ? parsed.groups : check(groupsSchema, sources.groups, 'groups')
  return {
    ...settings,
    file,
    workersByDefault,
    workerOverrides: new Map(Object.entries(parsed.workers ?? {})),
    groups: readGroups(declared ?? {}, parsed.workers ?? {}, 'groups'),
    users: Users.read(parsed.users ?? {}, file ?? 'the configuration'),
    access: parsed.access,
    memcache: readMemcacheSection(settings.result_storage, parsed.memcache, sources.env, file),
    schedules: readSchedules(parsed.schedules ?? {}, file ?? 'the configuration'),
  }
}

function defaults(env: Environment): Settings {
  const settings = Object.fromEntries(SETTING_NAMES.map((name) => [name, SETTINGS[name].fallback]))
  if (env.NODE_ENV) settings.environment = env.NODE_ENV
  return settings as Settings
}

function assign(settings: Settings, name: SettingName, value: unknown, where: string): void {
  Object.assign(settings, { [name]: check(SETTINGS[name].schema as z.ZodType, value, where) })
}

/** An environment variable as a value: `11006` is a number, `true` is a boolean, and lists are split. */
function fromText(name: SettingName, text: string): unknown {
  if ('list' in SETTINGS[name]) return text.split(delimiter)
  if (typeof SETTINGS[name].fallback === 'string') return text
  const value: unknown = parseYaml(text)
  return value
}

/** A section that is not used is checked, too. */
function readMemcacheSection(
  storage: Settings['result_storage'],
  section: unknown,
  env: Environment,
  file = 'the configuration',
): MemcachedServers | undefined {
  try {
    const memcache = memcacheFrom(section, `${file}: memcache`, env)
    if (storage !== 'memcache') return undefined
    if (memcache !== undefined) return memcache
  } catch (error) {
    if (error instanceof InvalidArgument) throw new ConfigurationError(error.message, { cause: error })
    throw error
  }
  throw new ConfigurationError(
    `result_storage is "memcache", and nothing says where that is: add memcache: "10.0.0.1:11211" to ${file}, or set ${MEMCACHE_VARIABLE}`,
  )
}

function readSchedules(workers: Record<string, Record<string, Plan>>, file: string): Planned[] {
  return Object.entries(workers).flatMap(([worker, methods]) =>
    Object.entries(methods).map(([method, plan]) =>
      readPlan({ worker, workerKey: '', method }, plan, `${file}: schedules.${worker}.${method}`),
    ),
  )
}
