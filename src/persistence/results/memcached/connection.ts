/**
 * One connection to a memcached: a memjs client with a single server, for as long as nothing goes wrong with it.
 *
 * memjs would connect again by itself. But then it goes on with what is left of the answers from before, and forgets requests
 * whose connection was closed while they waited. So a connection that has failed once is given up, with all that waits on it.
 */
import type { Socket } from 'node:net'
import type { Client, Server } from 'memjs'
import type { MemcachedAddress } from './options.js'

/** Seconds. Both have to be so long that they never come first: who asks has a limit of its own. */
const NEVER = 600

/** memjs numbers its requests, and its counter must not pass 2^31. */
const MOST_REQUESTS = 2 ** 31 - 2

/** memcached has answered, and says no. */
export class Refusal extends Error {}

export class MemcachedConnection {
  /** There was an answer: it is, or was, a memcached that listens there. */
  proven = false
  readonly #client: Client
  readonly #server: Server
  readonly #onEnd: () => void
  #socket: Socket | undefined
  #requests = 0
  #ended = false

  constructor(memjs: typeof import('memjs'), { host, port }: MemcachedAddress, onEnd: () => void) {
    this.#server = new memjs.Server(host, port, undefined, undefined, { timeout: NEVER, conntimeout: NEVER })
    // One try: what went wrong is the caller's to hear, in the error and not on the console.
    this.#client = new memjs.Client([this.#server], { retries: 1, logger: { log: () => undefined } })
    this.#onEnd = onEnd
  }

  get worn(): boolean {
    return this.#requests >= MOST_REQUESTS
  }

  /** Rejects with `Refusal`, or with what broke the connection. */
  async request<T>(send: (client: Client) => Promise<T>): Promise<T> {
    this.#requests++
    const answer = send(this.#client)
    this.#watch()
    try {
      const value = await answer
      this.proven = true
      return value
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      // How memjs begins what the server said; everything else is about the connection.
      const said = /^MemJS \w+: (.*)$/s.exec(error.message)?.[1]
      if (said === undefined) {
        this.end(error)
        throw error
      }
      this.proven = true
      throw new Refusal(said)
    }
  }

  /** What still waits on it fails with `why`. */
  end(why: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd()
    this.#server.error(why)
    this.#socket?.destroy()
  }

  /** memjs opens its socket when it first sends something. An idle one must not keep a process alive. */
  #watch(): void {
    const { _socket: socket } = this.#server as { _socket?: Socket }
    if (socket === undefined || socket === this.#socket) return
    this.#socket = socket
    socket.unref()
    socket.once('close', () => this.end(new Error('it has closed the connection')))
  }
}
