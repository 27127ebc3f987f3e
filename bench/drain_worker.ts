/** The workers of the drain rows, one class for each concurrency. The client asks for the counts when a round is over. */
import { MetaWorker } from 'offstage'
import { DrainCounter, type Drained } from './drain_counter.js'

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

    #counter = new DrainCounter()

    noop(argument: string): void {
      this.#counter.count(argument)
    }

    drained(): Drained {
      return this.#counter.drained()
    }

    reset(): void {
      this.#counter = new DrainCounter()
    }
  }
}
