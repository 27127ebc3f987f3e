/** Enqueues that replace the same waiting job, one after the other: only the last has to be written, nobody can see the others. */
import type { Enqueued, NewJob } from '../store.js'

export class Successive {
  /** For each job that is replaced, what the last of its successors makes of it. */
  readonly jobs: NewJob[] = []
  /** Which of those each job went into. */
  readonly #into: number[]

  /** `replaced` has for each of the jobs the id of the one that has its key. */
  constructor(jobs: readonly NewJob[], replaced: readonly number[]) {
    const known = new Map<number, number>()
    this.#into = jobs.map((job, i) => {
      const at = known.get(replaced[i]!) ?? this.jobs.length
      known.set(replaced[i]!, at)
      this.jobs[at] = at === this.jobs.length ? job : successor(this.jobs[at]!, job)
      return at
    })
  }

  /** The answer to each job, from those to `jobs`. */
  answers(last: readonly Enqueued[]): Enqueued[] {
    const told = new Set<number>()
    return this.#into.map((at) => {
      const answer = last[at]!
      // The key had become free: the first one has taken it, and the others have replaced that.
      if (answer.created && told.has(at)) return { id: answer.id, created: false, replaced: true }
      told.add(at)
      return answer
    })
  }
}

/** What is left when the second replaces what the first has made. */
function successor(first: NewJob, second: NewJob): NewJob {
  if (second.whenTaken !== 'replace') return second
  const { whenTaken, runAt } = first
  return { ...second, whenTaken, runAt }
}
