/** `MiddleMan`: how an application reaches its workers. */
import { InvalidArgument, NoServerAvailable } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { enqueueMany, enqueueManySettled } from './bulk.js'
import { Call } from './call.js'
import { Cluster, type ClusterOptions } from './cluster.js'
import {
  type ConfigOptions,
  type ConnectOptions,
  checkLazyOptions,
  configOptions,
  connectOptions,
  type LazyOptions,
  lazyOptions,
} from './connect-options.js'
import { everywhere, type Outcome, valuesOf } from './everywhere.js'
import { findJob, type JobName } from './find-job.js'
import { reach } from './instance-methods.js'
import type { Job, JobHandle } from './job.js'
import { jobs } from './jobs.js'
import { LazyConnection } from './lazy.js'
import { asBag, readCommonOptions, readRequestOptions, readServerOptions, show, text, timeoutOf } from './options.js'
import { workerProxy } from './proxy.js'
import type { RequestOptions } from './request-options.js'
import { Route } from './route.js'
import { encodeSchedule } from './schedule-plan.js'
import { schedulesOf } from './schedules.js'
import type {
  AnyWorker,
  BulkJob,
  JobInfo,
  JobsOptions,
  NewWorkerOptions,
  SchedulesApi,
  WorkerInfo,
  WorkerProxy,
} from './types.js'

export interface MiddleMan {
  /** The same as `worker`. */
  <W = AnyWorker>(name: string, workerKey?: string): WorkerProxy<W>
  /**
   * A proxy of a worker instance; nothing is sent until one of its methods is called. With the worker's class as
   * type argument (a type-only import) its methods, arguments and results are typed.
   */
  worker<W = AnyWorker>(name: string, workerKey?: string): WorkerProxy<W>
  /** Starts another instance of a worker under a key of its own; resolves to the key when `create` has succeeded. */
  newWorker(options: NewWorkerOptions): Promise<string>
  /** What runs on each server; null for a server that cannot be reached. */
  allWorkerInfo(options?: RequestOptions): Promise<Record<string, WorkerInfo[] | null>>
  /**
   * The unfinished and the dead jobs that match, in the order of their ids on each server, of all servers or of `host`. A page of
   * one server can be shorter than its `limit` when its jobs have long keys; it is the last one when it is empty.
   */
  jobs(options?: JobsOptions): Promise<JobInfo[]>
  /** Adds many jobs to the durable queue, at a fraction of the cost of as many `enq…` calls; answers in order. */
  enqueueMany(jobs: readonly BulkJob[], options?: RequestOptions): Promise<JobHandle[]>
  /**
   * The same, as `Promise.allSettled` would have it: one that is wrong, or that its server refuses, keeps no other from being
   * stored. What is stored of one frame (512 KiB) is stored in one batch, as with `enqueueMany`.
   */
  enqueueManySettled(jobs: readonly BulkJob[], options?: RequestOptions): Promise<PromiseSettledResult<JobHandle>[]>
  /**
   * A job by the id that its handle has (of several servers, with `server`, which the handle has, too). Sends nothing.
   * R is what its method returns.
   */
  job<R = unknown>(id: number, options?: { server?: string | undefined }): Job<R>
  /** The same; or the job that has, or else had last, this key: it is looked for with each request, where the key belongs. */
  job<R = unknown>(name: JobName): Job<R>
  /** What is called at certain times (docs/SCHEDULES.md): seen, run now, paused and resumed, by its name. */
  readonly schedules: SchedulesApi
  /**
   * The same client for calls that have something in common: they end when `signal` fires, besides their own, and have
   * `timeout` unless they say otherwise.
   */
  with(options: RequestOptions): MiddleMan
  /** Waits for the answers under way, for at most `timeout` ms (default 5000), then ends the connection. */
  close(options?: { timeout?: number | undefined }): Promise<void>
}

const DEFAULT_CLOSE_TIMEOUT = 5_000

