/** What happens to workers, as it happens: for metrics and a dashboard. The log has a line for each of them. */

interface OfWorker {
  readonly worker: string
  /** '' for the instance without a key. */
  readonly workerKey: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export type WorkerHappening =
  | { readonly type: 'started' }
  /** Its host ended, its class could not be loaded again, or its `create` failed. */
  | {
      readonly type: 'crashed'
      readonly reason: string
      /** Messages that were in work and failed with it. */
      readonly lost: number
      /** Messages that had been sent to the host and wait again. */
      readonly kept: number
    }
  /** Its host was ended because another member of its group failed: `reason` says which, and how. */
  | { readonly type: 'halted'; readonly reason: string; readonly lost: number; readonly kept: number }
  /** It is started again in `pause` milliseconds. */
  | { readonly type: 'backingOff'; readonly pause: number }
  /** It runs again; `restarts` counts how often it was started again. */
  | { readonly type: 'restarted'; readonly restarts: number }
  /** It is not started again. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'stopped' }
  /** The event loop of its host has not turned for `ms`, and this is why. Comes again with growing distance. */
  | { readonly type: 'blocked'; readonly method: string; readonly jobKey: string; readonly ms: number }
  /** It turns again, after at least `ms`. */
  | { readonly type: 'unblocked'; readonly ms: number }

export type WorkerEvent = OfWorker & WorkerHappening

export class WorkerEvents {
  readonly #listeners = new Set<(event: WorkerEvent) => void>()
  readonly #onError: (error: unknown) => void

  /** `onError` hears what a listener threw: it must not end the worker that the event is about. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Calls `listener` for every event from now on, until the returned function is called. */
  subscribe(listener: (event: WorkerEvent) => void): () => void {
    // One of its own for each subscription, so that the same function can be subscribed twice.
    const own = (event: WorkerEvent) => listener(event)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  emit(event: WorkerEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}
