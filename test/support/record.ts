/** What `recording_worker` wrote into its file: a line of JSON for each start of a method. */
import { readFileSync } from 'node:fs'

export interface Run {
  method: string
  arg: unknown
  jobKey: string
  id: number
  attempt: number
  at: number
}

/**
 * Whole lines only: one that is being written can be seen in part, and kill -9 can leave one cut off, whose job
 * then runs again.
 */
export function readRecord(file: string): Run[] {
  return readFileSync(file, 'utf8').split('\n').flatMap(parse)
}

function parse(line: string): Run[] {
  try {
    return [JSON.parse(line) as Run]
  } catch {
    return [] // empty, or not whole
  }
}
