/**
 * Changes of the cache that are on their way to where clients read them, and the calls that wait for that: a caller that has
 * its result finds what was cached, and hears when it could not be kept.
 */
import type { OffstageError } from '../errors.js'
import type { Call } from './call.js'

export class CacheWrites {
  readonly #calls = new Map<number, Call | undefined>()
  readonly #unheard: (call: Call | undefined, error: OffstageError) => void

  /** `unheard`: a change was not kept, and nobody waits for it; `call` is what has made it, if it was a call. */
  constructor(unheard: (call: Call | undefined, error: OffstageError) => void) {
    this.#unheard = unheard
  }

  /** The change of that number was made by `call`, or outside any. */
  begin(number: number, call: Call | undefined): void {
    this.#calls.set(number, call)
    if (call !== undefined) call.unstored++
  }

  /** It is kept, or could not be. */
  end(number: number, error: OffstageError | undefined): void {
    const call = this.#calls.get(number)
    this.#calls.delete(number)
    if (error !== undefined) {
      if (call === undefined || call.task !== undefined || call.answered) this.#unheard(call, error)
      else call.storeError ??= error
    }
    if (call !== undefined && --call.unstored === 0) call.whenStored?.()
  }
}
