/** The run as a table for people and as JSON for programs. */
import type { Machine } from './machine.js'
import type { Plan, Summary } from './measure.js'
import type { Result } from './result.js'
import { judge, type Verdict } from './targets.js'

export interface Report {
  readonly machine: Machine
  /** Versions and settings of the systems that ours was measured beside. */
  readonly peers: readonly string[]
  readonly plan: Plan
  readonly argumentBytes: number
  readonly seconds: number
  readonly results: readonly (Result & { readonly verdict?: Verdict })[]
}

export function withVerdict(result: Result): Report['results'][number] {
  const verdict = judge(result)
  return verdict === undefined ? result : { ...result, verdict }
}

export function renderReport(report: Report): string {
  const { machine, plan } = report
  const notes = report.results.flatMap(({ row, note }) => (note === undefined ? [] : [`${row}: ${note}`]))
  if (report.results.some(({ verdict }) => verdict?.quoted)) {
    notes.push('* a multiple of a figure of that system on another machine: quoted, not measured in this run')
  }
  if (machine.loadBefore > machine.cores / 2) {
    notes.push('Something else was running on this machine: all figures are low, and the ratios are uneven.')
  }
  return [
    `${machine.cores} cores of ${machine.cpu}, ${machine.system}, Node ${machine.node}, ${machine.fileSystem}, load before ${machine.loadBefore.toFixed(2)}`,
    `argument of ${report.argumentBytes} bytes; median (min–max) of ${plan.rounds} rounds of ${plan.roundMs} ms, sides taking turns, a ratio for each round; ${report.seconds.toFixed(0)} s in all`,
    ...report.peers,
    '',
    ...renderTable(['row', 'offstage', 'beside', '', 'ratio', 'target', 'reached'], report.results.flatMap(linesOf)),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n')
}

function linesOf(result: Report['results'][number]): string[][] {
  const { verdict } = result
  const own = [result.row, render(result.ours, result.unit)]
  const target =
    verdict === undefined ? ['', ''] : [verdict.target, (verdict.reached ? 'yes' : 'NO') + (verdict.quoted ? ' *' : '')]
  const beside = [
    ...result.floors.map(({ name, summary, ratio }) => [
      name,
      render(summary, result.unit),
      ratio.rounds.length === 1
        ? ratio.median.toFixed(2)
        : `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
    ]),
    ...(result.skipped ?? []).map((name) => [name, 'skipped', '']),
  ]
  if (beside.length === 0) beside.push(['', '', ''])
  return beside.map((cells, at) => (at === 0 ? [...own, ...cells, ...target] : ['', '', ...cells, '', '']))
}

function render({ median, min, max, rounds }: Summary, unit: Result['unit']): string {
  const value = (figure: number) =>
    unit === '/s' ? short(figure) : figure.toFixed(unit === '%' ? 2 : unit === 'ms' && figure < 100 ? 1 : 0)
  const middle = unit === '/s' ? `${short(median)}/s` : `${value(median)} ${unit}`
  return rounds.length === 1 ? middle : `${middle} (${value(min)}–${value(max)})`
}

/** Three significant digits: 87.4, 1.03k, 118k. */
function short(value: number): string {
  if (value >= 1000) return `${short(value / 1000)}k`
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function renderTable(head: string[], lines: string[][]): string[] {
  const widths = head.map((title, at) => Math.max(title.length, ...lines.map((line) => line[at]!.length)))
  const renderLine = (line: string[]) =>
    line
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd()
  return [renderLine(head), widths.map((width) => '─'.repeat(width)).join('──'), ...lines.map(renderLine)]
}
