import { MetaWorker } from 'offstage'

export default class WebWorker extends MetaWorker {
  static override concurrency = 10
  readonly #held = new Set<string>()
  readonly #released: string[] = []

  echo(value: unknown): unknown {
    return value
  }

  /** Ends when its caller does not want it any more. */
  hold(name: string): Promise<never> {
    this.#held.add(name)
    const { signal } = this
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        this.#held.delete(name)
        this.#released.push(name)
        reject(signal.reason)
      })
    })
  }

  seen(): { held: string[]; released: string[] } {
    return { held: [...this.#held], released: this.#released }
  }
}
