/** The errors of the tools, worded for somebody who has to act on them. */
import { StoreError } from '../../../errors.js'
import { isFull } from '../file-system.js'
import { ExitCode } from './exit-code.js'
import { type Finding, findingLines } from './finding.js'

/** The folder that a tool is to make is there already, or cannot be made. */
export function cannotCreate(folder: string, why: string, cause?: unknown): StoreError {
  return new StoreError('CANNOT_CREATE', `cannot make ${folder}: ${why}. Nothing was changed.`, {
    exitCode: ExitCode.cannotCreate,
    details: { folder },
    cause,
  })
}

/** What a tool was writing is incomplete, and was removed. */
export function cannotWrite(folder: string, cause: unknown): StoreError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const todo = isFull(cause) ? 'make room on that disk, or give a folder on another one' : "look at the system's log"
  return new StoreError('STORE_FAILED', `cannot write ${folder}: ${why}: ${todo}. What was written is removed.`, {
    exitCode: ExitCode.io,
    details: { folder },
    cause,
  })
}

/** What a tool was writing is incomplete, and is still there. `cause`: why it failed, and why it cannot be removed. */
export function cannotRemove(folder: string, cause: AggregateError): StoreError {
  const [why, whyNot] = cause.errors.map((error) => (error instanceof Error ? error.message : String(error)))
  const message = `${why}. What was written is left in ${folder}, because it cannot be removed: ${whyNot}: remove it by hand`
  return new StoreError('STORE_FAILED', message, { exitCode: ExitCode.io, details: { folder }, cause })
}

/** `consequence`: what therefore was not done. */
export function damaged(folder: string, consequence: string, findings: readonly Finding[]): StoreError {
  const places = findings.filter(({ severity }) => severity === 'damage')
  const all = `\`offstage journal fsck ${folder}\` names every place of damage.`
  const message = [`${folder} is damaged, so ${consequence}. ${all}`, ...places.flatMap(findingLines)].join('\n')
  return new StoreError('JOURNAL_CORRUPT', message, { exitCode: ExitCode.damaged, details: { folder } })
}
