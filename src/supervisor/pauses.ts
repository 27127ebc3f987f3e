/** Which queues are paused: their jobs wait, whatever their time. Kept beside the journal, so that a restart changes nothing. */
import { ConfigurationError } from '../errors.js'
import type { QueueName } from '../persistence/store.js'
import { DurableMap } from './durable-map.js'

interface Pause extends QueueName {
  /** Milliseconds since 1970. */
  readonly since: number
}

export class Pauses {
  readonly #pauses: DurableMap<Pause>
  readonly #now: () => number

  /** Throws a `ConfigurationError` when the file is there and cannot be read. */
  constructor(file: string, now: () => number = Date.now) {
    this.#now = now
    try {
      this.#pauses = new DurableMap(file, isPause)
    } catch (cause) {
      throw new ConfigurationError(
        `${file}, which tells what queues are paused, cannot be read: ${(cause as Error).message}; without that file the ` +
          'supervisor starts, and no queue is paused',
        { cause },
      )
    }
  }

  has(queue: QueueName): boolean {
    return this.#pauses.get(keyOf(queue)) !== undefined
  }

  /** False when it is so already. Resolves when that is durable. */
  async set({ worker, workerKey }: QueueName, paused: boolean): Promise<boolean> {
    const key = keyOf({ worker, workerKey })
    if ((this.#pauses.get(key) !== undefined) === paused) return false
    await this.#pauses.set(key, paused ? { worker, workerKey, since: this.#now() } : undefined)
    return true
  }
}

function isPause(value: Pause): boolean {
  return typeof value?.worker === 'string' && typeof value.workerKey === 'string'
}

/** No name of a worker has a slash. */
function keyOf({ worker, workerKey }: QueueName): string {
  return workerKey === '' ? worker : `${worker}/${workerKey}`
}
