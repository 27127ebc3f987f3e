/** The listeners of a job store. */
import type { CondemnedJob, JobStoreEvents, QueueName } from './store.js'

export class StoreEvents {
  readonly #due: JobStoreEvents['due'][] = []
  readonly #condemned: JobStoreEvents['condemned'][] = []
  readonly #failed: JobStoreEvents['failed'][] = []

  on<E extends keyof JobStoreEvents>(event: E, listener: JobStoreEvents[E]): void {
    if (event === 'due') this.#due.push(listener as JobStoreEvents['due'])
    else if (event === 'condemned') this.#condemned.push(listener as JobStoreEvents['condemned'])
    else this.#failed.push(listener as JobStoreEvents['failed'])
  }

  due(queues: readonly QueueName[]): void {
    for (const { worker, workerKey } of queues) for (const listener of this.#due) listener({ worker, workerKey })
  }

  condemned({ id, worker, workerKey, failure }: CondemnedJob): void {
    for (const listener of this.#condemned) listener({ id, worker, workerKey, failure })
  }

  failed(error: Error): void {
    for (const listener of this.#failed) listener(error)
  }
}
