import { MetaWorker } from 'offstage'
import { LATENESS_CONCURRENCY, type Start, startOf } from '../lateness.js'

/** Notes when its jobs start. The client asks when the last one should have. */
export default class LatenessWorker extends MetaWorker {
  static override concurrency = LATENESS_CONCURRENCY

  #starts: Start[] = []

  noop(argument: string): void {
    this.#starts.push(startOf(argument))
  }

  /** All since `reset`. */
  starts(): Start[] {
    return this.#starts
  }

  reset(): void {
    this.#starts = []
  }
}
