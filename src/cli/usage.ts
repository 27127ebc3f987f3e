/** Wrong usage of commands: their exit status, and what their options take. */
import { type Command, type CommanderError, InvalidArgumentError } from 'commander'
import { OffstageError } from '../errors.js'
import { complain } from '../supervisor/program/complain.js'
import { parseDuration, parseMoment } from '../supervisor/schedule/moment.js'
import { zoneOf } from '../supervisor/schedule/zone.js'
import { Exit } from './exit-status.js'

const SECOND = 1_000

/** Lets a command, and all below it, complain of wrong usage as of all else, and end with 64, where commander has 1. */
export function withUsageStatus(command: Command): Command {
  command.exitOverride(endAsUsage)
  command.configureOutput({ outputError: (text) => complain(text.replace(/^error: /, '').trimEnd()) })
  for (const each of command.commands) withUsageStatus(each as Command)
  return command
}

function endAsUsage(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? Exit.done : Exit.usage)
}

export function wholeNumber(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

/** In milliseconds. */
export function duration(text: string): number {
  const plain = text.trim() !== '' && Number.isFinite(Number(text))
  return read(() => parseDuration(plain ? Number(text) : text, SECOND, 'it'))
}

/** In milliseconds since 1970. */
export function moment(text: string): number {
  const zone = zoneOf(Intl.DateTimeFormat().resolvedOptions().timeZone, 'the zone of this machine')
  return read(() => parseMoment(text, zone, Date.now(), 'it'))
}

function read<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof OffstageError) throw new InvalidArgumentError(error.message)
    throw error
  }
}
