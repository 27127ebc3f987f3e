/**
 * Types of worker proxies. `WorkerProxy<FooWorker>` has, for every method `someTask` of the class, `someTask`,
 * `asyncSomeTask`, `enqSomeTask` and `deqSomeTask`; for `some_task`, `some_task`, `async_some_task` and so on; a
 * single lower-case word has both forms.
 */

import type { JobHandle } from './job.js'
import type { RequestOptions } from './request-options.js'

export interface WorkerInfo {
  /** Address of the server that it runs on. */
  server: string
  worker: string
  /** '' for the instance without a key. */
  workerKey: string
  status: 'loading' | 'running' | 'stopped'
  /** The state in full, such as `loading.backingOff`. */
  state: string
  /** Messages that wait or are in work. */
  mailbox: number
  /** Milliseconds since the oldest of them was accepted; 0 when there is none. */
  oldest: number
  /** Messages that were refused because the mailbox was full. */
  refused: number
  /** Messages in work. */
  inFlight: number
  restarts: number
  /** Milliseconds since it is running. */
  uptime: number
  /** There when the event loop of its host has not turned for `ms`: which method is at it, and for which job key. */
  blocked?: { method: string; jobKey: string; ms: number }
  /** How many jobs its queue has, by state; absent where the server has no durable queue. */
  jobs?: Record<JobState, number>
  /** Whether `pauseQueue` holds them back. */
  paused?: boolean
  /** Whether it is started again when its thread or process ends. */
  restart: 'permanent' | 'transient' | 'temporary'
  /** The group that it stands and falls with. */
  group?: string
  /** Why it failed last, if it ever did. */
  failure?: string
  /** Milliseconds since then. */
  sinceFailure?: number
  /** Those that call its methods, if there are any. */
  schedules?: Omit<ScheduleInfo, 'server'>[]
}

/** A run of a schedule. */
export interface ScheduleRun {
  /** The time that it is for, in milliseconds since 1970. */
  at: number
  /** Milliseconds from then until its worker was given it. */
  late: number
  /** Milliseconds from then until its end; not there while it runs. */
  duration?: number
  /** Why it failed. */
  failure?: string
}

/** All times are in milliseconds since 1970. */
export interface ScheduleInfo {
  /** Address of the server that has it. */
  server: string
  /** `worker.method`, or `worker[key].method` for an instance with a key. */
  name: string
  worker: string
  workerKey: string
  method: string
  /** As it is written: the cron line, or start, interval and end. */
  when: string
  /** IANA name of the zone that this is meant in. */
  timezone: string
  /** Each firing is a queued job. */
  persistent: boolean
  paused: boolean
  /** Runs that are under way. */
  running: number
  /** Its next times, at most five; of one that is paused, as if it were not. */
  next: number[]
  /** The run that began last, since the start of the server. */
  last?: ScheduleRun
}

/** The schedules of all servers, or of the one that `host` names; those that do not have it do not count. */
export interface SchedulesApi {
  list(options?: ServerOptions): Promise<ScheduleInfo[]>
  /**
   * Runs its method now, or queues a job for it: on each server that has the schedule, as when its time has come. Resolves
   * once it has been sent to its worker (`'started'`), or waits for the run before or in the queue (`'queued'`); with
   * `overlap: skip` it is `'leftOut'` while that runs. Of several servers, it is the answer of the first.
   */
  run(name: string, options?: ServerOptions): Promise<'started' | 'queued' | 'leftOut'>
  /** Nothing fires until `resume`, also after a restart. What runs goes on; a queued firing whose time has not come goes. */
  pause(name: string, options?: ServerOptions): Promise<void>
  /** Goes on with the next time: what came meanwhile is left out. */
  resume(name: string, options?: ServerOptions): Promise<void>
}

/** Options of what goes to all servers by default. */
export interface ServerOptions extends RequestOptions {
  /** `'all'` (default), `'local'` or `'ip:port'`. */
  host?: string | undefined
}

export interface MethodOptions extends RequestOptions {
  /** In the worker: `this.jobKey`. */
  jobKey?: string | undefined
  /** `'all'`, `'local'` or `'ip:port'`; by default the servers take turns. */
  host?: string | undefined
  /** Running it twice does no harm: after a broken connection it is sent again. */
  idempotent?: boolean | undefined
}

