/** The file in which workers say what they run, a line of JSON each; kill -9 can cut off the last one. */
import { readFileSync } from 'node:fs'

interface Line {
  /** Of the system's monotonic clock, in ns: it orders what several processes wrote. */
  readonly t: number
  /** Wall-clock ms. */
  readonly at: number
  /** Unique for each start of a method. */
  readonly run: string
  readonly id: number
  readonly attempt: number
}

export type RunLine =
  | (Line & { readonly what: 'start'; readonly token: string })
  /** It asks for the end of its job, and then hears whether its attempt was the current one. */
  | (Line & { readonly what: 'finishing' })
  | (Line & { readonly what: 'finished'; readonly current: boolean })
  /** `settled`: it had ended its job itself. */
  | (Line & { readonly what: 'end'; readonly outcome: 'returned' | 'threw' | 'settled' })

/** Whole lines only. */
export function readRunLog(file: string): RunLine[] {
  return readFileSync(file, 'utf8').split('\n').flatMap(parse)
}

function parse(line: string): RunLine[] {
  try {
    return [JSON.parse(line) as RunLine]
  } catch {
    return [] // empty, or cut off
  }
}
