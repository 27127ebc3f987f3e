/** What holds back jobs that are due and that a worker would have room for: a paused queue, a rate limit. */
import type { RateLimit } from '../actors/rate-limit.js'
import type { QueueName } from '../persistence/store.js'
import type { Pauses } from './pauses.js'
import { RateWindow } from './rate-window.js'

export interface JobLimitsOptions {
  readonly pauses: Pauses
  readonly rateOf: (worker: string) => RateLimit | undefined
  /** A queue may be claimed from again. */
  readonly onRoom: (queue: QueueName) => void
}

/** The starts of one queue. */
interface Limited {
  readonly limit: RateLimit
  readonly window: RateWindow
  /** Set while the queue has to wait. */
  timer: NodeJS.Timeout | undefined
}

export class JobLimits {
  readonly #options: JobLimitsOptions
  readonly #limited = new Map<string, Map<string, Limited>>()

  constructor(options: JobLimitsOptions) {
    this.#options = options
  }

  paused(queue: QueueName): boolean {
    return this.#options.pauses.has(queue)
  }

  /** False when it is so already. Resolves when that is durable; what was claimed before runs on. */
  async pause(queue: QueueName, paused: boolean): Promise<boolean> {
    const changed = await this.#options.pauses.set(queue, paused)
    if (changed && !paused) this.#options.onRoom(queue)
    return changed
  }

  /** How many of `room` jobs may be claimed now. */
  allowed(queue: QueueName, room: number): number {
    if (room === 0 || this.paused(queue)) return 0
    const limited = this.#limitedOf(queue)
    if (limited === undefined) return room
    const now = performance.now()
    const left = limited.window.room(now)
    if (left === 0) this.#wait(queue, limited, limited.window.next - now)
    return Math.min(room, left)
  }

  claimed(queue: QueueName, count: number): void {
    if (count > 0) this.#limitedOf(queue)?.window.take(count, performance.now())
  }

  stop(): void {
    for (const byKey of this.#limited.values()) for (const { timer } of byKey.values()) clearTimeout(timer)
  }

  #wait({ worker, workerKey }: QueueName, limited: Limited, ms: number): void {
    limited.timer ??= setTimeout(() => {
      limited.timer = undefined
      this.#options.onRoom({ worker, workerKey })
    }, Math.ceil(ms))
  }

  #limitedOf({ worker, workerKey }: QueueName): Limited | undefined {
    const limit = this.#options.rateOf(worker)
    if (limit === undefined) return undefined
    const byKey = this.#limited.get(worker) ?? new Map<string, Limited>()
    this.#limited.set(worker, byKey)
    const known = byKey.get(workerKey)
    // The worker's file may have been loaded again, with another limit.
    if (known !== undefined && known.limit.jobs === limit.jobs && known.limit.per === limit.per) return known
    clearTimeout(known?.timer)
    const limited: Limited = { limit, window: new RateWindow(limit.jobs, limit.per), timer: undefined }
    byKey.set(workerKey, limited)
    return limited
  }
}
