/** What the verbs about single jobs have in common. */
import { InvalidArgument } from '../errors.js'
import { Verb } from '../wire/envelope.js'
import { LATEST_TIME } from '../wire/limits.js'

/** They name one job, by its id or its keys. */
export const ABOUT_A_JOB: ReadonlySet<number> = new Set([
  Verb.JOB,
  Verb.JOB_RESULT,
  Verb.CANCEL_JOB,
  Verb.RETRY_JOB,
  Verb.DELETE_JOB,
  Verb.RESCHEDULE,
])

/** Throws `InvalidArgument` for a time that no job can have. */
export function checkTime(time: number): void {
  if (time <= LATEST_TIME) return
  throw new InvalidArgument(`the time ${time} lies after the year 9999; it counts milliseconds since 1970`)
}
