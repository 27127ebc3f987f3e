/** Which memcached servers there are. Server and clients have to say the same. */
import { InvalidArgument } from '../../../errors.js'

export interface MemcacheOptions {
  /** `'10.0.0.1:11211'`, or several with commas between, in any order. */
  servers: string
  /** Begins every key, to keep applications apart that share a memcached. Default `offstage`. */
  namespace?: string | undefined
}

export interface MemcachedServers {
  readonly servers: readonly MemcachedAddress[]
  readonly namespace: string
}

export interface MemcachedAddress {
  readonly host: string
  readonly port: number
  /** `host:port`, with an IPv6 host in brackets. */
  readonly text: string
}

/** Servers in this environment variable stand in for those of the configuration file. */
export const MEMCACHE_VARIABLE = 'OFFSTAGE_MEMCACHE'

const DEFAULT_PORT = 11_211
const NAMESPACE = /^[\w.-]{1,64}$/

/** `what` is named in the `InvalidArgument` that is thrown when it is not a list of servers, or a bag with one. */
export function readMemcache(value: unknown, what: string): MemcachedServers {
  if (typeof value === 'string') return { servers: parse(value, what), namespace: 'offstage' }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgument(
      `${what} has to be text such as "10.0.0.1:11211,10.0.0.2:11211", or a map of servers and namespace`,
    )
  }
  const { servers, namespace = 'offstage', ...unknown } = value as Record<string, unknown>
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) {
    throw new InvalidArgument(`${what}.${extra} is not a known key; allowed here: servers, namespace`)
  }
  if (typeof servers !== 'string') {
    throw new InvalidArgument(`${what}.servers has to be text such as "10.0.0.1:11211,10.0.0.2:11211"`)
  }
  if (typeof namespace !== 'string' || !NAMESPACE.test(namespace)) {
    throw new InvalidArgument(`${what}.namespace has to be 1 to 64 letters, digits, "_", "." or "-"`)
  }
  return { servers: parse(servers, `${what}.servers`), namespace }
}

/** The section `memcache`, with the servers of the environment; undefined when neither says anything. */
export function memcacheFrom(
  section: unknown,
  what: string,
  env: Readonly<Record<string, string | undefined>>,
): MemcachedServers | undefined {
  const file = section === undefined || section === null ? undefined : readMemcache(section, what)
  const servers = env[MEMCACHE_VARIABLE]
  if (servers === undefined || servers === '') return file
  const own = readMemcache(servers, MEMCACHE_VARIABLE)
  return file === undefined ? own : { ...file, servers: own.servers }
}

function parse(list: string, what: string): MemcachedAddress[] {
  const addresses = new Map<string, MemcachedAddress>()
  for (const part of list.split(',')) {
    const match = /^(?:\[([^\]]+)\]|([^\s:[\]@/]+))(?::(\d{1,5}))?$/.exec(part.trim())
    const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3])
    if (match === null || port < 1 || port > 65_535) {
      throw new InvalidArgument(
        `${what} has ${JSON.stringify(part.trim())}, which is no address of a memcached: write host:port, such as 10.0.0.1:11211`,
      )
    }
    const host = match[1] ?? match[2]!
    const text = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    addresses.set(text, { host, port, text })
  }
  return [...addresses.values()]
}
