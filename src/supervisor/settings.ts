/**
 * Every setting of the `supervisor` section, in one table: what it takes, its default and what it is for.
 *
 * A setting can be given as a flag (`--port`), an environment variable (`OFFSTAGE_PORT`) or in the file; the
 * first of these wins. docs/CONFIGURATION.md's table is checked against this one by a test.
 */
import { z } from 'zod'
import { MOST_KEPT } from '../persistence/queue/kept-jobs.js'
import {
  DEFAULT_MAX_BODY,
  DEFAULT_MAX_CALL_BYTES,
  DEFAULT_MAX_CALLS,
  HANDSHAKE_TIMEOUT,
  HARD_MAX_BODY,
  LONGEST_TTL,
  MOST_ATTEMPTS,
} from '../wire/limits.js'

interface Setting<T> {
  readonly schema: z.ZodType<T>
  readonly fallback: T
  /** Where `value` comes from a list in one environment variable, it is split at this. */
  readonly list?: string
  readonly help: string
}

function setting<T>(schema: z.ZodType<T>, fallback: T, help: string, list?: string): Setting<T> {
  return list === undefined ? { schema, fallback, help } : { schema, fallback, help, list }
}

const seconds = (least: number, most: number) => z.number().min(least).max(most)
const folders = z.union([
  z
    .string()
    .min(1)
    .transform((folder) => [folder]),
  z.array(z.string().min(1)).min(1),
])

/** Seconds after which a minute can be cut into equal parts, as a cron step does. */
const SWEEP_PERIODS = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30]

export const SETTINGS = {
  ip: setting(z.string().min(1), '127.0.0.1', 'address to listen on'),
  port: setting(z.int().min(0).max(65_535), 11_006, 'port to listen on; 0 takes a free one'),
  socket: setting(z.string(), '', 'path of a Unix socket to listen on, in place of ip and port'),
  tls_cert: setting(z.string(), '', 'file with the certificate for TLS, in PEM'),
  tls_key: setting(z.string(), '', 'file with its key'),
  tls_ca: setting(z.string(), '', 'file with the certificates that those of clients are signed with'),
  tls_request_cert: setting(z.boolean(), false, 'clients need a certificate; the common name in it says who they are'),
  insecure: setting(z.boolean(), false, 'listen beyond this machine although there is no authentication, or no TLS'),
  environment: setting(
    z.string().min(1),
    'development',
    'name of the environment, which workers see as NODE_ENV; by default NODE_ENV',
  ),
  workers: setting<string[]>(folders, ['workers'], 'folder (or a list) that is searched for workers', ':'),
  data: setting(z.string().min(1), 'data', 'folder of the journal'),
  pid_file: setting(
    z.string().min(1),
    'offstage.pid',
    'file that says which process serves; in the folder `data` unless it is a whole path',
  ),
  log: setting(z.string().min(1), 'foreground', '`foreground` (standard output) or a file'),
  log_level: setting(
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    'least level to log',
  ),
  debug_log: setting(z.boolean(), false, 'the same as `log_level: debug`'),
  result_storage: setting(
    z.enum(['worker', 'memcache']),
    'worker',
    'where clients find cached results: `worker` is the supervisor itself, `memcache` the servers of that section',
  ),
  result_ttl: setting(
    seconds(0, LONGEST_TTL / 1_000),
    0,
    'seconds that a cached result is kept for which its worker sets no `ttl`; 0: as long as there is room',
  ),
  result_entries: setting(
    z.int().min(1).max(10_000_000),
    100_000,
    'cached results of all workers; beyond them the one goes that was not used for longest',
  ),
  result_bytes: setting(z.int().min(1_024).max(68_719_476_736), 134_217_728, 'bytes of the cached results, as well'),
  persistent_disabled: setting(z.boolean(), false, 'run without a durable queue; every enqueue is refused'),
  persistent_delay: setting(
    z.int().refine((period) => SWEEP_PERIODS.includes(period), { error: SWEEP_PERIODS.join(', ') }),
    1,
    'seconds between two sweeps for due jobs, and until a released job is due',
  ),
  attempts: setting(z.int().min(1).max(MOST_ATTEMPTS), 5, 'how often a job is started before it is kept as dead'),
  retry_delay: setting(seconds(0.001, 86_400), 1, 'seconds until the first retry; doubles with each further one'),
  retry_max_delay: setting(seconds(0.001, 2_592_000), 3_600, 'longest time until a retry, in seconds'),
  dead_jobs_keep: setting(
    seconds(0, 315_360_000),
    2_592_000,
    'seconds for which a dead job is kept, from its death on; 0: until somebody discards it',
  ),
  dead_jobs_entries: setting(
    z.int().min(0).max(10_000_000),
    100_000,
    'how many dead jobs are kept; beyond them the one that died first is discarded',
  ),
  job_results_keep: setting(
    seconds(0, 2_592_000),
    3_600,
    'seconds for which the result of a finished job is kept; 0: no results are kept',
  ),
  job_results_entries: setting(
    z.int().min(0).max(MOST_KEPT),
    10_000,
    'how many results are kept; beyond them the oldest is forgotten',
  ),
  job_results_bytes: setting(
    z.int().min(0).max(1_073_741_824),
    16_777_216,
    'bytes of the journal that kept results may take, each with about 90 besides its value',
  ),
  // Not less, so that the longest ERROR always fits.
  max_body: setting(z.int().min(262_144).max(HARD_MAX_BODY), DEFAULT_MAX_BODY, 'longest frame, in bytes'),
  max_connections: setting(z.int().min(1).max(1_000_000), 4_096, 'connections at a time; more are refused'),
  max_calls: setting(
    z.int().min(1).max(1_000_000),
    DEFAULT_MAX_CALLS,
    'calls under way on one connection; a client holds more back',
  ),
  max_call_bytes: setting(
    z.int().min(65_536).max(1_073_741_824),
    DEFAULT_MAX_CALL_BYTES,
    'bytes of the calls under way on one connection',
  ),
  max_unread: setting(
    z.int().min(1_048_576).max(4_294_967_296),
    67_108_864,
    'bytes that may wait for a client that does not read; with an eighth of it no more is read from it',
  ),
  unread_timeout: setting(
    seconds(0.1, 3_600),
    10,
    'seconds after which a client that has not read what waits for it is cut off',
  ),
  rate_frames: setting(z.number().min(0), 0, 'frames a second of one identity, 0 for any; beyond it, reading pauses'),
  rate_bytes: setting(z.number().min(0), 0, 'bytes a second of one identity, 0 for any; beyond it, reading pauses'),
  handshake_timeout: setting(
    seconds(0.1, 600),
    HANDSHAKE_TIMEOUT / 1_000,
    'seconds in which a client has to have finished its handshake',
  ),
  auth_attempts: setting(
    z.int().min(1).max(1_000_000),
    10,
    'failed authentications a minute of one address; beyond them it is not listened to',
  ),
  frame_timeout: setting(seconds(0.1, 3_600), 10, 'seconds in which a frame that has begun has to be whole'),
  heartbeat: setting(seconds(1, 3_600), 15, 'seconds of silence after which a client is asked for a sign of life'),
  watch: setting(z.boolean(), false, 'load workers again whose files change, for development'),
  stop_timeout: setting(seconds(0, 3_600), 10, 'seconds that running methods get when the supervisor stops'),
} as const

export type SettingName = keyof typeof SETTINGS

export type Settings = { [K in SettingName]: (typeof SETTINGS)[K]['fallback'] }

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

export function environmentVariable(name: SettingName): string {
  return `OFFSTAGE_${name.toUpperCase()}`
}
