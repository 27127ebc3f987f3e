/** Finds the servers in a configuration file, the one that the supervisor reads as well. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { ConfigurationError } from '../errors.js'
import {
  address,
  DEFAULT_HOST,
  DEFAULT_PORT,
  isUnspecified,
  parseAddresses,
  type Servers,
  serversWith,
} from './addresses.js'
import { type IdentityOptions, tlsFromFiles } from './identity.js'
import { show } from './options.js'
import { type SharedStorage, sharedStorage } from './shared-results.js'

export interface ClientSection extends IdentityOptions, Servers {
  /** Where cached results are; undefined: with the servers. */
  readonly results?: SharedStorage | undefined
}

/**
 * The addresses under `client`, and the server of the section `supervisor` (or `backgroundrb`): its socket, or its ip and
 * port. That one joins the others when it says where it listens. `client` may also be a map of `servers`, `user`, `password` and `tls`. Keys may begin with a colon, as old files have them;
 * `${NAME}` and `${NAME:-default}` are environment variables.
 */
export function clientFrom(path: string, env: NodeJS.ProcessEnv = process.env): ClientSection {
  const file = section(read(path), path)
  const { client } = file
  const results = resultsOf(file, path, env)
  if (typeof client !== 'object' || client === null || Array.isArray(client)) {
    return { ...serversOf(file, client, path, env), ...results }
  }
  const { servers, user, password, tls, ...unknown } = section(client, `${path}: client`)
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) {
    throw new ConfigurationError(
      `${path}: client.${extra} is not a known key; allowed here: servers, user, password, tls`,
    )
  }
  const secret = value(password, 'client.password', path, env)
  const name = value(user, 'client.user', path, env)
  if (secret !== undefined && typeof secret !== 'string') {
    throw new ConfigurationError(`${path}: client.password has to be text: put it in quotes`)
  }
  if (name !== undefined && typeof name !== 'string') {
    throw new ConfigurationError(`${path}: client.user is ${show(name)}: it has to be text`)
  }
  return {
    ...serversOf(file, servers, path, env),
    user: name,
    password: secret,
    tls: tlsFromFiles(tls, `${path}: client.tls`),
    ...results,
  }
}

function resultsOf(
  file: Record<string, unknown>,
  path: string,
  env: NodeJS.ProcessEnv,
): Pick<ClientSection, 'results'> {
  const all = (found: unknown, name: string) =>
    Object.fromEntries(
      Object.entries(section(found, `${path}: ${name}`)).map(([key, item]) => [
        key,
        value(item, `${name}.${key}`, path, env),
      ]),
    )
  const { result_storage, result_ttl } = section(file.supervisor ?? file.backgroundrb, `${path}: supervisor`)
  const supervisor = all({ result_storage, result_ttl }, 'supervisor')
  const given = file.memcache
  const memcache =
    typeof given === 'object' && !Array.isArray(given) && given !== null
      ? all(given, 'memcache')
      : value(given, 'memcache', path, env)
  const results = sharedStorage(supervisor, memcache, path, env)
  return results === undefined ? {} : { results }
}

function serversOf(file: Record<string, unknown>, servers: unknown, path: string, env: NodeJS.ProcessEnv): Servers {
  const client = value(servers, 'client', path, env)
  if (client !== undefined && typeof client !== 'string') {
    throw new ConfigurationError(
      `${path}: client is ${show(client)}: it has to be text such as "10.0.0.1:11006,10.0.0.2:11006"`,
    )
  }
  const listed = client === undefined ? [] : parseAddresses(client, `${path}: client`)
  const server = section(file.supervisor ?? file.backgroundrb, `${path}: supervisor`)
  const socket = value(server.socket, 'socket', path, env)
  if (typeof socket === 'string' && socket !== '') {
    return serversWith(listed, ...parseAddresses(`unix:${resolve(socket)}`, `${path}: socket`))
  }
  const ip = value(server.ip, 'ip', path, env) ?? DEFAULT_HOST
  const port = Number(value(server.port, 'port', path, env) ?? DEFAULT_PORT)
  if (typeof ip !== 'string') throw new ConfigurationError(`${path}: ip is ${show(ip)}: it has to be text`)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new ConfigurationError(`${path}: port is ${show(server.port)}: it has to be a whole number from 1 to 65535`)
  }
  const says = server.ip !== undefined || server.port !== undefined
  if (listed.length > 0 && !says) return serversWith(listed)
  return serversWith(listed, address(ip, port), isUnspecified(ip))
}

function read(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigurationError(`the configuration file ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
  try {
    return parse(text)
  } catch (error) {
    // Its further lines repeat what stands there, which may be a password; so it is no cause to be shown, either.
    throw new ConfigurationError(`${path} is not valid YAML: ${(error as Error).message.split(':\n')[0]}`)
  }
}

function section(found: unknown, what: string): Record<string, unknown> {
  if (found === undefined || found === null) return {}
  if (typeof found !== 'object' || Array.isArray(found)) {
    throw new ConfigurationError(`${what} is ${show(found)}: it has to be a map of settings`)
  }
  return Object.fromEntries(Object.entries(found).map(([key, item]) => [key.replace(/^:/, ''), item]))
}

function value(found: unknown, key: string, path: string, env: NodeJS.ProcessEnv): unknown {
  if (found === null) return undefined
  if (typeof found !== 'string') return found
  return found.replace(/\$\{([^}]*)\}/g, (_, inner: string) => {
    const [name, fallback] = inner.split(/:-(.*)/s) as [string, string?]
    const set = env[name]
    if (set !== undefined && set !== '') return set
    if (fallback !== undefined) return fallback
    throw new ConfigurationError(`${path}: ${key} needs the environment variable ${name}, which is not set`)
  })
}
