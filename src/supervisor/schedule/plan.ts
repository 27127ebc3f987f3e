/** What may be said of one schedule, in the configuration and in `newWorker`, and what it comes to. */
import { z } from 'zod'
import { ConfigurationError } from '../../errors.js'
import { encodeValue } from '../../wire/codec.js'
import { parseCron } from './cron.js'
import { parseDuration, parseMoment } from './moment.js'
import { next } from './next.js'
import type { Times } from './timer.js'
import { type Zone, zoneOf } from './zone.js'

const OVERLAPS = ['skip', 'queue', 'parallel'] as const
const MISSED = ['skip', 'once'] as const

export interface Schedule {
  /** Names it in the log, in the file of firings, and to those who ask: see `nameOf`. */
  readonly name: string
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  readonly times: Times
  /** Its times may come again when the clock is set back. */
  readonly repeats: boolean
  /** The same as it is written, for people. */
  readonly when: string
  /** IANA name of the zone that it is meant in. */
  readonly timezone: string
  /** In CBOR; empty for none. */
  readonly argument: Uint8Array
  /** What a firing does while the one before still runs. */
  readonly overlap: (typeof OVERLAPS)[number]
  /** What becomes of firings while the supervisor was down or asleep. */
  readonly missed: (typeof MISSED)[number]
  /** Milliseconds; each firing is late by a random part of it. */
  readonly jitter: number
  /** Milliseconds that a call may take; -1 for any. */
  readonly timeout: number
  /** Each firing is a queued job. */
  readonly persistent: boolean
}

/** A schedule before it begins, which is what `in 5 seconds` counts from. */
export interface Planned extends Omit<Schedule, 'times'> {
  readonly timesFrom: (now: number) => Times
}

const moment = z.union([z.string(), z.date()])
const duration = z.union([z.string(), z.number()])
const span = { start: moment.optional(), end: moment.optional(), repeat_interval: duration.optional() }

export const planSchema = z.strictObject({
  trigger_args: z.union([z.string(), z.strictObject(span)]).optional(),
  cron: z.string().optional(),
  ...span,
  timezone: z.string().optional(),
  data: z.unknown().optional(),
  overlap: z.enum(OVERLAPS).optional(),
  missed: z.enum(MISSED).optional(),
  jitter: duration.optional(),
  timeout: duration.optional(),
  persistent: z.boolean().optional(),
})

export type Plan = z.infer<typeof planSchema>

export interface Target {
  readonly worker: string
  readonly workerKey: string
  readonly method: string
}

/** `worker.method`, or `worker[key].method`. */
export function nameOf({ worker, workerKey, method }: Target): string {
  return `${worker}${workerKey === '' ? '' : `[${workerKey}]`}.${method}`
}

/** Throws a `ConfigurationError` that begins with `where`. */
export function readPlan(target: Target, plan: Plan, where: string): Planned {
  if (target.method === 'create') {
    throw new ConfigurationError(
      `${where}: create runs once when a worker is started and cannot be scheduled; schedule another method`,
    )
  }
  const { persistent = false, jitter, timeout } = plan
  if (persistent) checkPersistent(plan, where)
  const zone = zoneOf(plan.timezone, where)
  const timesFrom = (now: number) => timesOf(plan, zone, now, where)
  // What is wrong with them is said now.
  timesFrom(Date.now())
  return {
    name: nameOf(target),
    ...target,
    timesFrom,
    repeats: repeatsOf(plan, where),
    when: whenOf(plan),
    timezone: plan.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    argument: argumentOf(plan, where),
    overlap: plan.overlap ?? 'skip',
    missed: plan.missed ?? 'skip',
    jitter: jitter === undefined || jitter === 0 ? 0 : parseDuration(jitter, 1_000, `${where}.jitter`),
    timeout: timeout === undefined ? -1 : Math.ceil(parseDuration(timeout, 1, `${where}.timeout`)),
    persistent,
  }
}

