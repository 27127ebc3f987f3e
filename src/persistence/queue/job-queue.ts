/** One worker instance's jobs, and counts of jobs by state. Internal to the queue's rules. */
import type { JobCounts, JobFailure, JobState, QueueName } from '../store.js'
import type { RowHeap } from './heap.js'
import { State } from './job-columns.js'

/** Where a failed or released attempt leaves the job, once that is durable. */
export interface Settlement {
  readonly state: 'scheduled' | 'dead'
  readonly attempts: number
  readonly runAt: number
  readonly suspect: boolean
  /** Undefined: the failure of an earlier attempt, if any, stays the last one. */
  readonly failure: JobFailure | undefined
}

export interface JobQueue extends QueueName {
  /** What its jobs call it by. */
  readonly number: number
  readonly ready: RowHeap
  /** By state. */
  readonly counts: number[]
  /** How many jobs it has, whatever their state. */
  jobs: number
  /** The row of the suspect job that runs now, alone; or NONE. */
  alone: number
  /** Is it in the list of queues that gained a claimable job? */
  gained: boolean
}

export function zeroCounts(): number[] {
  return [0, 0, 0, 0, 0, 0, 0]
}

export function toJobCounts(counts: readonly number[]): JobCounts {
  return {
    scheduled: counts[State.scheduled]!,
    ready: counts[State.ready]!,
    active: counts[State.active]!,
    dead: counts[State.dead]!,
  }
}

const STATES = new Map<number, JobState>([
  [State.scheduled, 'scheduled'],
  [State.ready, 'ready'],
  [State.active, 'active'],
  [State.dead, 'dead'],
  [State.finished, 'finished'],
])

/** Undefined for a job that is not durable yet, and for a row without one. */
export function stateName(state: number): JobState | undefined {
  return STATES.get(state)
}
