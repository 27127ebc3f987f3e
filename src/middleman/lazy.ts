/** The connections of a lazy client: made for the first call, and again for the first one after they have ended. */
import { Cluster, type ClusterOptions } from './cluster.js'

export class LazyConnection {
  readonly #options: () => ClusterOptions
  #cluster: Cluster | undefined

  /** `options` is asked each time that connections are made, and may throw. */
  constructor(options: () => ClusterOptions) {
    this.#options = options
  }

  /** There are connections, or they are being made. */
  get open(): boolean {
    return this.#cluster !== undefined && !this.#cluster.closed
  }

  get cluster(): Cluster {
    if (this.#cluster === undefined || this.#cluster.closed) {
      this.#cluster = new Cluster(this.#options())
      // Who called waits in the cluster, and hears there why it failed.
      this.#cluster.connect().catch(() => {})
    }
    return this.#cluster
  }

  async close(timeout: number): Promise<void> {
    await this.#cluster?.close(timeout)
  }
}
