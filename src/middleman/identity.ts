/** Who a client is, and what it asks of TLS: from options, environment variables, or the configuration file. */
import { readFileSync } from 'node:fs'
import { ConfigurationError, InvalidArgument } from '../errors.js'
import { Credentials } from '../wire/scram.js'
import type { TlsOptions } from './endpoint.js'
import { show } from './options.js'

export interface IdentityOptions {
  /** Who it is, for servers that ask; both or none. By default OFFSTAGE_USER and OFFSTAGE_PASSWORD. */
  user?: string | undefined
  password?: string | undefined
  /**
   * Encrypts, and checks the server's certificate: `true` with the authorities that Node trusts, else with those given.
   * By default OFFSTAGE_CLIENT_CA, a file with them.
   */
  tls?: boolean | TlsOptions | undefined
}

export interface Identity {
  readonly credentials?: Credentials
  readonly tls?: TlsOptions
}

const TLS_KEYS = ['ca', 'cert', 'key', 'servername'] as const

/** Options win over the environment, that over the file. No message repeats a password. */
export function identityOf(options: IdentityOptions, file: IdentityOptions = {}, env = process.env): Identity {
  const { user, password }: IdentityOptions =
    [options, { user: env.OFFSTAGE_USER || undefined, password: env.OFFSTAGE_PASSWORD || undefined }].find(
      (source) => source.user !== undefined || source.password !== undefined,
    ) ?? file
  const tls = readTls(options.tls, env) ?? readTls(file.tls, {})
  if (user === undefined && password === undefined) return tls === undefined ? {} : { tls }
  if (typeof user !== 'string' || user === '') {
    throw new InvalidArgument(`user is ${show(user)}: it has to be text, besides the password`)
  }
  if (typeof password !== 'string' || password === '') {
    throw new InvalidArgument(`the password of user ${user} is missing, or is no text`)
  }
  const credentials = new Credentials(user, password)
  return tls === undefined ? { credentials } : { credentials, tls }
}

function readTls(tls: unknown, env: NodeJS.ProcessEnv): TlsOptions | undefined {
  if (tls === undefined) {
    const ca = env.OFFSTAGE_CLIENT_CA
    return ca === undefined || ca === '' ? undefined : { ca: readPem('OFFSTAGE_CLIENT_CA', ca) }
  }
  if (tls === false) return undefined
  if (tls === true) return {}
  if (typeof tls !== 'object' || tls === null) {
    throw new InvalidArgument(`tls is ${show(tls)}: it has to be true, false or a bag of ${TLS_KEYS.join(', ')}`)
  }
  for (const [name, value] of Object.entries(tls)) {
    if (!(TLS_KEYS as readonly string[]).includes(name)) {
      throw new InvalidArgument(`tls has no option ${show(name)}: allowed are ${TLS_KEYS.join(', ')}`)
    }
    const fits = typeof value === 'string' || (name !== 'servername' && value instanceof Uint8Array)
    if (value !== undefined && !fits)
      throw new InvalidArgument(`tls.${name} has to be text${name === 'servername' ? '' : ' or bytes'}`)
    // Such text is passed over in silence, and a path is what comes to mind, as in the configuration file.
    if (name !== 'servername' && typeof value === 'string' && !value.includes('-----BEGIN ')) {
      throw new InvalidArgument(`tls.${name} has no PEM in it: give what is in the file, and not its path`)
    }
  }
  return tls
}

/** Of the configuration file, where certificates and keys are the names of files. */
export function tlsFromFiles(tls: unknown, where: string): boolean | TlsOptions | undefined {
  if (typeof tls !== 'object' || tls === null) {
    if (tls === undefined || tls === null) return undefined
    if (typeof tls === 'boolean') return tls
    throw new ConfigurationError(`${where} is ${show(tls)}: it has to be true, false or a map`)
  }
  const options: TlsOptions = {}
  for (const [name, value] of Object.entries(tls)) {
    if (!(TLS_KEYS as readonly string[]).includes(name) || typeof value !== 'string') {
      throw new ConfigurationError(`${where} has ${show(name)}: allowed are ${TLS_KEYS.join(', ')}, each of them text`)
    }
    Object.assign(options, { [name]: name === 'servername' ? value : readPem(`${where}.${name}`, value) })
  }
  return options
}

function readPem(what: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ConfigurationError(`${what}: ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
}
