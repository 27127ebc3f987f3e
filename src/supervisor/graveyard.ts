/** Discards dead jobs that are older, or more, than the configuration has them kept. */
import type { JobStore } from '../persistence/store.js'
import type { Logger } from './log.js'

/** Milliseconds between two looks. */
const EVERY = 60_000

export interface GraveyardOptions {
  readonly store: Pick<JobStore, 'discardDead'>
  readonly log: Pick<Logger, 'info' | 'error'>
  /** Milliseconds since the death; 0: for ever. */
  readonly keep: number
  readonly entries: number
  readonly now?: () => number
}

export class Graveyard {
  readonly #options: GraveyardOptions
  #timer: NodeJS.Timeout | undefined
  #clearing: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: GraveyardOptions) {
    this.#options = options
  }

  start(): void {
    this.#look()
    this.#timer = setInterval(() => this.#look(), EVERY)
  }

  /** Resolves when nothing is being discarded any more. */
  stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    return this.#clearing
  }

  #look(): void {
    this.#clearing = this.#clearing.then(() => this.#clear())
  }

  async #clear(): Promise<void> {
    const { store, log, keep, entries, now = Date.now } = this.#options
    let discarded = 0
    try {
      for (let some = 1; some > 0 && !this.#stopped; discarded += some) {
        some = await store.discardDead({ before: keep === 0 ? 0 : now() - keep, entries })
      }
    } catch (err) {
      log.error({ err }, 'dead jobs could not be discarded; it is tried again in a minute')
    }
    if (discarded > 0) log.info({ discarded }, `${discarded} dead jobs were discarded: they are not kept for longer`)
  }
}
