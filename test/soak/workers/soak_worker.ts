/** Each worker of the soak is a copy of this: good methods, and one that ends its host in many ways. */
import { appendFileSync } from 'node:fs'
import { MetaWorker } from 'offstage'

export const DEATHS = ['throw', 'reject later', 'exit', 'out of memory', 'endless loop', 'endless recursion'] as const
export type Death = (typeof DEATHS)[number]

export interface Job {
  readonly token: string
  readonly how: Death
  /** Attempts that end so; the next one does its work. */
  readonly deaths: number
}

const done = process.env.DONE ?? '/dev/null'

export default class SoakWorker extends MetaWorker {
  static override concurrency = 4
  static override memoryLimit = 48
  // Not what is tried here: with the default, all of them would have failed for good after a few seconds.
  static override maxRestarts = 1_000_000
  static override timeout = 1_000
  static override grace = 200

  echo(value: number): number {
    return value
  }

  async pause(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  die(how: Death): void {
    die(how)
  }

  run({ token, how, deaths }: Job): void {
    if ((this.persistentJob?.attempt ?? 0) <= deaths) die(how)
    appendFileSync(done, `${token}\n`)
  }
}

function die(how: Death): void {
  switch (how) {
    case 'throw':
      throw new Error('told to throw')
    case 'reject later':
      setImmediate(() => void Promise.reject(new Error('told to reject later')))
      return
    case 'exit':
      process.exit(7)
      return
    case 'out of memory':
      for (const all: unknown[] = []; ; ) all.push(new Array(100_000).fill(1.5))
    case 'endless loop':
      for (;;);
    case 'endless recursion':
      recurse(0)
  }
}

function recurse(depth: number): number {
  return recurse(depth + 1) + 1
}
