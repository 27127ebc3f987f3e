/**
 * Takes connections: listens, holds new ones back until the supervisor is ready, and brings each through the
 * handshake of docs/PROTOCOL.md. Everything after that is the session's.
 */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { ConfigurationError, type OffstageError, Overloaded, ProtocolError } from '../errors.js'
import { Connection, type ConnectionEvents, EMPTY_MAP } from '../wire/connection.js'
import { encodeFailure } from '../wire/failure.js'
import { FrameType } from '../wire/frame.js'
import { PREAMBLE_BYTES, readPreamble, writeHello } from '../wire/handshake.js'
import { LINGER } from '../wire/limits.js'
import { Outbox } from '../wire/outbox.js'
import type { WireStats } from '../wire/stats.js'
import type { Logger } from './log.js'
import type { WireLimits } from './wire-limits.js'

export interface ListenerOptions {
  readonly ip: string
  readonly port: number
  readonly insecure: boolean
  readonly limits: WireLimits
  readonly stats: WireStats
  /** Names this run of the server in HELLO. */
  readonly serverId: string
  readonly log: Logger
  /** What a connection's frames are for; called once its handshake is done. */
  readonly accept: (connect: (events: ConnectionEvents) => Connection, peer: string) => void
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Connections that came before `open`. */
  #early: Socket[] | undefined = []
  #address = ''

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      const { stats, limits } = this.#options
      if (this.#sockets.size >= limits.maxConnections) {
        this.#turnAway(socket)
        return
      }
      this.#sockets.add(socket)
      stats.accepted++
      stats.open++
      socket.once('close', () => {
        this.#sockets.delete(socket)
        stats.open--
      })
      if (this.#early !== undefined) this.#early.push(socket)
      else this.#handshake(socket)
    })
  }

  /** Takes the port, so that two supervisors never start workers for one; connections wait for `open`. */
  async listen(): Promise<void> {
    const { ip, port, insecure } = this.#options
    if (!isLoopback(ip) && !insecure) {
      throw new ConfigurationError(
        `ip is ${ip}, which other machines can reach, and anyone who connects can run the workers' methods: ` +
          'listen on 127.0.0.1, or say "insecure: true" when the network around it is closed',
      )
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, ip, port)))
      this.#server.listen(port, ip, resolve)
    })
    const { address, port: taken, family } = this.#server.address() as AddressInfo
    this.#address = family === 'IPv6' ? `[${address}]:${taken}` : `${address}:${taken}`
    this.#server.removeAllListeners('error')
    this.#server.on('error', (error) => this.#options.log.error({ err: error }, 'a connection could not be accepted'))
  }

  /** `ip:port` that it took; the port of the configuration may have been 0. */
  get address(): string {
    return this.#address
  }

  open(): void {
    const early = this.#early ?? []
    this.#early = undefined
    for (const socket of early) this.#handshake(socket)
  }

  /** Takes no more connections; those that stand are the sessions' to end. */
  close(): void {
    this.#server.close()
    for (const socket of this.#early ?? []) socket.destroy()
  }

  /** Resolves when all connections have ended; cuts those that take too long to read their last answers. */
  async ended(): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, LINGER)
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    clearTimeout(timer)
  }

  #handshake(socket: Socket): void {
    const { limits, stats } = this.#options
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    let received: Buffer = Buffer.alloc(0)
    const timer = setTimeout(() => refuse(new ProtocolError('it sent no preamble in time')), limits.handshakeTimeout)
    const refuse = (error: OffstageError) => {
      socket.off('data', onData)
      stats.refuse(error.code)
      this.#options.log.warn({ peer, code: error.code }, `a connection was refused: ${error.message}`)
      this.#sendRefusal(socket, error)
    }
    const onData = (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      if (received.length < PREAMBLE_BYTES) return
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('error', onError)
      try {
        const version = readPreamble(received)
        this.#greet(socket, peer, version, received.subarray(PREAMBLE_BYTES))
      } catch (error) {
        socket.on('error', onError)
        refuse(error as OffstageError)
      }
    }
    const onError = () => clearTimeout(timer) // 'close' follows, and there is nobody to tell
    socket.on('data', onData)
    socket.on('error', onError)
    socket.once('close', () => clearTimeout(timer))
    socket.resume()
  }

  #greet(socket: Socket, peer: string, version: number, rest: Buffer): void {
    const { limits, stats, serverId, accept } = this.#options
    const { maxBody, maxCalls, maxCallBytes } = limits
    accept((events) => {
      const connection = new Connection(socket, maxBody, events, { limits, stats })
      const hello = {
        version,
        server: serverId,
        nonce: randomBytes(32),
        auth: [],
        limits: { maxBody, maxCalls, maxCallBytes },
        capabilities: [],
      }
      connection.out.frame(FrameType.HELLO, 0, 0, writeHello(hello))
      connection.out.frame(FrameType.READY, 0, 0, EMPTY_MAP)
      // Before anything else is read from the socket, and after the session has the connection.
      if (rest.length > 0) process.nextTick(() => connection.receive(rest))
      return connection
    }, peer)
  }

  /** One too many: it gets a word and no time, since those are what there is too little of. */
  #turnAway(socket: Socket): void {
    const { limits, stats, log } = this.#options
    const error = new Overloaded(
      `the server has ${limits.maxConnections} connections, and takes no more (max_connections)`,
    )
    stats.refuse(error.code)
    log.warn({ peer: `${socket.remoteAddress}:${socket.remotePort}`, code: error.code }, error.message)
    const out = new Outbox()
    out.frame(FrameType.ERROR, 0, 0, encodeFailure(error))
    socket.on('error', () => undefined) // it is on its way out
    socket.end(Buffer.concat(out.take()))
    socket.destroySoon()
  }

  /** Says why before it hangs up, for a client that can read it. */
  #sendRefusal(socket: Socket, error: OffstageError): void {
    const { limits, stats } = this.#options
    const connection = new Connection(socket, limits.maxBody, { frame() {}, close() {} }, { limits, stats })
    connection.out.frame(FrameType.ERROR, 0, 0, encodeFailure(error))
    connection.fail(error)
  }
}

function isLoopback(ip: string): boolean {
  return ip === 'localhost' || ip === '::1' || /^127\.\d+\.\d+\.\d+$/.test(ip)
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
