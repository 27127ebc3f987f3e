/** Cached results that are not with the servers: read from memcached, and written there. */
import { InvalidArgument } from '../errors.js'
import { MEMCACHE_VARIABLE, type MemcachedServers, memcacheFrom } from '../persistence/results/memcached/options.js'
import { MemcachedResults } from '../persistence/results/memcached/results.js'
import { checkedValue } from '../persistence/results/memcached/value.js'
import { decodeValue } from '../wire/codec.js'
import { Verb } from '../wire/envelope.js'
import { LONGEST_TTL } from '../wire/limits.js'
import type { Call } from './call.js'

export interface SharedStorage {
  readonly memcache: MemcachedServers
  /** Milliseconds that a value of `resetResult` is kept; 0: as long as there is room. */
  readonly ttl: number
}

/**
 * What the configuration says: `supervisor` is its section of that name, `memcache` that one, and `where` where they stand.
 * Environment variables win. Undefined: cached results are with the servers. Throws `InvalidArgument`.
 */
export function sharedStorage(
  supervisor: Readonly<Record<string, unknown>>,
  memcache: unknown,
  where: string,
  env: NodeJS.ProcessEnv,
): SharedStorage | undefined {
  const storage = env.OFFSTAGE_RESULT_STORAGE || supervisor.result_storage
  if (storage !== 'memcache') return undefined
  const servers = memcacheFrom(memcache, `${where}: memcache`, env)
  if (servers === undefined) {
    throw new InvalidArgument(
      `${where} says that results are in memcached (result_storage), and not where that is: add a section memcache, or set ${MEMCACHE_VARIABLE}`,
    )
  }
  const seconds = Number(env.OFFSTAGE_RESULT_TTL || supervisor.result_ttl || 0)
  if (!(seconds >= 0 && seconds <= LONGEST_TTL / 1_000)) {
    throw new InvalidArgument(`${where}: result_ttl has to be a number of seconds from 0 to ${LONGEST_TTL / 1_000}`)
  }
  return { memcache: servers, ttl: seconds * 1_000 }
}

export class SharedResults {
  readonly #memcached: MemcachedResults
  readonly #ttl: number
  /** Each ends when its call does. */
  readonly #underWay = new Set<Promise<void>>()

  constructor({ memcache, ttl }: SharedStorage) {
    this.#memcached = new MemcachedResults(memcache)
    this.#ttl = ttl
  }

  /** The call is about one of them. */
  concerns({ verb }: Call): boolean {
    return verb === Verb.ASK_RESULT || verb === Verb.RESET_RESULT
  }

  /** Ends the call with what comes of it. */
  serve(call: Call): void {
    const served = this.#serve(call).finally(() => this.#underWay.delete(served))
    this.#underWay.add(served)
  }

  /** Ends the connections when the calls under way have ended, and waits for that for at most `timeout` ms. */
  async close(timeout: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeout)
    })
    await Promise.race([Promise.all(this.#underWay), late])
    clearTimeout(timer)
    this.#memcached.close()
  }

  async #serve(call: Call): Promise<void> {
    // What has been sent may happen, whether or not its caller waits for it.
    call.sent = true
    try {
      call.succeed(await (call.verb === Verb.ASK_RESULT ? this.#get(call) : this.#set(call)))
    } catch (error) {
      call.fail(error as Error)
    }
  }

  async #get({ worker, workerKey, jobKey }: Call): Promise<unknown> {
    const bytes = checkedValue(jobKey, await this.#memcached.get(worker, workerKey, jobKey))
    return bytes === undefined ? null : decodeValue(bytes)
  }

  #set({ worker, workerKey, jobKey, payload }: Call): Promise<void> {
    if (payload.length === 0) return this.#memcached.delete(worker, workerKey, jobKey)
    return this.#memcached.set(worker, workerKey, jobKey, payload, this.#ttl)
  }
}
