/** The listeners of a job store. */
import type { JobStoreEvents, QueueName } from './store.js'

export class StoreEvents {
  readonly #due: JobStoreEvents['due'][] = []
  readonly #failed: JobStoreEvents['failed'][] = []

  on<E extends keyof JobStoreEvents>(event: E, listener: JobStoreEvents[E]): void {
    if (event === 'due') this.#due.push(listener as JobStoreEvents['due'])
    else this.#failed.push(listener as JobStoreEvents['failed'])
  }

  due(queues: readonly QueueName[]): void {
    for (const { worker, workerKey } of queues) for (const listener of this.#due) listener({ worker, workerKey })
  }

  failed(error: Error): void {
    for (const listener of this.#failed) listener(error)
  }
}
