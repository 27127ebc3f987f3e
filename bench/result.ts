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
  readonly unit: '/s' | 'µs' | 'ms' | 'B' | '%'
  readonly ours: Summary
  /** What ours was measured beside, in the same rounds. */
  readonly floors: readonly FloorResult[]
  /** Names of what it should have been measured beside and was not; why is told once for all rows. */
  readonly skipped?: readonly string[]
  /** What else there is to know about it, told below the table. */
  readonly note?: string
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

/** A row that was measured once and stands for itself, or beside one thing measured at the same time. */
export function single(
  row: string,
  unit: Result['unit'],
  value: number,
  floor?: { name: string; value: number },
): Result {
  const floors: FloorResult[] = []
  if (floor !== undefined) {
    floors.push({ name: floor.name, summary: summarize([floor.value]), ratio: summarize([value / floor.value]) })
  }
  return { row, unit, ours: summarize([value]), floors }
}
