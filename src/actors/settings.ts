/**
 * The statics of a worker class: what they are called, what they may be, what holds without them. The
 * configuration's section `workers` may override each; both go through the same check.
 */
import { ConfigurationError } from '../errors.js'
import { isRateLimit, RATE_LIMIT_ALLOWED, type RateLimit } from './rate-limit.js'
import { RESTART_TYPES, type RestartType } from './restarts.js'
import { isRetryPolicy, RETRY_ALLOWED, type RetryPolicy } from './retry-policy.js'

export const HOST_KINDS = ['thread', 'process', 'inline'] as const
export type HostKind = (typeof HOST_KINDS)[number]

export interface WorkerSettings {
  /** The name that clients use; by default the file's name without its ending. */
  workerName: string
  /** Not started with the supervisor. */
  noAutoLoad: boolean
  /** Not started with the supervisor: each firing of a schedule has an instance of its own. */
  reloadOnSchedule: boolean
  /** Messages that may be in work at a time. */
  concurrency: number
  host: HostKind
  /** Milliseconds for `create`, and for the import too when it is started again; 0: any. */
  createTimeout: number
  restart: RestartType
  /** More failures than this within `restartPeriod` stop the worker as failed. */
  maxRestarts: number
  /** Seconds. */
  restartPeriod: number
  /** Messages that may wait or be in work; more are refused as overloaded. */
  mailboxLimit: number
  /** MiB of JavaScript heap for a thread or process; 0: Node's own limit. */
  memoryLimit: number
  /** Environment variables of a thread or process, besides the supervisor's; they win. */
  env: Record<string, string>
  /** Flags of Node for a process, besides the supervisor's. */
  execArgv: string[]
  /** The most threads of `threadPool`. */
  poolSize: number
  /** Milliseconds that a method may run; 0: any. */
  timeout: number
  /** The same for single methods, in place of `timeout`. */
  timeouts: Record<string, number>
  /** How many queued jobs may start in a period; null: any. */
  rateLimit: RateLimit | null
  /** When queued jobs are tried again. */
  retry: RetryPolicy
  /** The same for single methods, in place of `retry`. */
  retries: Record<string, RetryPolicy>
  /** Milliseconds that a method gets to end once its signal has fired, before its host is ended; 0: any. */
  grace: number
}

/** A mailbox numbers its messages with 20 bits. */
const MAILBOX_LIMIT = 1_000_000

interface Rule {
  readonly key: keyof WorkerSettings
  readonly fallback: string | number | boolean | object | null
  readonly allowed: string
  readonly check: (value: unknown) => boolean
}

function wholeNumber(least: number, most: number): Pick<Rule, 'allowed' | 'check'> {
  return {
    allowed: `a whole number from ${least} to ${most}`,
    check: (value) => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
  }
}

function isMilliseconds(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value)
}

const MILLISECONDS: Pick<Rule, 'allowed' | 'check'> = {
  allowed: 'a number of milliseconds from 0, which stands for no limit',
  check: isMilliseconds,
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Without the character that ends a text for the operating system. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.:-]{0,127}$/u

const RULES: readonly Rule[] = [
  {
    key: 'workerName',
    fallback: '',
    allowed: 'text of 1 to 128 letters, digits and _ - . :, and not beginning with one of the last three',
    check: (value) => typeof value === 'string' && NAME.test(value),
  },
  {
    key: 'noAutoLoad',
    fallback: false,
    allowed: 'true or false',
    check: (value) => typeof value === 'boolean',
  },
  {
    key: 'reloadOnSchedule',
    fallback: false,
    allowed: 'true or false',
    check: (value) => typeof value === 'boolean',
  },
  { key: 'concurrency', fallback: 1, ...wholeNumber(1, 10_000) },
  {
    key: 'host',
    fallback: 'thread',
    allowed: `'thread', 'process' or 'inline'`,
    check: (value) => HOST_KINDS.some((kind) => kind === value),
  },
  { key: 'createTimeout', fallback: 60_000, ...MILLISECONDS },
  {
    key: 'restart',
    fallback: 'permanent',
    allowed: `'permanent', 'transient' or 'temporary'`,
    check: (value) => RESTART_TYPES.some((type) => type === value),
  },
  { key: 'maxRestarts', fallback: 5, ...wholeNumber(0, 1_000_000) },
  {
    key: 'restartPeriod',
    fallback: 60,
    allowed: 'a number of seconds above 0',
    check: (value) => typeof value === 'number' && value > 0 && Number.isFinite(value),
  },
  { key: 'mailboxLimit', fallback: 10_000, ...wholeNumber(1, MAILBOX_LIMIT) },
  { key: 'memoryLimit', fallback: 0, ...wholeNumber(0, 1_000_000) },
  {
    key: 'env',
    fallback: {},
    allowed: 'an object with the text of each variable, whose name has no =',
    check: (value) =>
      isRecord(value) && Object.entries(value).every(([name, text]) => /^[^=\0]+$/.test(name) && isText(text)),
  },
  {
    key: 'execArgv',
    fallback: [],
    allowed: "a list of flags of Node, such as ['--expose-gc']",
    check: (value) => Array.isArray(value) && value.every((flag) => isText(flag) && flag !== ''),
  },
  { key: 'poolSize', fallback: 20, ...wholeNumber(1, 1000) },
  { key: 'timeout', fallback: 0, ...MILLISECONDS },
  {
    key: 'timeouts',
    fallback: {},
    allowed: 'an object with a number of milliseconds (0 for no limit) for each of some methods',
    check: (value) => isRecord(value) && Object.values(value).every(isMilliseconds),
  },
  {
    key: 'rateLimit',
    fallback: null,
    allowed: RATE_LIMIT_ALLOWED,
    check: (value) => value === null || isRateLimit(value),
  },
  { key: 'retry', fallback: {}, allowed: RETRY_ALLOWED, check: isRetryPolicy },
  {
    key: 'retries',
    fallback: {},
    allowed: `for each of some methods ${RETRY_ALLOWED}`,
    check: (value) => isRecord(value) && Object.values(value).every(isRetryPolicy),
  },
  { key: 'grace', fallback: 5_000, ...MILLISECONDS },
]

/** `statics` is the class, whose inherited statics count; `overrides` win. Throws `ConfigurationError`. */
export function settingsOf(statics: object, overrides: Partial<WorkerSettings>, fallbackName: string): WorkerSettings {
  const settings: Record<string, unknown> = {}
  for (const rule of RULES) {
    const override = overrides[rule.key]
    const own: unknown = Reflect.get(statics, rule.key)
    const value = override ?? own ?? (rule.key === 'workerName' ? fallbackName : rule.fallback)
    if (!rule.check(value)) {
      const where =
        override !== undefined
          ? `the setting ${rule.key}`
          : own !== undefined
            ? `static ${rule.key}`
            : `${rule.key}, which is the file's name when nothing else is said,`
      throw new ConfigurationError(`${where} is ${show(value)}: allowed is ${rule.allowed}`, {
        details: { key: rule.key },
      })
    }
    settings[rule.key] = value
  }
  return settings as unknown as WorkerSettings
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
