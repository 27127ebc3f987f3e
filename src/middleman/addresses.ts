/** Where the servers are: `host:port` or `unix:/path`, or several of them with commas between. */
import { networkInterfaces } from 'node:os'
import { InvalidArgument } from '../errors.js'

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 11006

export interface Address {
  readonly host: string
  readonly port: number
  /** Of a Unix socket; then host and port mean nothing. */
  readonly path?: string
  /** `host:port`, with an IPv6 host in brackets; or `unix:` and the path. */
  readonly text: string
}

/** Every address of the machine. */
export function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

export interface Servers {
  /** In the order of their turns, each once. */
  readonly addresses: readonly Address[]
  /** The configured one, which `host: 'local'` means. */
  readonly local: Address
}

export function address(host: string, port: number): Address {
  // What a server listens on when it takes calls from everywhere is no address to connect to.
  const name = isUnspecified(host) ? DEFAULT_HOST : host
  return { host: name, port, text: name.includes(':') ? `[${name}]:${port}` : `${name}:${port}` }
}

/** The servers of `client: '10.0.0.1:11006,10.0.0.2:11007'`, each once. */
export function parseAddresses(list: string, option = 'client'): Address[] {
  const addresses = new Map<string, Address>()
  for (const part of list.split(',')) {
    const one = parseAddress(part.trim(), option)
    addresses.set(one.text, one)
  }
  return [...addresses.values()]
}

/**
 * The listed servers, and behind them the configured one unless it is listed. `everywhere` says that this one listens on
 * every address of the machine: then it is the listed one that has one of those and the same port.
 */
export function serversWith(listed: readonly Address[], configured?: Address, everywhere = false): Servers {
  const own = everywhere ? Object.values(networkInterfaces()).flatMap((list) => list!.map((item) => item.address)) : []
  const local = listed.find(
    ({ text, host, port }) => text === configured?.text || (port === configured?.port && own.includes(host)),
  )
  if (local !== undefined || configured === undefined) return { addresses: listed, local: local ?? listed[0]! }
  return { addresses: [...listed, configured], local: configured }
}

function parseAddress(text: string, option: string): Address {
  if (/^unix:./.test(text)) return { host: '', port: 0, path: text.slice('unix:'.length), text }
  const match = /^(?:\[([^\]]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3])
  if (match === null || port < 1 || port > 65_535) {
    throw new InvalidArgument(
      `${option} has ${JSON.stringify(text)}, which is not an address: write host:port, such as 10.0.0.1:11006 or [::1]:11006, or unix:/path/to/socket`,
    )
  }
  return address(match[1] ?? match[2]!, port)
}