export const MiddleMan = {
  /**
   * Connects to the supervisors. Rejects with `NoServerAvailable` when none of the servers can be reached; later
   * losses are mended by itself.
   */
  async connect(options: ConnectOptions = {}): Promise<MiddleMan> {
    return connected(connectOptions(options), options.signal)
  },

  /**
   * Connects to the servers of a configuration file: `client`, else the ip and port of its `supervisor`. User, password
   * and TLS are those of the options, else of the environment, else of its `client`.
   */
  async fromConfig(path: string, options: ConfigOptions = {}): Promise<MiddleMan> {
    return connected(configOptions(path, options), options.signal)
  },

  /**
   * A client that reads its configuration and connects when the first call is made; so it can be made where no server has
   * to be. Calls that find no server then reject as `connect` does, and the next call tries anew; so does the first one
   * after `close`.
   */
  lazy(options: LazyOptions = {}): MiddleMan {
    checkLazyOptions(options)
    const connection = new LazyConnection(() => lazyOptions(options))
    return client(new Route(() => connection.cluster), (timeout) => connection.close(timeout))
  },
}

async function connected(options: ClusterOptions, signal: AbortSignal | undefined): Promise<MiddleMan> {
  const cluster = new Cluster(options)
  await cluster.connect(signal)
  return client(new Route(() => cluster), (timeout) => cluster.close(timeout))
}

/** `end` ends what the route leads to. */
export function client(route: Route, end: (timeout: number) => Promise<void>): MiddleMan {
  /** Of the instances without a key: as many as there are workers. */
  const proxies = new Map<string, object>()

  function worker<W>(name: string, workerKey = ''): WorkerProxy<W> {
    let proxy = workerKey === '' ? proxies.get(name) : undefined
    if (proxy === undefined) {
      proxy = workerProxy(route, name, workerKey)
      if (workerKey === '') proxies.set(name, proxy)
    }
    return proxy as WorkerProxy<W>
  }

  const api: Omit<MiddleMan, never> = {
    worker,
    newWorker: (options) => newWorker(route, options),
    allWorkerInfo: (options) => allWorkerInfo(route, options),
    jobs: (options) => jobs(route, options),
    enqueueMany: (jobs, options) => enqueueMany(route, jobs, options),
    enqueueManySettled: (jobs, options) => enqueueManySettled(route, jobs, options),
    schedules: schedulesOf(route),
    job: <R>(name: number | JobName, options?: unknown) => findJob(route, name, options) as Job<R>,
    with: (options) => {
      const { signal, timeout } = readRequestOptions(options, 'middleMan.with')
      return client(route.with(signal, timeout), end)
    },
    close: async (options = {}) => {
      const { timeout, ...unknown } = asBag(options, 'close')
      const [extra] = Object.keys(unknown)
      if (extra !== undefined) throw new InvalidArgument(`close has no option ${show(extra)}: allowed is timeout`)
      await end(timeout === undefined ? DEFAULT_CLOSE_TIMEOUT : timeout === 0 ? 0 : timeoutOf(timeout, 'timeout'))
    },
  }
  return Object.assign(<W>(name: string, workerKey?: string) => worker<W>(name, workerKey), api)
}

async function newWorker(route: Route, options: NewWorkerOptions): Promise<string> {
  const make = () => {
    const { worker, workerKey, data, schedule, ...rest } = asBag(options, 'newWorker')
    // Without a key it is the instance that proxies without a key mean, which may be one that nobody has started yet.
    const key = workerKey === undefined || workerKey === '' ? '' : text(workerKey, 'workerKey')
    const call = new Call(Verb.NEW_WORKER, text(worker, 'worker'), key, '')
    if (data !== undefined) call.payload = encodeValue(data, 'data')
    if (schedule !== undefined) call.schedule = encodeSchedule(schedule)
    return { call, host: readServerOptions(call, rest) }
  }
  const { outcomes, title } = await reach({ route }, make)
  return valuesOf(outcomes, title)[0] as string
}

async function allWorkerInfo(route: Route, options: unknown): Promise<Record<string, WorkerInfo[] | null>> {
  const make = () => {
    const call = new Call(Verb.ALL_WORKER_INFO, '', '', '')
    readCommonOptions(call, options)
    return call
  }
  const infos: Record<string, WorkerInfo[] | null> = {}
  for (const { address } of route.links) infos[address.text] = null
  let outcomes: readonly Outcome[] = []
  try {
    outcomes = await everywhere(route, make)
  } catch (error) {
    if (!(error instanceof NoServerAvailable)) throw error
  }
  valuesOf(outcomes, make().title)
  for (const { server, value } of outcomes) {
    infos[server] = (value as WorkerInfo[]).map((info) => ({ ...info, server }))
  }
  return infos
}