export interface JobOptions {
  /** Unique among the unfinished jobs of a worker instance. */
  jobKey: string
  /** Not before this time: a Date, an ISO time with its zone, or milliseconds since 1970. */
  scheduledAt?: Date | string | number | undefined
  /** Not started from this time on, in the same forms: it is dead then, when its turn comes. */
  expiresAt?: Date | string | number | undefined
  /** Milliseconds that one run may take; where the worker has a limit of its own, the shorter one counts. */
  runTimeout?: number | undefined
  /** Whole number, highest first; 0 is the default. */
  priority?: number | undefined
  /**
   * What becomes of a job that waits under the key. `'reject'` (default): it stays as it is. `'replace'`: it becomes this one, and
   * keeps its time. `'debounce'`: it becomes this one with its time, so that the last of many calls runs, when they have
   * paused. A job that runs stays as it is in each case, which `created` and `replaced` tell.
   */
  uniqueness?: 'reject' | 'replace' | 'debounce' | undefined
  /** How often the job may be started; the server's default is 5. */
  attempts?: number | undefined
  /**
   * Started once at most: a crash while it runs leaves it dead. So it is not sent again by itself when the connection
   * breaks: that rejects with `OutcomeUnknown` (executed: maybe), and the whole frame of an `enqueueMany` with it.
   */
  atMostOnce?: boolean | undefined
}

export interface EnqueueOptions extends MethodOptions, JobOptions {
  jobKey: string
}

export interface DequeueOptions extends RequestOptions {
  jobKey: string
  host?: string | undefined
}

/** A job for `enqueueMany`. */
export interface BulkJob extends JobOptions {
  worker: string
  workerKey?: string | undefined
  method: string
  arg?: unknown
  args?: unknown
}

/** Which jobs `middleMan.jobs` is to tell of. */
export interface JobsOptions extends ServerOptions {
  /** By default of all workers. */
  worker?: string | undefined
  /** By default of all of the worker's instances; '' is the one without a key. */
  workerKey?: string | undefined
  jobKey?: string | undefined
  state?: JobState | undefined
  /** Only ids above this one: for the next page of a single server. */
  after?: number | undefined
  /** At most this many of each server, 1 to 1000; by default 100. */
  limit?: number | undefined
}

export type JobState = 'scheduled' | 'ready' | 'active' | 'dead'

/** A job of the durable queue. Times are milliseconds since 1970. */
export interface JobInfo {
  /** Address of the server that has it; ids are unique there. */
  server: string
  id: number
  worker: string
  workerKey: string
  method: string
  jobKey: string
  state: JobState
  priority: number
  /** When it is due; of a dead job, when it died. */
  runAt: number
  enqueuedAt: number
  /** Starts so far. */
  attempts: number
  maxAttempts: number
  expiresAt?: number
  /** Its `runTimeout`. */
  timeout?: number
  /** Why the last attempt failed, when it did; of a long message the beginning. */
  failure?: { name: string; message: string }
}

export interface NewWorkerOptions extends ServerOptions {
  worker: string
  /** Not that of a running instance of the worker. Without one: the instance without a key, if it does not run. */
  workerKey?: string
  /** What `create` gets. */
  data?: unknown
  /** What calls its methods, by method, from when `create` has succeeded until the instance ends: docs/SCHEDULES.md. */
  schedule?: Readonly<Record<string, SchedulePlan>> | undefined
}

/** From `start` to `end`, every so often; `start` alone is once. */
export interface ScheduleSpan {
  /** A Date, an ISO time, or text such as `in 5 seconds`. */
  start?: Date | string | undefined
  end?: Date | string | undefined
  /** Seconds, or text such as `10 minutes`. */
  repeatInterval?: number | string | undefined
  /** The same. */
  repeat_interval?: number | string | undefined
}

/** When a method is called, and how: the keys and rules of the configuration. */
export interface SchedulePlan extends ScheduleSpan {
  /** `second minute hour day month weekday [year]` */
  cron?: string | undefined
  /** A cron line or a span, as the original has them. */
  triggerArgs?: string | ScheduleSpan | undefined
  /** The same. */
  trigger_args?: string | ScheduleSpan | undefined
  /** IANA name; default: the server's. */
  timezone?: string | undefined
  /** The argument of the method. */
  data?: unknown
  overlap?: 'skip' | 'queue' | 'parallel' | undefined
  missed?: 'skip' | 'once' | undefined
  /** Seconds, or text such as `2 minutes`. */
  jitter?: number | string | undefined
  /** Milliseconds, or text such as `30 seconds`. */
  timeout?: number | string | undefined
  persistent?: boolean | undefined
}

