/** What `fsck` says, for people. */
import type { CheckResult } from '../persistence/journal/tools/check.js'
import { findingLines } from '../persistence/journal/tools/finding.js'
import { count, grouped, size } from './amounts.js'

export function checkText(result: CheckResult): string {
  const { folder, damaged, findings, user } = result
  const damage = findings.filter(({ severity }) => severity === 'damage')
  const lines = damaged
    ? [
        `${folder} is damaged in ${count(damage.length, 'place')}. Nothing was changed. A supervisor refuses to open it, or will miss`,
        'what stands there when it needs it. These numbers count what can be read:',
      ]
    : [`${folder} is whole${condition(result)}.`]
  if (user !== undefined) {
    lines.push(
      `Process ${user} uses it: sealed segments were checked to their ends, the newest up to its last whole batch.`,
    )
  }
  return [...lines, '', ...summary(result), ...findings.flatMap(findingLines), ''].join('\n')
}

function condition({ clean, user, jobs }: CheckResult): string {
  if (clean) return ', and was closed cleanly'
  if (user !== undefined) return ''
  const again =
    jobs.active === 0 ? '' : `; ${count(jobs.active, 'job')} that ran then will be seen to at the next start`
  return `, though it was not closed: the supervisor was killed, or the machine stopped${again}`
}

function summary({ segments, batches, records, bytes, liveBytes, jobs }: CheckResult): string[] {
  const { scheduled, ready, active, dead } = jobs
  const all = scheduled + ready + active + dead
  return [
    `  segments  ${grouped(segments)}, ${size(bytes)}`,
    `  batches   ${grouped(batches)}`,
    `  records   ${grouped(records)}`,
    `  jobs      ${grouped(all)}: ${grouped(scheduled)} scheduled, ${grouped(ready)} ready, ${grouped(active)} active, ${grouped(dead)} dead`,
    `  live      ${size(liveBytes)} of records are about jobs that are left`,
  ]
}
