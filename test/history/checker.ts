/**
 * Judges a history: ten invariants, each a pure function from the timeline to what violates it. What a history does
 * not record, its invariant does not judge: without `claim` events there is no fencing and no order, without
 * `state` events no loss and no model.
 */
import type { Backoff } from '#offstage/persistence/backoff.js'
import { boundedRepeats, fencing, noOverlap } from './attempts.js'
import type { History } from './events.js'
import { noInvention, noLoss } from './jobs.js'
import { liveness, modelEquality, notEarly, notStartedEarly, order } from './queues.js'
import { readTimeline, type Violation } from './timeline.js'
import { uniqueness } from './uniqueness.js'

export interface CheckOptions {
  /** What the store was opened with; the default's when absent. */
  readonly backoff?: Backoff
}

/** All violations, in the order of the invariants; none when the history is as it should be. */
export function check(history: History, { backoff }: CheckOptions = {}): Violation[] {
  const timeline = readTimeline(history)
  return [
    ...noLoss(timeline),
    ...noInvention(timeline),
    ...boundedRepeats(timeline),
    ...noOverlap(timeline),
    ...fencing(timeline),
    ...uniqueness(timeline),
    ...order(timeline, backoff),
    ...notEarly(timeline, backoff),
    ...liveness(timeline),
    ...modelEquality(timeline, backoff),
  ]
}

/**
 * The same for a history that was put together around a process: nobody there sees its claims, so that fencing, order
 * and equality with the model cannot be judged. In time that grows with the length of the history: it may be long.
 */
export function checkFromOutside(history: History): Violation[] {
  const timeline = readTimeline(history)
  return [
    ...noLoss(timeline),
    ...noInvention(timeline),
    ...boundedRepeats(timeline),
    ...noOverlap(timeline),
    ...uniqueness(timeline),
    ...notStartedEarly(timeline),
    ...liveness(timeline),
  ]
}
