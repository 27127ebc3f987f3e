/** `MiddleMan`: how an application reaches its workers. */
import { InvalidArgument, NoServerAvailable } from '../errors.js'
import { encodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { address, DEFAULT_HOST, DEFAULT_PORT, parseAddresses, type Servers, serversWith } from './addresses.js'
import { enqueueMany } from './bulk.js'
import { Call } from './call.js'
import { Cluster } from './cluster.js'
import { clientFrom } from './config-file.js'
import { everywhere, type Outcome, valuesOf } from './everywhere.js'
import { type IdentityOptions, identityOf } from './identity.js'
import { reach } from './instance-methods.js'
import { asBag, isSignal, readCommonOptions, readServerOptions, show, text, timeoutOf } from './options.js'
import { workerProxy } from './proxy.js'
import type {
  AnyWorker,
  BulkJob,
  Enqueued,
  NewWorkerOptions,
  RequestOptions,
  WorkerInfo,
  WorkerProxy,
} from './types.js'

export interface ConnectOptions extends IdentityOptions {
  /**
   * The servers: `'10.0.0.1:11006'` or `'unix:/path/to/socket'`, or several with commas between, which then take turns
   * (docs/CLUSTER.md).
   */
  client?: string | undefined
  /** The server that `host: 'local'` means. It joins those of `client`, or is the only one. Default 127.0.0.1. */
  host?: string | undefined
  /** Default 11006. */
  port?: number | undefined
  /** Milliseconds for every call that has no timeout of its own. Default: none. */
  timeout?: number | undefined
  /** Milliseconds that a call waits for a connection. Default 5000. */
  connectTimeout?: number | undefined
  /** Aborts connecting; later it means nothing. */
  signal?: AbortSignal | undefined
}

export type ConfigOptions = Omit<ConnectOptions, 'client' | 'host' | 'port'>

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
  /** Adds many jobs to the durable queue, at a fraction of the cost of as many `enq…` calls; answers in order. */
  enqueueMany(jobs: readonly BulkJob[], options?: RequestOptions): Promise<Enqueued[]>
  /** Waits for the answers under way, for at most `timeout` ms (default 5000), then ends the connection. */
  close(options?: { timeout?: number | undefined }): Promise<void>
}

const DEFAULT_CONNECT_TIMEOUT = 5_000
const DEFAULT_CLOSE_TIMEOUT = 5_000

export const MiddleMan = {
  /**
   * Connects to the supervisors. Rejects with `NoServerAvailable` when none of the servers can be reached; later
   * losses are mended by itself.
   */
  async connect(options: ConnectOptions = {}): Promise<MiddleMan> {
    const { client, host, port, ...rest } = asBag(options, 'MiddleMan.connect') as ConnectOptions
    return open(serversOf(client, host, port), rest)
  },

  /**
   * Connects to the servers of a configuration file: `client`, else the ip and port of its `supervisor`. User, password
   * and TLS are those of the options, else of the environment, else of its `client`.
   */
  async fromConfig(path: string, options: ConfigOptions = {}): Promise<MiddleMan> {
    const { addresses, local, ...identity } = clientFrom(text(path, 'the path of the configuration file'))
    return open({ addresses, local }, options, identity)
  },
}

function serversOf(client: unknown, host: unknown, port: unknown): Servers {
  if (client !== undefined) {
    if (typeof client !== 'string') throw new InvalidArgument(`client is ${show(client)}: it has to be text`)
    if (host === undefined && port === undefined) return serversWith(parseAddresses(client))
  }
  if (port !== undefined && !(Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536)) {
    throw new InvalidArgument(`port is ${show(port)}: it has to be a whole number from 1 to 65535`)
  }
  const local = (port as number | undefined) ?? DEFAULT_PORT
  const configured = address(host === undefined ? DEFAULT_HOST : text(host, 'host'), local)
  return serversWith(client === undefined ? [] : parseAddresses(client), configured)
}

