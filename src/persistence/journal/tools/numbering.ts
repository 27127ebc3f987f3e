/**
 * Gives rescued records their sequence numbers back, and says which numbers are left over: those records are lost.
 * Numbers grow by one with each record, and an ENQ record has its own as the id of its job.
 */
import type { Rescued, RescuedRecord } from './rescue.js'

/** Numbers from `from` to before `to`; `to` undefined: nobody knows where they end. */
export interface SeqRange {
  readonly from: number
  readonly to: number | undefined
}

interface NumberedRecord {
  readonly seq: number
  readonly record: RescuedRecord
}

export interface Numbered {
  readonly records: readonly NumberedRecord[]
  /** Ascending. */
  readonly lost: readonly SeqRange[]
}

export function numberRecords(found: readonly Rescued[], range: SeqRange): Numbered {
  const runs = toRuns(found)
  const records: NumberedRecord[] = []
  const lost: SeqRange[] = []
  let next = range.from
  for (const [index, run] of runs.entries()) {
    const first = Math.max(next, firstNumber(run, range, index === 0, index === runs.length - 1) ?? next)
    if (first > next && run.length > 0) lost.push({ from: next, to: first })
    for (const [place, record] of run.entries()) records.push({ seq: first + place, record })
    if (run.length > 0) next = first + run.length
  }
  const rest = range.to === undefined ? runs.length > 1 && runs.at(-1)?.length === 0 : range.to > next
  if (rest) lost.push({ from: next, to: range.to })
  return { records, lost }
}

/** Records that follow each other without a loss between. The first run is empty when the loss comes first. */
function toRuns(found: readonly Rescued[]): RescuedRecord[][] {
  const runs: RescuedRecord[][] = [[]]
  for (const each of found) {
    if (each.kind === 'lost') runs.push([])
    else if (each.body.type !== 'SEAL') runs.at(-1)!.push(each)
  }
  return runs
}

/** The number of the first record of a run, if it can be told. */
function firstNumber(run: RescuedRecord[], { from, to }: SeqRange, isFirst: boolean, isLast: boolean) {
  const anchor = run.findIndex(({ head, body }) => {
    return body.type === 'ENQ' && head.jobId >= from && head.jobId < (to ?? Number.POSITIVE_INFINITY)
  })
  if (anchor >= 0) return run[anchor]!.head.jobId - anchor
  if (isFirst) return from
  return isLast && to !== undefined ? to - run.length : undefined
}
