/** Where a supervisor listens: an address, with TLS or without, or a Unix socket. Says so when it cannot. */
import { chmodSync, mkdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { ConfigurationError } from '../errors.js'
import type { Settings } from './settings.js'

type Address = Pick<Settings, 'ip' | 'port' | 'socket'>
type Tls = Pick<Settings, 'tls_cert' | 'tls_key' | 'tls_ca' | 'tls_request_cert' | 'handshake_timeout'>

/** Of `sockaddr_un` in Linux, with the zero at its end. */
const LONGEST_PATH = 107

/** With TLS a socket comes here when its handshake is done; `onRaw` hears of all of them. */
export function createEndpoint(tls: Tls, onSocket: (socket: Socket) => void, onRaw: (socket: Socket) => void): Server {
  const options = tlsOptions(tls)
  if (options === undefined) {
    return createServer({ pauseOnConnect: true }, (socket) => {
      onRaw(socket)
      if (!socket.destroyed && socket.writable) onSocket(socket)
    })
  }
  const server = tlsServer({ ...options, pauseOnConnect: true }, onSocket)
  server.on('connection', onRaw)
  return server
}

/** Resolves to the text of the address that was taken. */
export async function listen(server: Server, address: Address): Promise<string> {
  if (address.socket !== '') return listenOnPath(server, address.socket)
  const { ip, port } = address
  await listening(server, () => server.listen(port, ip)).catch((error: NodeJS.ErrnoException) => {
    throw explain(error, ip, port)
  })
  const { address: taken, port: takenPort, family } = server.address() as AddressInfo
  return family === 'IPv6' ? `[${taken}]:${takenPort}` : `${taken}:${takenPort}`
}

export function isLoopback(ip: string): boolean {
  return ip === 'localhost' || ip === '::1' || /^127\.\d+\.\d+\.\d+$/.test(ip)
}

function tlsServer(options: TlsOptions, onSocket: (socket: Socket) => void): Server {
  try {
    return createTlsServer(options, onSocket)
  } catch (cause) {
    throw new ConfigurationError(`tls_cert, tls_key or tls_ca cannot be used: ${(cause as Error).message}`, { cause })
  }
}

function tlsOptions(settings: Tls): TlsOptions | undefined {
  const { tls_cert, tls_key, tls_ca, tls_request_cert, handshake_timeout } = settings
  if (tls_cert === '' && tls_key === '') {
    if (tls_ca === '' && !tls_request_cert) return undefined
    throw new ConfigurationError('tls_ca and tls_request_cert need tls_cert and tls_key besides them')
  }
  if (tls_cert === '' || tls_key === '') throw new ConfigurationError('TLS needs both tls_cert and tls_key')
  if (tls_request_cert && tls_ca === '') {
    throw new ConfigurationError('tls_request_cert needs tls_ca: the certificates that clients are signed with')
  }
  if (!tls_request_cert && tls_ca !== '') {
    throw new ConfigurationError(
      'tls_ca is for the certificates of clients, and without "tls_request_cert: true" none is asked for',
    )
  }
  return {
    cert: readPem('tls_cert', tls_cert),
    key: readPem('tls_key', tls_key),
    ...(tls_ca === '' ? {} : { ca: readPem('tls_ca', tls_ca) }),
    requestCert: tls_request_cert,
    rejectUnauthorized: tls_request_cert,
    minVersion: 'TLSv1.2',
    handshakeTimeout: handshake_timeout * 1_000,
  }
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ConfigurationError(`${name}: ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** Only who may enter the folder can reach the socket: it is made, or must be, for its owner alone. */
async function listenOnPath(server: Server, path: string): Promise<string> {
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new ConfigurationError(`socket: ${path} is longer than the ${LONGEST_PATH} bytes that the system allows`)
  }
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if ((statSync(folder).mode & 0o077) !== 0) {
    throw new ConfigurationError(
      `socket: others than its owner may enter ${folder}: chmod 700 it, or name a socket in a folder of its own`,
    )
  }
  await clearStale(path)
  await listening(server, () => server.listen(path)).catch((cause: Error) => {
    throw new ConfigurationError(`socket: cannot listen on ${path}: ${cause.message}`, { cause })
  })
  chmodSync(path, 0o600)
  return `unix:${path}`
}

/** A supervisor that was killed has left its socket behind; one that runs answers on it. */
async function clearStale(path: string): Promise<void> {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket()) throw new ConfigurationError(`socket: ${path} is there already, and is no socket`)
  const taken = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
  if (taken) throw new ConfigurationError(`socket: another program (another supervisor?) listens on ${path}`)
  unlinkSync(path)
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    listen()
  })
}

function explain(error: NodeJS.ErrnoException, ip: string, port: number): ConfigurationError {
  const where = `${ip}:${port}`
  const reason =
    error.code === 'EADDRINUSE'
      ? `another program (another supervisor?) listens on ${where}: stop it, or take another port with --port or OFFSTAGE_PORT`
      : error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND'
        ? `this machine has no address ${ip}: set "ip" to one of its own`
        : error.code === 'EACCES'
          ? `listening on port ${port} is not allowed for this user: take one above 1023`
          : `cannot listen on ${where}: ${error.message}`
  return new ConfigurationError(reason, { cause: error })
}
