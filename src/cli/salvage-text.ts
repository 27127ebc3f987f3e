/** What `salvage` says, for people. Long lists are cut; `--json` has all of them. */

import type { NamedJob, SalvageReport } from '../persistence/journal/tools/salvage.js'
import type { LostJob } from '../persistence/journal/tools/salvage-jobs.js'
import type { Loss } from '../persistence/journal/tools/salvage-read.js'
import { count, grouped } from './amounts.js'

const LONGEST_LIST = 20

export function salvageText(from: string, report: SalvageReport): string {
  const { check, losses, lostJobs, mayRunAgain, keptAsDead, endedSomehow, torn } = report
  const { scheduled, ready, active, dead } = check.jobs
  const saved = scheduled + ready + active + dead
  const lines = [
    `Saved ${count(saved, 'job')} of ${from} into ${check.folder}: ${grouped(scheduled + ready + active)} unfinished, ${grouped(dead)} dead.`,
    `${from} was not changed: keep it until all is well.`,
  ]
  if (losses.length === 0) lines.push('Nothing is lost.')
  lines.push(
    ...section('Lost: these records cannot be read', losses.map(lossLine)),
    ...section('Jobs that are lost: enqueue them again if they are still needed', lostJobs.map(lostLine)),
    ...section(
      'Jobs that may have ended already, since records after them are lost: they will run. Remove those that must not',
      mayRunAgain.map(jobLine),
    ),
    ...section('Jobs to run at most once that may have been started: kept as dead', keptAsDead.map(jobLine)),
    ...section(
      'Jobs that ended, since a later job has their key, and nobody knows how: kept as dead',
      endedSomehow.map(jobLine),
    ),
  )
  if (torn !== undefined) {
    lines.push(
      '',
      `The last batch was cut short at ${torn.file}, offset ${torn.offset}, most likely by a crash before anybody was told`,
      `that it is stored: ${count(torn.rescued, 'record')} of it could be read and ${torn.rescued === 1 ? 'is' : 'are'} saved, too.`,
    )
  }
  return lines.join('\n')
}

function section(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  const lines = ['', `${title}:`, ...items.slice(0, LONGEST_LIST).map((item) => `  ${item}`)]
  if (items.length > LONGEST_LIST) lines.push(`  … and ${grouped(items.length - LONGEST_LIST)} more: see --json`)
  return lines
}

function lossLine({ file, offset, end, what, fromSeq, toSeq }: Loss): string {
  const place = end > offset ? `${file}, offset ${offset} to ${end}` : `${file}, offset ${offset}`
  const numbers =
    toSeq === undefined ? `${fromSeq} and later` : fromSeq === toSeq ? `${fromSeq}` : `${fromSeq} to ${toSeq}`
  return `sequence numbers ${numbers}: ${place}: ${what}`
}

function lostLine({ id, damaged, last }: LostJob): string {
  const name = damaged === undefined ? `job ${id}` : jobLine(damaged)
  const heard = last === undefined ? '' : `; the last that is known of it is ${last.type}, number ${last.seq}`
  return `${name}${damaged === undefined ? '' : ' (as far as its damaged record can be read)'}${heard}`
}

function jobLine({ id, worker, workerKey, method, jobKey }: NamedJob): string {
  const instance = workerKey === '' ? worker : `${worker} ${JSON.stringify(workerKey)}`
  return `job ${id}: ${instance}.${method}, key ${JSON.stringify(jobKey)}`
}