/** What a proxy has besides the worker's methods. A method of one of these names cannot be called. */
export interface InstanceMethods {
  /**
   * The value that the worker put into its cache under that key; null when there is none. Of several servers it is the first
   * value that comes. With `result_storage: memcache` it is read from there; rejects with `ResultStorageError` when that fails.
   */
  askResult(key: string, options?: ServerOptions): Promise<unknown>
  /** Overwrites a cached result, or clears it when there is no value. Rejects with `ResultStorageError`, as `askResult`. */
  resetResult(key: string, value?: unknown, options?: ServerOptions): Promise<void>
  /** With `host: 'all'` of each server that has the instance; else of one, preferably one where it runs. */
  workerInfo(options: ServerOptions & { host: 'all' }): Promise<WorkerInfo[]>
  workerInfo(options?: ServerOptions): Promise<WorkerInfo>
  /** Stops this instance, once its running calls are done. */
  delete(options?: ServerOptions): Promise<void>
  /**
   * From now on no job of its queue starts, until `resumeQueue`; also after a restart of the server. Calls are taken as before.
   * False: it was so already.
   */
  pauseQueue(options?: ServerOptions): Promise<boolean>
  resumeQueue(options?: ServerOptions): Promise<boolean>
}

/** `arg` or `args` for a parameter of type A. */
type ArgOptions<A> = { arg: A; args?: undefined } | { args: A; arg?: undefined }
type MaybeArgOptions<A> = { arg?: A | undefined; args?: undefined } | { args?: A | undefined; arg?: undefined }
type NoArgOptions = { arg?: undefined; args?: undefined }

/** Whether a method takes no argument, may take one, or needs one: `[kind, type]`. */
type Argument<P extends readonly unknown[]> = P extends readonly []
  ? ['none', undefined]
  : P extends readonly [infer A, ...unknown[]]
    ? ['needed', A]
    : P extends readonly [(infer A)?, ...unknown[]]
      ? ['possible', A]
      : ['possible', unknown]

type WithArg<P extends readonly unknown[], More> =
  Argument<P> extends [infer Kind, infer A]
    ? More & (Kind extends 'needed' ? ArgOptions<A> : Kind extends 'possible' ? MaybeArgOptions<A> : NoArgOptions)
    : never

/** The bag may be left out when nothing in it is needed. */
type Send<P extends readonly unknown[], R, All = R[]> = Argument<P>[0] extends 'needed'
  ? {
      (options: WithArg<P, MethodOptions> & { host: 'all' }): Promise<All>
      (options: WithArg<P, MethodOptions>): Promise<R>
    }
  : {
      (options: WithArg<P, MethodOptions> & { host: 'all' }): Promise<All>
      (options?: WithArg<P, MethodOptions>): Promise<R>
    }

interface Enqueue<P extends readonly unknown[], R> {
  (options: WithArg<P, EnqueueOptions> & { host: 'all' }): Promise<JobHandle<R>[]>
  (options: WithArg<P, EnqueueOptions>): Promise<JobHandle<R>>
}

interface Dequeue {
  (options: DequeueOptions & { host: 'all' }): Promise<boolean[]>
  (options: DequeueOptions): Promise<boolean>
}

/** A method that can do with one argument or none: a call brings no more. */
// biome-ignore lint/suspicious/noExplicitAny: the only type that a method of any parameter extends
type AnyMethod = (argument: any) => unknown

/** Names of `MetaWorker` itself, and those that a supervisor never exposes or a proxy has for itself. */
type NotCallable =
  | keyof InstanceMethods
  | 'create'
  | 'addTimer'
  | 'addPeriodicTimer'
  | 'connect'
  | 'startServer'
  | 'progress'
  | 'threadPool'
  | 'constructor'
  | 'then'
  | 'catch'
  | 'finally'
  | 'toJSON'
  | 'toString'
  | 'toLocaleString'
  | 'valueOf'
  | 'hasOwnProperty'
  | 'isPrototypeOf'
  | 'propertyIsEnumerable'
  | 'prototype'
  | 'inspect'
  | 'nodeType'
  | 'tagName'
  | 'asymmetricMatch'
  | `_${string}`
  | `${Prefix}_${string}`

