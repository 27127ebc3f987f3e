/** One memcached of several: connects when it is first asked, and anew after a failure. Every request has its limit of time. */
import type { Client } from 'memjs'
import { ResultStorageError } from '../../../errors.js'
import { MemcachedConnection, Refusal } from './connection.js'
import type { MemcachedAddress } from './options.js'

/** Milliseconds for a request, connecting included. */
const REQUEST_LIMIT = 2_000

class Late extends Error {
  override message = `it has not answered within ${REQUEST_LIMIT} ms`
}

export class MemcachedServer {
  readonly address: MemcachedAddress
  #connection: MemcachedConnection | undefined
  #waiting = 0
  #closed = false

  constructor(address: MemcachedAddress) {
    this.address = address
  }

  /** Rejects with `ResultStorageError`; `what` says what for. */
  async request<T>(what: string, send: (client: Client) => Promise<T>): Promise<T> {
    // Most programs have no memcached.
    const memjs = await import('memjs')
    this.#waiting++
    try {
      return await this.#request(memjs, what, send)
    } finally {
      this.#waiting--
      this.#endClosed()
    }
  }

  /** Ends its connection once all that waits has its answer. */
  close(): void {
    this.#closed = true
    this.#endClosed()
  }

  async #request<T>(memjs: typeof import('memjs'), what: string, send: (client: Client) => Promise<T>): Promise<T> {
    for (let again = false; ; again = true) {
      const connection = this.#connect(memjs)
      const { proven } = connection
      let waiting = true
      const giveUp = () => {
        if (waiting) connection.end(new Late())
      }
      // After a busy time of this process the answer may be there, and is read before this.
      const timer = setTimeout(() => setImmediate(giveUp), REQUEST_LIMIT)
      try {
        return await connection.request(send)
      } catch (error) {
        const { message } = error as Error
        if (error instanceof Refusal) {
          const facts = { details: { server: this.address.text } }
          throw new ResultStorageError(
            message === 'Value too large' ? 'RESULT_STORAGE_TOO_LARGE' : 'RESULT_STORAGE_REFUSED',
            `${what}: the memcached ${this.address.text} refused it: ${message}`,
            facts,
          )
        }
        // It was closed while nobody used it, by a restart or a firewall: all three requests can be sent twice.
        if (proven && !again && !(error instanceof Late)) continue
        throw new ResultStorageError(
          'RESULT_STORAGE_DOWN',
          `${what}: the memcached ${this.address.text} cannot be used: ${message}`,
          // One that is only slow may still do it.
          {
            executed: error instanceof Late ? 'maybe' : 'no',
            retryable: true,
            cause: error,
            details: { server: this.address.text },
          },
        )
      } finally {
        waiting = false
        clearTimeout(timer)
      }
    }
  }

  #connect(memjs: typeof import('memjs')): MemcachedConnection {
    if (this.#connection !== undefined && !this.#connection.worn) return this.#connection
    const connection = new MemcachedConnection(memjs, this.address, () => {
      if (this.#connection === connection) this.#connection = undefined
    })
    this.#connection = connection
    return connection
  }

  #endClosed(): void {
    if (this.#closed && this.#waiting === 0) this.#connection?.end(new Error('it was closed'))
  }
}
