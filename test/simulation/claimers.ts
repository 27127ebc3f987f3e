/** What the workers of a simulation hold: claimed attempts, running or not, and old ones that are no longer theirs. */
import type { Attempt } from '#offstage/persistence/store.js'
import type { IssuedJob } from '../history/events.js'
import type { Prng } from './prng.js'
import type { Recorder } from './recorder.js'

export interface Held {
  readonly job: IssuedJob
  /** Undefined: not started. */
  run: string | undefined
  /** A call that settles it is in flight. */
  settling: boolean
  /** It has run, and may not run again. */
  over: boolean
}

const OLD_ATTEMPTS = 20

export class Claimers {
  readonly #random: Prng
  readonly #recorder: Recorder
  #held: Held[] = []
  #old: Attempt[] = []

  constructor(random: Prng, recorder: Recorder) {
    this.#random = random
    this.#recorder = recorder
  }

  /** What runs, of all that is held. */
  get runs(): string[] {
    return this.#held.flatMap(({ run }) => (run === undefined ? [] : [run]))
  }

  take(jobs: readonly IssuedJob[]): void {
    for (const job of jobs) this.#held.push({ job, run: undefined, settling: false, over: false })
  }

  begin(held: Held): void {
    if (held.run === undefined && !held.over) held.run = this.#recorder.start(held.job)
  }

  /** Up to `count` attempts that nobody is settling. */
  free(count: number, wanted: (held: Held) => boolean = () => true): Held[] {
    const free = this.#held.filter((held) => !held.settling && wanted(held))
    const chosen: Held[] = []
    while (chosen.length < count && free.length > 0) chosen.push(...free.splice(this.#random.int(free.length), 1))
    return chosen
  }

  /** Before the call that settles it. */
  end(held: Held): void {
    if (held.run !== undefined) this.#recorder.end(held.run)
    held.run = undefined
    held.over = true
    held.settling = true
  }

  settled(held: Held): void {
    this.#held = this.#held.filter((other) => other !== held)
    this.#remember(held.job)
  }

  /** The call was refused: it is held as before. */
  refused(held: Held): void {
    held.settling = false
  }

  crash(): void {
    for (const { job } of this.#held) this.#remember(job)
    this.#held = []
  }

  /** An attempt that somebody once held, and that nobody holds: one that was given back can be given out again. */
  old(): Attempt | undefined {
    return this.#random.pick(this.#old.filter((attempt) => !this.holds(attempt)))
  }

  holds({ id, attempt }: Attempt): boolean {
    return this.#held.some(({ job }) => job.id === id && job.attempt === attempt)
  }

  #remember({ id, attempt }: Attempt): void {
    this.#old.push({ id, attempt })
    if (this.#old.length > OLD_ATTEMPTS) this.#old.shift()
  }
}