type Prefix = 'async' | 'enq' | 'deq'

/**
 * Names of a class that clients can call. Private members, symbols and plain properties are none. A property or an
 * accessor that holds a function looks like a method to types; the server refuses it.
 */
type MethodName<W> = {
  [K in keyof W]-?: K extends string
    ? K extends NotCallable
      ? never
      : IsPrefixed<K> extends true
        ? never
        : W[K] extends AnyMethod
          ? K
          : never
    : never
}[keyof W]

/** `asyncX`: taken by the asynchronous form of `x`. */
type IsPrefixed<K extends string> = K extends `${Prefix}${infer Rest}`
  ? Rest extends `${infer First}${string}`
    ? First extends Lowercase<First>
      ? false
      : true
    : false
  : false

/** The names of a method with a prefix, in its own case. A first letter that is a capital would be lost in camelCase. */
type Prefixed<P extends Prefix, K extends string> = K extends `${string}_${string}` | Capitalize<K>
  ? `${P}_${K}`
  : K extends Lowercase<K>
    ? `${P}_${K}` | `${P}${Capitalize<K>}`
    : `${P}${Capitalize<K>}`

/** What `static schemas` of a worker has: of Standard Schema, only what types need. */
interface SchemaType {
  readonly '~standard': { readonly types?: { readonly input: unknown } | undefined }
}
type InputOf<S extends SchemaType> = NonNullable<S['~standard']['types']>['input']

/** Where a method has a schema, its argument is what that takes; it may be left out when that can be undefined. */
type ArgumentsOf<W, M extends keyof W, S> = M extends keyof S
  ? S[M] extends SchemaType
    ? undefined extends InputOf<S[M]>
      ? [argument?: InputOf<S[M]>]
      : [argument: InputOf<S[M]>]
    : ParametersOf<W[M]>
  : ParametersOf<W[M]>

type ParametersOf<T> = T extends (...args: infer P) => unknown ? P : never
type ResultOf<T> = T extends (...args: never[]) => infer R ? Awaited<R> : never

type Methods<W, S = unknown, K extends MethodName<W> & keyof W & string = MethodName<W> & keyof W & string> = {
  [M in K]: Send<ArgumentsOf<W, M, S>, ResultOf<W[M]>>
} & {
  [M in K as Prefixed<'async', M>]: Send<ArgumentsOf<W, M, S>, void, void>
} & {
  [M in K as Prefixed<'enq', M>]: Enqueue<ArgumentsOf<W, M, S>, ResultOf<W[M]>>
} & {
  [M in K as Prefixed<'deq', M>]: Dequeue
}

/** A worker of whose class the client knows nothing. */
export interface AnyWorker {
  readonly anyWorker?: never
}

/** Options of a method of a worker whose class is not known. */
export interface AnyOptions extends MethodOptions {
  arg?: unknown
  args?: unknown
  scheduledAt?: Date | string | number | undefined
  expiresAt?: Date | string | number | undefined
  runTimeout?: number | undefined
  priority?: number | undefined
  attempts?: number | undefined
  uniqueness?: 'reject' | 'replace' | 'debounce' | undefined
  atMostOnce?: boolean | undefined
}

export type UntypedWorkerProxy = InstanceMethods & { then?: undefined } & {
  [method: string]: (options?: AnyOptions) => Promise<unknown>
}

/**
 * The proxy of a worker: `WorkerProxy<FooWorker>`. `WorkerProxy<typeof FooWorker>` knows its `static schemas`, too, so that
 * arguments are what these take, and not what they make of it.
 */
export type WorkerProxy<W = AnyWorker> = AnyWorker extends W
  ? UntypedWorkerProxy
  : W extends abstract new (
        ...parameters: never[]
      ) => infer Instance
    ? InstanceMethods & Methods<Instance, SchemasOf<W>>
    : InstanceMethods & Methods<W>

type SchemasOf<C> = C extends { readonly schemas: infer S } ? S : unknown
