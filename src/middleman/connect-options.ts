/** What `MiddleMan.connect`, `fromConfig` and `lazy` take, and what comes of it: the options of a cluster. */
import { existsSync } from 'node:fs'
import { InvalidArgument } from '../errors.js'
import { type MemcacheOptions, readMemcache } from '../persistence/results/memcached/options.js'
import { address, DEFAULT_HOST, DEFAULT_PORT, parseAddresses, type Servers, serversWith } from './addresses.js'
import type { ClusterOptions } from './cluster.js'
import { type ClientSection, clientFrom } from './config-file.js'
import { type IdentityOptions, identityOf } from './identity.js'
import { asBag, isSignal, show, text, timeoutOf } from './options.js'
import { type SharedStorage, sharedStorage } from './shared-results.js'

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
  /**
   * The memcached servers where the supervisors have cached results (`result_storage: memcache`): `'10.0.0.1:11211'`, several
   * with commas between, or a bag with a namespace. `askResult` and `resetResult` go there. By default the servers of
   * OFFSTAGE_MEMCACHE where OFFSTAGE_RESULT_STORAGE is `memcache`, else those of the configuration file (docs/RESULTS.md).
   */
  memcache?: string | MemcacheOptions | undefined
  /** Milliseconds for every call that has no timeout of its own. Default: none. */
  timeout?: number | undefined
  /** Milliseconds that a call waits for a connection. Default 5000. */
  connectTimeout?: number | undefined
  /** Aborts connecting; later it means nothing. */
  signal?: AbortSignal | undefined
}

export type ConfigOptions = Omit<ConnectOptions, 'client' | 'host' | 'port'>

export interface LazyOptions extends Omit<ConnectOptions, 'signal'> {
  /**
   * The configuration file, where `client`, `host` and `port` are not given. Default: the first that there is of
   * `offstage.yml`, `config/offstage.yml` and `config/backgroundrb.yml` in the working directory; without one 127.0.0.1:11006.
   */
  config?: string | undefined
}

const DEFAULT_CONNECT_TIMEOUT = 5_000
/** Where the supervisor looks, too. */
const CONFIG_NAMES = ['offstage.yml', 'config/offstage.yml', 'config/backgroundrb.yml'] as const
const KEYS = ['client', 'host', 'port', 'user', 'password', 'tls', 'memcache', 'timeout', 'connectTimeout'] as const

/** Of `MiddleMan.connect`. */
export function connectOptions(options: unknown): ClusterOptions {
  const { client, host, port, ...rest } = known(options, 'MiddleMan.connect', 'signal')
  return clusterOptions(serversOf(client, host, port), rest)
}

/** Of `MiddleMan.fromConfig`. */
export function configOptions(path: unknown, options: unknown): ClusterOptions {
  const { addresses, local, ...identity } = clientFrom(text(path, 'the path of the configuration file'))
  const { client, host, port, ...rest } = known(options, 'MiddleMan.fromConfig', 'signal')
  if (client === undefined && host === undefined && port === undefined) {
    return clusterOptions({ addresses, local }, rest, identity)
  }
  throw new InvalidArgument('MiddleMan.fromConfig has the servers from the file: leave out client, host and port')
}

/** Of `MiddleMan.lazy`; reads the configuration file. */
export function lazyOptions(options: unknown): ClusterOptions {
  const { client, host, port, config, ...rest } = checkLazyOptions(options)
  const named = client !== undefined || host !== undefined || port !== undefined
  if (named && config !== undefined) {
    throw new InvalidArgument('config names a file that says where the servers are: leave out client, host and port')
  }
  const path = config ?? CONFIG_NAMES.find((name) => existsSync(name))
  if (named || path === undefined) return clusterOptions(serversOf(client, host, port), rest)
  return configOptions(path, rest)
}

/** Throws `InvalidArgument` when there is an option of a wrong name. */
export function checkLazyOptions(options: unknown): Record<string, unknown> {
  return known(options, 'MiddleMan.lazy', 'config')
}

function known(options: unknown, whose: string, further: string): Record<string, unknown> {
  const bag = asBag(options, whose)
  const allowed: readonly string[] = [...KEYS, further]
  for (const name of Object.keys(bag)) {
    if (allowed.includes(name)) continue
    throw new InvalidArgument(`${whose} has no option ${show(name)}: allowed are ${allowed.join(', ')}`)
  }
  return bag
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

function clusterOptions(
  servers: Servers,
  options: Record<string, unknown>,
  file: Pick<ClientSection, keyof IdentityOptions | 'results'> = {},
): ClusterOptions {
  const { timeout, connectTimeout, signal, user, password, tls, memcache } = options
  if (signal !== undefined && !isSignal(signal)) {
    throw new InvalidArgument(`signal is ${show(signal)}: it has to be an AbortSignal`)
  }
  const results = resultsOf(memcache, file.results)
  return {
    ...identityOf({ user, password, tls } as IdentityOptions, file),
    ...(results === undefined ? {} : { results }),
    ...servers,
    connectTimeout:
      connectTimeout === undefined ? DEFAULT_CONNECT_TIMEOUT : timeoutOf(connectTimeout, 'connectTimeout'),
    timeout: timeout === undefined ? -1 : timeoutOf(timeout, 'timeout'),
  }
}

/** The option wins over the environment, and that over the file. */
function resultsOf(option: unknown, file: SharedStorage | undefined, env = process.env): SharedStorage | undefined {
  if (option !== undefined) return { memcache: readMemcache(option, 'memcache'), ttl: file?.ttl ?? 0 }
  return file ?? sharedStorage({}, undefined, 'the environment', env)
}
