/**
 * Cached results in memcached: written by supervisors, read by clients. Each key belongs to one server, and when that is down
 * it is an error for this key and for no other.
 */
import { ResultStorageError } from '../../../errors.js'
import { Rendezvous } from '../../../wire/rendezvous.js'
import type { ResultStorage } from '../storage.js'
import { memcachedKey } from './key.js'
import type { MemcachedServers } from './options.js'
import { MemcachedServer } from './server.js'

/** Bytes: what memcached takes of one item by default (`-I 1m`), less the most that it needs for key and header. */
export const LARGEST_VALUE = 1_048_576 - 512

/** Seconds. A longer time to live is a time since 1970 to memcached. */
const LONGEST_RELATIVE = 30 * 86_400

export class MemcachedResults implements ResultStorage {
  readonly #namespace: string
  readonly #servers: readonly MemcachedServer[]
  readonly #places: Rendezvous<MemcachedServer>
  readonly #now: () => number

  /** `now`: milliseconds since 1970. Nothing is connected before the first request. */
  constructor({ servers, namespace }: MemcachedServers, now: () => number = Date.now) {
    this.#namespace = namespace
    this.#servers = servers.map((address) => new MemcachedServer(address))
    this.#places = new Rendezvous(this.#servers, ({ address }) => address.text)
    this.#now = now
  }

  async get(worker: string, workerKey: string, key: string): Promise<Uint8Array | undefined> {
    const { server, at } = this.#place(worker, workerKey, key)
    const { value } = await server.request(`getting the result ${JSON.stringify(key)}`, (client) => client.get(at))
    return value ?? undefined
  }

  /** `ttl` in milliseconds, 0 for as long as there is room: it is kept at least so long, and at most 2 s longer. */
  async set(worker: string, workerKey: string, key: string, value: Uint8Array, ttl: number): Promise<void> {
    if (value.length > LARGEST_VALUE) throw tooLarge(key, value.length)
    const { server, at } = this.#place(worker, workerKey, key)
    // A copy: it is sent later.
    const bytes = Buffer.from(value)
    const expires = expiryOf(ttl, this.#now())
    await server.request(`keeping the result ${JSON.stringify(key)}`, (client) => client.set(at, bytes, { expires }))
  }

  async delete(worker: string, workerKey: string, key: string): Promise<void> {
    const { server, at } = this.#place(worker, workerKey, key)
    await server.request(`clearing the result ${JSON.stringify(key)}`, (client) => client.delete(at))
  }

  /** Ends the connections, once what was asked has its answer. */
  close(): void {
    for (const server of this.#servers) server.close()
  }

  #place(worker: string, workerKey: string, key: string): { server: MemcachedServer; at: string } {
    const at = memcachedKey(this.#namespace, worker, workerKey, key)
    return { server: this.#places.find(at)!, at }
  }
}

/** memcached's clock has only seconds, and the one that has begun counts as a whole one: hence one more. */
function expiryOf(ttl: number, now: number): number {
  if (ttl === 0) return 0
  const seconds = Math.ceil(ttl / 1_000) + 1
  return seconds <= LONGEST_RELATIVE ? seconds : Math.floor(now / 1_000) + seconds
}

function tooLarge(key: string, bytes: number): ResultStorageError {
  return new ResultStorageError(
    'RESULT_STORAGE_TOO_LARGE',
    `the result ${JSON.stringify(key)} has ${bytes} bytes, and memcached takes at most ${LARGEST_VALUE}`,
  )
}
