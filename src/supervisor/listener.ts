/** Takes connections: listens, holds new ones back until the supervisor is ready, and greets each. */
import type { Server, Socket } from 'node:net'
import { ConfigurationError, Overloaded } from '../errors.js'
import { encodeFailure } from '../wire/failure.js'
import { FrameType } from '../wire/frame.js'
import { LINGER } from '../wire/limits.js'
import { Outbox } from '../wire/outbox.js'
import { createEndpoint, isLoopback, listen } from './endpoint.js'
import { Greeting, type GreetingOptions } from './greeting.js'
import type { Settings } from './settings.js'

export interface ListenerOptions extends GreetingOptions {
  readonly settings: Settings
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
    this.#server = createEndpoint(
      options.settings,
      (socket) => {
        if (this.#early !== undefined) this.#early.push(socket)
        else this.#greet(socket)
      },
      (socket) => this.#count(socket),
    )
    this.#server.on('tlsClientError', (error: Error, socket: Socket) => {
      options.stats.refuse('TLS')
      options.log.warn({ peer: socket.remoteAddress, code: 'TLS' }, `a connection was refused: ${error.message}`)
      socket.destroy() // one that was silent until its time was up is left to us
    })
  }

  /** Takes the port, so that two supervisors never start workers for one; connections wait for `open`. */
  async listen(): Promise<void> {
    const { settings, log } = this.#options
    this.#checkReach()
    this.#address = await listen(this.#server, settings)
    this.#server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'))
  }

  /** `ip:port` that it took (the port of the configuration may have been 0), or `unix:` and the path. */
  get address(): string {
    return this.#address
  }

  open(): void {
    const early = this.#early ?? []
    this.#early = undefined
    for (const socket of early) this.#greet(socket)
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

  /** Who can reach the port can run the workers' methods, and who sees the bytes can read them. */
  #checkReach(): void {
    const { settings, users, log } = this.#options
    const { ip, socket, insecure, tls_cert, tls_request_cert } = settings
    if (socket !== '' || isLoopback(ip)) return
    const missing: string[] = []
    if (users.size === 0 && !tls_request_cert)
      missing.push("anyone who connects can run the workers' methods (set users)")
    if (tls_cert === '')
      missing.push('everybody on the way can read and change what is sent (set tls_cert and tls_key)')
    if (missing.length === 0) return
    const why = `ip is ${ip}, which other machines can reach, and ${missing.join(', and ')}`
    if (insecure) log.warn({ ip, insecure }, `insecure: ${why}; it starts because of "insecure: true"`)
    else {
      throw new ConfigurationError(
        `${why}: listen on 127.0.0.1, or say "insecure: true" when the network around it is closed`,
      )
    }
  }

  #count(socket: Socket): void {
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
  }

  /** One too many: it gets a word and no time, since those are what there is too little of. */
  #turnAway(socket: Socket): void {
    const { settings, limits, stats, log } = this.#options
    const error = new Overloaded(
      `the server has ${limits.maxConnections} connections, and takes no more (max_connections)`,
    )
    stats.refuse(error.code)
    log.warn({ peer: socket.remoteAddress, code: error.code }, error.message)
    socket.on('error', () => undefined) // it is on its way out
    if (settings.tls_cert === '') {
      const out = new Outbox()
      out.frame(FrameType.ERROR, 0, 0, encodeFailure(error))
      socket.end(Buffer.concat(out.take()))
      socket.destroySoon()
    } else socket.destroy()
  }

  #greet(socket: Socket): void {
    if (!socket.destroyed) new Greeting(socket, this.#options)
  }
}
