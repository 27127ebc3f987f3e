/** How much each identity sends, over all of its connections together. */
import type { Meter } from '../wire/connection.js'
import { TokenBucket } from '../wire/token-bucket.js'

interface Buckets {
  readonly frames: TokenBucket | undefined
  readonly bytes: TokenBucket | undefined
  connections: number
}

export class Rates {
  readonly #framesPerSecond: number
  readonly #bytesPerSecond: number
  readonly #identities = new Map<string, Buckets>()

  /** 0 for any. */
  constructor(framesPerSecond: number, bytesPerSecond: number) {
    this.#framesPerSecond = framesPerSecond
    this.#bytesPerSecond = bytesPerSecond
  }

  /** The meter of one more connection of `identity`, and what to call when that has ended; undefined without a limit. */
  join(identity: string): { meter: Meter; leave: () => void } | undefined {
    if (this.#framesPerSecond === 0 && this.#bytesPerSecond === 0) return undefined
    const buckets = this.#identities.get(identity) ?? this.#open(identity)
    buckets.connections++
    return {
      meter: (frames, bytes) => {
        const now = performance.now()
        return Math.max(buckets.frames?.take(frames, now) ?? 0, buckets.bytes?.take(bytes, now) ?? 0)
      },
      leave: () => {
        // With a debt that is not paid, leaving and coming back would be a way out.
        if (--buckets.connections === 0) setTimeout(() => this.#forget(identity, buckets), 1_000).unref()
      },
    }
  }

  #open(identity: string): Buckets {
    const now = performance.now()
    const bucket = (rate: number) => (rate === 0 ? undefined : new TokenBucket(rate, now))
    const buckets = { frames: bucket(this.#framesPerSecond), bytes: bucket(this.#bytesPerSecond), connections: 0 }
    this.#identities.set(identity, buckets)
    return buckets
  }

  #forget(identity: string, buckets: Buckets): void {
    if (buckets.connections > 0 || this.#identities.get(identity) !== buckets) return
    const now = performance.now()
    if ((buckets.frames?.full(now) ?? true) && (buckets.bytes?.full(now) ?? true)) this.#identities.delete(identity)
    else setTimeout(() => this.#forget(identity, buckets), 1_000).unref()
  }
}
