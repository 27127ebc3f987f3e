/** A schedule at work: what happens at its times, and when somebody asks. */
import type { Schedule } from './plan.js'
import type { Runs } from './run.js'

/** What became of a firing: `leftOut` says that the one before still runs, and `overlap: skip` stands. */
export type Fired = 'started' | 'queued' | 'leftOut'

export interface ActiveSchedule {
  readonly schedule: Schedule
  readonly runs: Runs
  /** Up to this time it does not fire, whatever the clock does. */
  readonly after: number
  /** Before its first time: sees to what was missed. `after` is known once it has been called. */
  begin(): Promise<void>
  ring(at: number): void
  /** A jump of the clock forward went over this time. */
  missed(at: number): void
  /** Fires now, whatever its times are. */
  run(): Promise<Fired>
  /** What has been fired and has not begun is taken back; what runs goes on. */
  pause(): Promise<void>
  /** What came meanwhile is not made up for; begins anew at the time that the clock shows. */
  resume(): Promise<void>
  /** The server stops. */
  stop(): void
  /** The schedule is no more. */
  end(): Promise<void>
}
