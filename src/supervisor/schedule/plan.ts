/** What may be said of one schedule, in the configuration and in `newWorker`, and what it comes to. */
import { z } from 'zod'
import { ConfigurationError } from '../../errors.js'
import { parseCron } from './cron.js'
import { parseDuration, parseMoment } from './moment.js'
import { next } from './next.js'
import type { Times } from './timer.js'
import { type Zone, zoneOf } from './zone.js'

const OVERLAPS = ['skip', 'queue', 'parallel'] as const
const MISSED = ['skip', 'once'] as const

export interface Schedule {
  /** Names it in the log, and in the file of firings: what it calls. */
  readonly name: string
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  readonly times: Times
  readonly data: unknown
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

/** Throws a `ConfigurationError` that begins with `where`. */
export function readPlan(target: Target, plan: Plan, where: string): Planned {
  const { worker, workerKey, method } = target
  if (method === 'create') {
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
    name: `${worker}${workerKey === '' ? '' : `[${workerKey}]`}.${method}`,
    ...target,
    timesFrom,
    data: plan.data,
    overlap: plan.overlap ?? 'skip',
    missed: plan.missed ?? 'skip',
    jitter: jitter === undefined || jitter === 0 ? 0 : parseDuration(jitter, 1_000, `${where}.jitter`),
    timeout: timeout === undefined ? -1 : Math.ceil(parseDuration(timeout, 1, `${where}.timeout`)),
    persistent,
  }
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
