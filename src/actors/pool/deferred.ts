/**
 * The promise of a deferred call. Nobody has to wait for it: when it rejects and nothing has asked for its
 * outcome, the error is given to `unheard`, and is no unhandled rejection, which would end the worker's host.
 */
export class Deferred<T> extends Promise<T> {
  #heard = false

  /** What is derived from it is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  static of<T>(outcome: Promise<T>, unheard: (error: unknown) => void): Deferred<T> {
    const deferred = new Deferred<T>((resolve, reject) => {
      outcome.then(resolve, (error: unknown) => {
        reject(error)
        if (deferred.#heard) return
        // Calling `then` is what counts as having heard.
        Promise.prototype.then.call(deferred, undefined, () => undefined)
        unheard(error)
      })
    })
    return deferred
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise, and has to know whether it is waited for
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#heard = true
    return super.then(fulfilled, rejected)
  }
}
