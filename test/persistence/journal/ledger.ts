/**
 * What a program did with a journal, as it said on its stdout, and how that compares with what is found there
 * after its end. It says `enqueueing K`, then `enqueued K` when that was acknowledged; `finishing`, `finished`
 * and `removing`, `removed` likewise; and `claimed K ATTEMPT`.
 */
import { writeSync } from 'node:fs'
import type { JobInfo } from '#offstage/persistence/store.js'

export type Saying = 'enqueueing' | 'enqueued' | 'claimed' | 'finishing' | 'finished' | 'removing' | 'removed'

/** Says it in one write, so that a kill can cut off only the last line. */
export function say(what: Saying, jobs: readonly { jobKey: string; attempt?: number }[]): void {
  writeSync(1, jobs.map(({ jobKey, attempt = 0 }) => `${what} ${jobKey} ${attempt}\n`).join(''))
}

export class Ledger {
  readonly #asked = new Set<string>()
  /** Acknowledged, or found after a crash. */
  readonly stored = new Set<string>()
  /** Somebody asked for its end, so it may or may not be there. */
  readonly #ending = new Set<string>()
  readonly ended = new Set<string>()
  readonly #attempts = new Map<string, number>()
  /** Found after a crash that cut off their acknowledgement. */
  unacknowledged = 0

  read(said: string): void {
    // A line without its end was cut off.
    for (const line of said.split('\n').slice(0, -1)) {
      const [what, key, attempt] = line.split(' ') as [Saying, string, string]
      if (what === 'enqueueing') this.#asked.add(key)
      else if (what === 'enqueued') this.stored.add(key)
      else if (what === 'claimed') this.#attempts.set(key, Number(attempt))
      else if (what === 'finishing' || what === 'removing') this.#ending.add(key)
      else this.ended.add(key)
    }
  }

  /** What is wrong with these jobs, which were found after a crash; empty when nothing is. */
  compare(jobs: readonly JobInfo[]): string[] {
    const found = new Map(jobs.map((job) => [job.jobKey, job]))
    const problems: string[] = []
    for (const key of this.stored) {
      if (!found.has(key) && !this.#ending.has(key)) problems.push(`${key} was acknowledged and is lost`)
    }
    for (const key of this.ended) if (found.has(key)) problems.push(`${key} was over and has come back`)
    for (const [key, { attempts }] of found) {
      if (!this.#asked.has(key)) problems.push(`${key} was never enqueued`)
      const claimed = this.#attempts.get(key) ?? 0
      if (attempts < claimed) problems.push(`${key} was claimed ${claimed} times and has ${attempts} attempts`)
      if (!this.stored.has(key)) this.unacknowledged++
      this.stored.add(key)
    }
    return problems
  }
}
