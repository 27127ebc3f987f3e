/** Counts the no-op jobs of a drain. A job costs two additions and a look at the clock. */
import { performance } from 'node:perf_hooks'
import { numberOf } from './argument.js'

export interface Drained {
  readonly jobs: number
  /** Sum of the jobs' numbers: tells a lost or a doubled job even where the count is right. */
  readonly sum: number
  /** From the first job's start to the last one's, in ms. */
  readonly ms: number
}

export class DrainCounter {
  #jobs = 0
  #sum = 0
  #first = 0
  #last = 0

  /** Jobs so far, with this one. */
  count(argument: string): number {
    this.#last = performance.now()
    if (this.#jobs === 0) this.#first = this.#last
    this.#sum += numberOf(argument)
    return ++this.#jobs
  }

  drained(): Drained {
    return { jobs: this.#jobs, sum: this.#sum, ms: this.#last - this.#first }
  }
}

/** Jobs per second between the first job's start and the last one's. Throws unless exactly the jobs 0 to `jobs - 1` ran. */
export function drainRate(drained: Drained, jobs: number): number {
  if (drained.jobs !== jobs || drained.sum !== (jobs * (jobs - 1)) / 2) throw new Error('a job ran twice, or never')
  return ((jobs - 1) * 1000) / drained.ms
}
