/**
 * The workers of the drain rows, one class for each concurrency. A no-op job costs them two additions and a
 * look at the clock; the client asks for the sums when a round is over.
 */
import { performance } from 'node:perf_hooks'
import { MetaWorker } from 'offstage'
import { numberOf } from './argument.js'

interface Drained {
  readonly jobs: number
  /** Sum of the jobs' numbers: tells a lost or a doubled job even where the count is right. */
  readonly sum: number
  /** From the first job's start to the last one's, in ms. */
  readonly ms: number
}

export interface DrainMethods {
  noop(argument: string): void
  /** What was drained since the last `reset`. */
  drained(): Drained
  reset(): void
}

export const drainWorkerName = (concurrency: number) => `drain_${concurrency}`

export function drainWorker(concurrency: number): new () => MetaWorker & DrainMethods {
  return class DrainWorker extends MetaWorker implements DrainMethods {
    static override workerName = drainWorkerName(concurrency)
    static override concurrency = concurrency

    #jobs = 0
    #sum = 0
    #first = 0
    #last = 0

    noop(argument: string): void {
      this.#last = performance.now()
      if (this.#jobs === 0) this.#first = this.#last
      this.#jobs++
      this.#sum += numberOf(argument)
    }

    drained(): Drained {
      return { jobs: this.#jobs, sum: this.#sum, ms: this.#last - this.#first }
    }

    reset(): void {
      this.#jobs = 0
      this.#sum = 0
    }
  }
}
