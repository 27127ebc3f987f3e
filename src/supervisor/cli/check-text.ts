/** What `fsck` says, for people. */
import type { CheckResult } from '../../persistence/journal/tools/check.js'
import type { Finding } from '../../persistence/journal/tools/finding.js'

export function checkText(result: CheckResult): string {
  const { folder, damaged, findings, user } = result
  const damage = findings.filter(({ severity }) => severity === 'damage')
  const lines = damaged
    ? [
        `${folder} is damaged in ${count(damage.length, 'place')}, so that no supervisor opens it. Nothing was changed.`,
        'These numbers count what can be read:',
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
    `  segments  ${number(segments)}, ${size(bytes)}`,
    `  batches   ${number(batches)}`,
    `  records   ${number(records)}`,
    `  jobs      ${number(all)}: ${number(scheduled)} scheduled, ${number(ready)} ready, ${number(active)} active, ${number(dead)} dead`,
    `  live      ${size(liveBytes)} of records are about jobs that are left`,
  ]
}

export function findingLines({ severity, file, offset, what, means, todo }: Finding): string[] {
  return [
    '',
    `${severity === 'damage' ? 'damage' : 'note'}: ${file}, offset ${offset}: ${what}`,
    `  What it means: ${means}`,
    `  What to do:    ${todo}`,
  ]
}

function count(items: number, word: string): string {
  return `${number(items)} ${word}${items === 1 ? '' : 's'}`
}

function number(value: number): string {
  return value.toLocaleString('en')
}

function size(bytes: number): string {
  if (bytes < 1024) return count(bytes, 'byte')
  let value = bytes
  let unit = -1
  while (value >= 1024 && unit < 3) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${['KiB', 'MiB', 'GiB', 'TiB'][unit]}`
}
