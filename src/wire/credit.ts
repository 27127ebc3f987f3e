/**
 * How much of a client's work a server has on its hands for one connection. The client takes credit for each call it
 * sends, by the size of its body, and has it back with the answer. Both sides count; a client that goes beyond
 * is cut off.
 */
export class Credit {
  readonly #maxCalls: number
  readonly #maxBytes: number
  #calls = 0
  #bytes = 0

  constructor(maxCalls: number, maxBytes: number) {
    this.#maxCalls = maxCalls
    this.#maxBytes = maxBytes
  }

  /** Calls under way. */
  get calls(): number {
    return this.#calls
  }

  /** Whether a call of so many bytes may be sent now. Alone, a call may be as long as a frame may be. */
  fits(bytes: number): boolean {
    return this.#calls < this.#maxCalls && (this.#calls === 0 || this.#bytes + bytes <= this.#maxBytes)
  }

  take(bytes: number): void {
    this.#calls++
    this.#bytes += bytes
  }

  giveBack(bytes: number): void {
    this.#calls--
    this.#bytes -= bytes
  }
}
