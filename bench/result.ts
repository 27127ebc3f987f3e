/** One row of the table: ours beside its floors, or beside other systems. */
import { type Measured, type Summary, summarize } from './measure.js'

interface FloorResult {
  readonly name: string
  readonly summary: Summary
  /** Ours divided by the floor, round by round: both had the same seconds of the machine, good or bad. */
  readonly ratio: Summary
}

export interface Result {
  readonly row: string
  readonly unit: '/s' | 'µs'
  readonly ours: Summary
  /** What ours was measured beside, in the same rounds. */
  readonly floors: readonly FloorResult[]
  /** Names of what it should have been measured beside and was not; why is told once for all rows. */
  readonly skipped?: readonly string[]
}

/** The name that our contender has in every comparison. */
export const OURS = 'offstage'

export function compare(row: string, unit: Result['unit'], figure: string, measured: Measured): Result {
  const ours = measured.get(OURS)!.get(figure)!
  const floors: FloorResult[] = []
  for (const [name, figures] of measured) {
    if (name === OURS) continue
    const summary = figures.get(figure)!
    floors.push({ name, summary, ratio: summarize(ours.rounds.map((own, round) => own / summary.rounds[round]!)) })
  }
  return { row, unit, ours, floors }
}