async function open(servers: Servers, options: ConfigOptions, file: IdentityOptions = {}): Promise<MiddleMan> {
  const { timeout, connectTimeout, signal, user, password, tls, ...unknown } = asBag(
    options,
    'MiddleMan.connect',
  ) as ConfigOptions
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) {
    const allowed = 'client, host, port, user, password, tls, timeout, connectTimeout, signal'
    throw new InvalidArgument(`MiddleMan has no option ${show(extra)}: allowed are ${allowed}`)
  }
  if (signal !== undefined && !isSignal(signal)) {
    throw new InvalidArgument(`signal is ${show(signal)}: it has to be an AbortSignal`)
  }
  const cluster = new Cluster({
    ...identityOf({ user, password, tls }, file),
    ...servers,
    connectTimeout:
      connectTimeout === undefined ? DEFAULT_CONNECT_TIMEOUT : timeoutOf(connectTimeout, 'connectTimeout'),
    timeout: timeout === undefined ? -1 : timeoutOf(timeout, 'timeout'),
  })
  await cluster.connect(signal)
  return callable(cluster)
}

function callable(cluster: Cluster): MiddleMan {
  /** Of the instances without a key: as many as there are workers. */
  const proxies = new Map<string, object>()

  function worker<W>(name: string, workerKey = ''): WorkerProxy<W> {
    let proxy = workerKey === '' ? proxies.get(name) : undefined
    if (proxy === undefined) {
      proxy = workerProxy(cluster, name, workerKey)
      if (workerKey === '') proxies.set(name, proxy)
    }
    return proxy as WorkerProxy<W>
  }

  const api: Omit<MiddleMan, never> = {
    worker,
    newWorker: (options) => newWorker(cluster, options),
    allWorkerInfo: (options) => allWorkerInfo(cluster, options),
    enqueueMany: (jobs, options) => enqueueMany(cluster, jobs, options),
    close: async (options = {}) => {
      const { timeout } = asBag(options, 'close')
      await cluster.close(
        timeout === undefined ? DEFAULT_CLOSE_TIMEOUT : timeout === 0 ? 0 : timeoutOf(timeout, 'timeout'),
      )
    },
  }
  return Object.assign(<W>(name: string, workerKey?: string) => worker<W>(name, workerKey), api)
}

async function newWorker(cluster: Cluster, options: NewWorkerOptions): Promise<string> {
  const make = () => {
    const { worker, workerKey, data, ...rest } = asBag(options, 'newWorker')
    // Without a key it is the instance that proxies without a key mean, which may be one that nobody has started yet.
    const key = workerKey === undefined || workerKey === '' ? '' : text(workerKey, 'workerKey')
    const call = new Call(Verb.NEW_WORKER, text(worker, 'worker'), key, '')
    if (data !== undefined) call.payload = encodeValue(data, 'data')
    return { call, host: readServerOptions(call, rest) }
  }
  const { outcomes, title, call } = await reach({ cluster }, make)
  cluster.started(call)
  return valuesOf(outcomes, title)[0] as string
}

async function allWorkerInfo(cluster: Cluster, options: unknown): Promise<Record<string, WorkerInfo[] | null>> {
  const make = () => {
    const call = new Call(Verb.ALL_WORKER_INFO, '', '', '')
    readCommonOptions(call, options)
    return call
  }
  const infos: Record<string, WorkerInfo[] | null> = {}
  for (const { address } of cluster.links) infos[address.text] = null
  let outcomes: readonly Outcome[] = []
  try {
    outcomes = await everywhere(cluster, make)
  } catch (error) {
    if (!(error instanceof NoServerAvailable)) throw error
  }
  valuesOf(outcomes, make().title)
  for (const { server, value } of outcomes) {
    infos[server] = (value as WorkerInfo[]).map((info) => ({ ...info, server }))
  }
  return infos
}
