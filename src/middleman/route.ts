/**
 * The way from a client to its servers. The connections behind it may be made only when the first call comes; and the
 * calls of one route can have a signal and a timeout in common, such as those of one request to a web application.
 */
import { setMaxListeners } from 'node:events'
import type { NoServerAvailable } from '../errors.js'
import type { Call } from './call.js'
import type { Cluster } from './cluster.js'
import type { Link } from './link.js'

export class Route {
  readonly #cluster: () => Cluster
  readonly #signals: readonly AbortSignal[]
  /** Milliseconds, -1 for none. */
  readonly #timeout: number

  /** `cluster` gives the one to use now, and may throw what is wrong with the configuration. */
  constructor(cluster: () => Cluster, signals: readonly AbortSignal[] = [], timeout = -1) {
    this.#cluster = cluster
    this.#signals = signals
    this.#timeout = timeout
  }

  /** The same way, for calls that end with `signal`, too, and have `timeout` unless they say otherwise. */
  with(signal: AbortSignal | undefined, timeout: number): Route {
    // Many calls listen to it, which Node would take for a leak.
    if (signal !== undefined) setMaxListeners(0, signal)
    const signals = signal === undefined ? this.#signals : [...this.#signals, signal]
    return new Route(this.#cluster, signals, timeout < 0 ? this.#timeout : timeout)
  }

  get links(): readonly Link[] {
    return this.#cluster().links
  }

  /** Sends a call; its promise is that of the answer. */
  call(call: Call): Promise<unknown> {
    return this.#cluster().call(this.#commonTo(call))
  }

  /**
   * While it is not known which servers are up: resolves when it is. The call that is made says who asks, and how long that
   * may take.
   */
  known(make: () => Call): Promise<unknown> | undefined {
    const cluster = this.#cluster()
    return cluster.connecting ? cluster.known(this.#commonTo(make())) : undefined
  }

  find(host: string): Link | undefined {
    return this.#cluster().find(host)
  }

  get sharesResults(): boolean {
    return this.#cluster().sharesResults
  }

  placeOf(key: string): Link {
    return this.#cluster().placeOf(key)
  }

  unavailable(title: string): NoServerAvailable {
    return this.#cluster().unavailable(title)
  }

  #commonTo(call: Call): Call {
    call.common = this.#signals
    if (call.limit < 0) call.limit = this.#timeout
    return call
  }
}
