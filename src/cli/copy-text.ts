/** What `backup` and `restore` say when they have worked. */
import type { BackupResult } from '../persistence/journal/tools/backup.js'
import type { CheckResult } from '../persistence/journal/tools/check.js'
import { count, grouped, size } from './amounts.js'

export function backupText(from: string, { check, linked, copied }: BackupResult): string {
  const lines = [
    `Backed up ${from} to ${check.folder}, and checked it: it is whole.`,
    '',
    `  jobs      ${jobs(check)}`,
    `  up to     ${lastTime(check)}`,
    `  segments  ${grouped(check.segments)}, ${size(check.bytes)}: ${linked} linked, ${copied} copied`,
    '',
  ]
  if (linked > 0) {
    lines.push(
      'Linked segments take no room, but they are the same blocks on the same disk as those of the journal. Copy the',
      'backup to another disk or machine: any tool that copies files will do.',
    )
  }
  lines.push(`To use it: offstage journal restore ${check.folder} <new folder>`)
  return lines.join('\n')
}

export function restoreText(from: string, { check }: BackupResult): string {
  const { active } = check.jobs
  const lines = [
    `Restored ${from} to ${check.folder}, and checked it: it is whole.`,
    '',
    `  jobs      ${jobs(check)}`,
    `  up to     ${lastTime(check)}`,
    '',
    `What it means, once a supervisor runs with --data ${check.folder}:`,
    '- Jobs that finished after the backup was made run again.',
    '- Jobs that were enqueued after the backup was made are gone.',
    '- Jobs that were removed from the queue after the backup was made are in it again.',
  ]
  if (active > 0) {
    lines.push(
      `- ${count(active, 'job')} ran at that time: such a job is started again, or dead if that was its last attempt.`,
    )
  }
  lines.push('Do not let another supervisor run on the old folder at the same time: both would run the same jobs.')
  return lines.join('\n')
}

function jobs({ jobs: { scheduled, ready, active, dead } }: CheckResult): string {
  const all = scheduled + ready + active + dead
  return `${grouped(all)}: ${grouped(scheduled)} scheduled, ${grouped(ready)} ready, ${grouped(active)} active, ${grouped(dead)} dead`
}

function lastTime({ lastTime }: CheckResult): string {
  return lastTime === undefined ? 'nothing was ever stored' : `${new Date(lastTime).toISOString()}, the last change`
}
