/**
 * `connect` and `startServer` of a worker: its TCP connections and servers, which belong to its host and end with it.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Cancelled, ConnectionError, InvalidArgument } from '../../errors.js'
import { Connection, type TakeTurn } from './connection.js'
import { makeHandler, TcpHandler, type TcpHandlerClass } from './handler.js'

/** Milliseconds until a connection has to stand. */
const CONNECT_WITHIN = 10_000

/** Of one server at a time. */
const MOST_CONNECTIONS = 10_000

/** A server that a worker has started. */
export interface TcpServer {
  readonly host: string
  /** The one that it was given for port 0. */
  readonly port: number
  /** Takes no more connections, and gives the port back. Those that stand go on. */
  close(): void
}

export interface SocketsOwner {
  /** As `TakeTurn`; `name` is that of the handler's class and method. */
  takeTurn: TakeTurn
  warn(fields: object, message: string): void
}

export class WorkerSockets {
  readonly #owner: SocketsOwner
  readonly #servers = new Set<Server>()
  readonly #connections = new Set<Connection>()
  /** Of attempts to connect: ends them. */
  readonly #dialing = new Set<(reason: Error) => void>()
  #stopped = false
  #whenIdle: (() => void)[] = []

  constructor(owner: SocketsOwner) {
    this.#owner = owner
  }

  /** `signal` ends the attempt, and has no say once the connection stands. */
  async connect<H extends TcpHandler>(
    worker: object,
    signal: AbortSignal,
    host: string,
    port: number,
    Handler: TcpHandlerClass<H>,
  ): Promise<H> {
    check('connect', host, port, Handler, 1)
    this.#mustGoOn(`a connection to ${where(host, port)}`)
    signal.throwIfAborted()
    const socket = connect({ host, port, allowHalfOpen: true })
    const connection = this.#add(socket, worker, Handler)
    try {
      // Within the turn that connects, and not when the connection stands: that may be in the middle of another turn.
      const handler = makeHandler(Handler, connection)
      await this.#stands(socket, signal, host, port)
      connection.begin(() => handler, true)
      return handler
    } catch (error) {
      connection.discard()
      throw error
    }
  }

  async startServer(worker: object, host: string, port: number, Handler: TcpHandlerClass): Promise<TcpServer> {
    check('startServer', host, port, Handler, 0)
    this.#mustGoOn(`a server on ${where(host, port)}`)
    let full = false
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      full = false
      const connection = this.#add(socket, worker, Handler)
      connection.begin(() => makeHandler(Handler, connection), false)
    })
    server.maxConnections = MOST_CONNECTIONS
    server.on('drop', () => {
      if (!full)
        this.#owner.warn({ port }, `${where(host, port)} has ${MOST_CONNECTIONS} connections and takes no more`)
      full = true
    })
    this.#servers.add(server)
    // Where it was stopped while it looked up the name.
    server.on('listening', () => (this.#stopped ? server.close() : undefined))
    const close = () => {
      this.#servers.delete(server)
      server.close()
    }
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.once('close', () => reject(new Error('the worker is being stopped')))
        server.listen({ host, port }, resolve)
      })
    } catch (cause) {
      this.#servers.delete(server)
      throw new ConnectionError(`cannot listen on ${where(host, port)}: ${reasonOf(cause)}`, { cause }, 'CANNOT_LISTEN')
    }
    server.removeAllListeners('error')
    server.on('error', (err) => this.#owner.warn({ err }, `a connection could not be accepted: ${err.message}`))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Cancelled('the server was closed at once')
    return { host: address.address, port: address.port, close }
  }

  /** The worker stops: nothing more is received, what was sent goes out, and each handler has its `unbind`. */
  stop(): void {
    this.#stopped = true
    for (const server of this.#servers) server.close()
    this.#servers.clear()
    for (const giveUp of this.#dialing) giveUp(new Cancelled('the worker is being stopped'))
    for (const connection of this.#connections) connection.close()
  }

  /** Ends all at once, and without further turns. */
  kill(): void {
    this.stop()
    for (const connection of this.#connections) connection.discard()
  }

  get busy(): boolean {
    return this.#connections.size > 0
  }

  /** Calls `idle` when there is no connection whose `unbind` has still to run. */
  whenIdle(idle: () => void): void {
    if (this.busy) this.#whenIdle.push(idle)
    else idle()
  }

  #add(socket: Socket, worker: object, Handler: TcpHandlerClass): Connection {
    const takeTurn: TakeTurn = (name, run, ended) => this.#owner.takeTurn(`${Handler.name}.${name}`, run, ended)
    const connection = new Connection(socket, worker, takeTurn, () => {
      this.#connections.delete(connection)
      if (!this.busy) for (const idle of this.#whenIdle.splice(0)) idle()
    })
    this.#connections.add(connection)
    return connection
  }

  async #stands(socket: Socket, signal: AbortSignal, host: string, port: number): Promise<void> {
    const cannot = (why: string, cause?: unknown) =>
      new ConnectionError(`cannot connect to ${where(host, port)}: ${why}`, { cause })
    let giveUp: (reason: Error) => void = () => undefined
    const aborted = () => giveUp(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    const late = () => giveUp(cannot(`no answer for ${CONNECT_WITHIN / 1000} s`))
    const timer = setTimeout(late, CONNECT_WITHIN)
    try {
      await new Promise<void>((resolve, reject) => {
        giveUp = reject
        this.#dialing.add(giveUp)
        socket.once('connect', resolve)
        socket.once('error', (cause) => reject(cannot(reasonOf(cause), cause)))
      })
    } finally {
      this.#dialing.delete(giveUp)
      signal.removeEventListener('abort', aborted)
      clearTimeout(timer)
    }
  }

  #mustGoOn(what: string): void {
    if (this.#stopped) throw new Cancelled(`${what} was not made: the worker has been stopped`)
  }
}

function check(what: string, host: unknown, port: unknown, Handler: unknown, least: number): void {
  if (typeof host !== 'string' || host === '') {
    throw new InvalidArgument(`${what} takes a host (a name or an address) as its first argument`)
  }
  if (!Number.isInteger(port) || (port as number) < least || (port as number) > 65_535) {
    throw new InvalidArgument(`${what} takes a port from ${least} to 65535 as its second argument, not ${port}`)
  }
  if (typeof Handler === 'function' && Handler.prototype instanceof TcpHandler) return
  throw new InvalidArgument(
    `${what} takes a class that extends TcpHandler, with TcpHandler from 'offstage', as its third argument`,
  )
}

function where(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Where a name has several addresses, the error of all has a code and no message. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const advice = code === undefined ? undefined : ADVICE[code]
  return advice === undefined ? message || (code ?? 'unknown') : `${advice} (${code})`
}

const ADVICE: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'no machine has that name',
  EADDRINUSE: 'another program or worker listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not; take a port above 1023',
}