/** What is in every hour alike, or every so often, follows the clock. What is meant for a certain time is meant once. */
function repeatsOf({ missed, trigger_args: trigger, cron, repeat_interval }: Plan, where: string): boolean {
  if (missed === 'once') return false
  const line = typeof trigger === 'string' ? trigger : cron
  if (line !== undefined) return !parseCron(line, where).fixedHours
  return (typeof trigger === 'object' ? trigger.repeat_interval : repeat_interval) !== undefined
}

function argumentOf({ data }: Plan, where: string): Uint8Array {
  if (data === undefined) return new Uint8Array(0)
  try {
    return encodeValue(data, `${where}.data`)
  } catch (cause) {
    throw new ConfigurationError((cause as Error).message, { cause })
  }
}

/** The cron line, or what there is of start, repeat_interval and end. */
function whenOf({ trigger_args: trigger, cron, start, end, repeat_interval }: Plan): string {
  const line = typeof trigger === 'string' ? trigger : cron
  if (line !== undefined) return line
  const span = typeof trigger === 'object' ? trigger : { start, repeat_interval, end }
  const facts = Object.entries(span).filter(([, fact]) => fact !== undefined)
  return facts.map(([key, fact]) => `${key} ${fact instanceof Date ? fact.toISOString() : fact}`).join(', ')
}

function checkPersistent({ overlap, missed, timeout }: Plan, where: string): void {
  const because = (key: string, why: string) =>
    new ConfigurationError(`${where}.${key} has no meaning with persistent: true: ${why}; leave one of them out`)
  if (overlap !== undefined) throw because('overlap', 'its firings wait in the queue until the worker has room')
  if (missed === 'skip') throw because('missed', 'the next firing is in the queue before its time, and runs late')
  if (timeout !== undefined) throw because('timeout', 'queued jobs have the limits of their worker, static timeouts')
}

function timesOf(plan: Plan, zone: Zone, now: number, where: string): Times {
  const { trigger_args: trigger, cron, start, end, repeat_interval } = plan
  const flat = { start, end, repeat_interval }
  const isSpan = Object.values(flat).some((value) => value !== undefined)
  if ([trigger !== undefined, cron !== undefined, isSpan].filter(Boolean).length !== 1) {
    throw new ConfigurationError(
      `${where} needs one of: "cron" (or "trigger_args") with one cron line, or "start" with "end" and "repeat_interval"`,
    )
  }
  const line = typeof trigger === 'string' ? trigger : cron
  if (line === undefined) return spanOf(typeof trigger === 'object' ? trigger : flat, zone, now, where)
  const calendar = parseCron(line, where)
  return (after) => next(calendar, zone, after)
}

/** Unix style: from `start` to `end`, every so often; `start` alone is once. */
function spanOf(plan: Pick<Plan, 'start' | 'end' | 'repeat_interval'>, zone: Zone, now: number, where: string): Times {
  const { start, end, repeat_interval } = plan
  if (start === undefined) throw new ConfigurationError(`${where} has no start, such as "in 5 seconds"`)
  const first = parseMoment(start, zone, now, `${where}.start`)
  const last = end === undefined ? Number.POSITIVE_INFINITY : parseMoment(end, zone, now, `${where}.end`)
  if (repeat_interval === undefined) {
    if (end !== undefined) throw new ConfigurationError(`${where} has an end, but no repeat_interval to end`)
    return (after) => (after < first ? first : undefined)
  }
  const every = parseDuration(repeat_interval, 1_000, `${where}.repeat_interval`)
  if (every < 1_000) throw new ConfigurationError(`${where}.repeat_interval is below one second`)
  if (last < first) {
    // A start that counts from now passes every end in time, which is no mistake of whoever starts the server then.
    if (typeof start === 'string' && /^\s*in /i.test(start)) return () => undefined
    throw new ConfigurationError(`${where}.end lies before its start`)
  }
  return (after) => {
    const at = after < first ? first : first + (Math.floor((after - first) / every) + 1) * every
    return at <= last ? at : undefined
  }
}
