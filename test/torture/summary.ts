/** What a torture came to, in lines for people. */
import type { HistoryEvent } from '../history/events.js'
import { describeEvent } from '../history/timeline.js'
import type { TortureResult } from './torture.js'

/** The most violations that are shown. */
const SHOWN = 20

export function summary({ history, violations, kills, jobs }: TortureResult, seconds: number): string[] {
  const starts = history.filter((event) => event.type === 'start')
  const runs = new Map<number, number>()
  for (const { id } of starts) runs.set(id, (runs.get(id) ?? 0) + 1)
  const of = (invariant: string) => violations.filter((violation) => violation.invariant === invariant).length
  const total = Object.values(kills).reduce((sum, count) => sum + count, 0)
  const unknown = history.filter((event) => event.type === 'info').length
  const lines = [
    `${total} kills in ${seconds.toFixed(1)} s: ${kills.working} at work, ${kills.accepting} before the first answer, ${kills.recovered} after recovery, ${kills.loading} before or in it`,
    `${jobs} jobs acknowledged, ${starts.length} runs, ${unknown} calls without an answer`,
    `lost ${of('no loss')}, invented ${of('no invention')}, overlapping ${of('no overlap')}`,
    `repeats: ${starts.length - runs.size - of('bounded repeats')} allowed, ${of('bounded repeats')} not`,
    `other violations: ${violations.length - of('no loss') - of('no invention') - of('no overlap') - of('bounded repeats')}`,
  ]
  for (const { invariant, what, events } of violations.slice(0, SHOWN)) {
    lines.push(`${invariant}: ${what}`, ...events.flatMap((index) => shown(history, index)))
  }
  return lines
}

function shown(history: readonly HistoryEvent[], index: number): string[] {
  const event = history[index]
  return event === undefined ? [] : [`  ${describeEvent(index, event).slice(0, 300)}`]
}
