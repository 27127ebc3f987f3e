/** The start of one actor, as those who asked for it see it: the promises of its import and of its `create`, and their limit. */
import { ConfigurationError } from '../errors.js'
import type { Cancelable, Clock } from './clock.js'
import type { WorkerDescription } from './description.js'

interface Waiter<T> {
  resolve(value: T): void
  reject(error: Error): void
}

export class Startup {
  readonly #clock: Clock
  #importing: Waiter<WorkerDescription> | undefined
  #creating: Waiter<void> | undefined
  #limit: Cancelable | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves with the first import of the class. Rejects with `ConfigurationError`, or with why it was stopped. */
  imported(): Promise<WorkerDescription> {
    return new Promise((resolve, reject) => {
      this.#importing = { resolve, reject }
    })
  }

  /** Somebody waits for the import, and hears why there is none. */
  get importing(): boolean {
    return this.#importing !== undefined
  }

  /** Resolves with the next `create`. Rejects with why there is none. */
  created(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#creating = { resolve, reject }
    })
  }

  /** Calls `tooLong` unless it has ended, one way or the other, within so many milliseconds; 0: never. */
  limit(ms: number, tooLong: () => void): void {
    this.#limit?.cancel()
    if (ms > 0) this.#limit = this.#clock.after(ms, tooLong)
  }

  /** Whether this was the first time. */
  hasImported(description: WorkerDescription): boolean {
    const waiter = this.#importing
    this.#importing = undefined
    waiter?.resolve(description)
    return waiter !== undefined
  }

  hasCreated(): void {
    this.#limit?.cancel()
    this.#creating?.resolve()
    this.#creating = undefined
  }

  hasFailed(error: Error): void {
    this.#end(
      error,
      error instanceof ConfigurationError ? error : new ConfigurationError(error.message, { cause: error }),
    )
  }

  wasStopped(error: Error): void {
    this.#end(error, error)
  }

  #end(error: Error, ofImport: Error): void {
    this.#limit?.cancel()
    this.#importing?.reject(ofImport)
    this.#creating?.reject(error)
    this.#importing = undefined
    this.#creating = undefined
  }
}
