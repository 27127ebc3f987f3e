/** The section `workers` of the configuration: what it may say about each worker. */
import { z } from 'zod'
import { RESTART_TYPES } from '../actors/restarts.js'
import { HOST_KINDS, type WorkerSettings } from '../actors/settings.js'

const retry = z
  .strictObject({
    attempts: z.int().min(1).max(65_535),
    backoff: z.enum(['exponential', 'fixed']),
    delay: z.number().min(0),
    max_delay: z.number().min(0),
    jitter: z.number().min(0).max(1),
    except: z.array(z.string()),
  })
  .partial()
  .transform(({ max_delay, ...rest }) => (max_delay === undefined ? rest : { ...rest, maxDelay: max_delay }))

/** 0 stands for no limit. */
const milliseconds = z.number().min(0)

const settings = {
  no_auto_load: z.boolean(),
  reload_on_schedule: z.boolean(),
  concurrency: z.int().min(1).max(10_000),
  host: z.enum(HOST_KINDS),
  create_timeout: milliseconds,
  restart: z.enum(RESTART_TYPES),
  max_restarts: z.int().min(0).max(1_000_000),
  restart_period: z.number().positive(),
  mailbox_limit: z.int().min(1).max(1_000_000),
  memory_limit: z.int().min(0).max(1_000_000),
  env: z.record(z.string(), z.string()),
  exec_argv: z.array(z.string()),
  pool_size: z.int().min(1).max(1000),
  timeout: milliseconds,
  timeouts: z.record(z.string(), milliseconds),
  rate_limit: z.strictObject({ jobs: z.int().min(1).max(100_000), per: z.int().min(1).max(86_400_000) }).nullable(),
  retry,
  retries: z.record(z.string(), retry),
  grace: milliseconds,
}

export const overridesSchema = z.strictObject({ ...settings, data: z.unknown() }).partial()

/** What `workers.<name>` in the file may say; it wins over the class's own statics. `data` reaches `create`. */
export type WorkerOverrides = z.infer<typeof overridesSchema>

/** The settings among them, by the names that they have in the class. */
export function settingsOf({ data: _, ...overrides }: WorkerOverrides): Partial<WorkerSettings> {
  const named = Object.entries(overrides).map(([name, value]) => [camelCase(name), value] as const)
  return Object.fromEntries(named.filter(([, value]) => value !== undefined))
}

function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}
