/** Opens the socket to a server: TCP, TLS or a Unix socket. */
import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { ConnectionError, OffstageError } from '../errors.js'
import type { Address } from './addresses.js'

/** What the client asks of TLS. Certificates and keys are PEM: text, or its bytes. */
export interface TlsOptions {
  /** Certificates that the server's has to be signed with; without it those that Node trusts. */
  ca?: string | Uint8Array | undefined
  /** The client's own certificate and key, for servers that ask for one. */
  cert?: string | Uint8Array | undefined
  key?: string | Uint8Array | undefined
  /** Name in the server's certificate, where it is not the one it is reached by. */
  servername?: string | undefined
}

/** `onConnect` is called when bytes can be sent, with TLS when the server's certificate has been checked. */
export function openSocket(address: Address, tls: TlsOptions | undefined, onConnect: () => void): Socket {
  if (address.path !== undefined) return connect(address.path).once('connect', onConnect)
  const { host, port } = address
  if (tls === undefined) return connect(port, host).once('connect', onConnect)
  const options: ConnectionOptions = { host, port, minVersion: 'TLSv1.2' }
  if (isIP(host) === 0) options.servername = host
  for (const name of ['ca', 'cert', 'key', 'servername'] as const) {
    const value = tls[name]
    if (value !== undefined) Object.assign(options, { [name]: typeof value === 'string' ? value : Buffer.from(value) })
  }
  return connectTls(options).once('secureConnect', onConnect)
}

export function explain(error: NodeJS.ErrnoException, { text }: Address): Error {
  if (error instanceof OffstageError) return error
  const reason =
    error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
      ? 'nothing listens there (is the supervisor running?)'
      : error.code === 'ENOTFOUND'
        ? 'its name is not known'
        : error.code === 'EPROTO' || error.code === 'ERR_SSL_WRONG_VERSION_NUMBER'
          ? `it does not speak TLS (${error.message})`
          : error.message
  return new ConnectionError(`${text}: ${reason}`, { cause: error })
}
