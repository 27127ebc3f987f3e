/** The supervisor's one logger; every worker and component logs through a child of it. */
import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { ConfigurationError } from '../errors.js'
import type { Settings } from './settings.js'

export type { Logger }

const STANDARD_OUTPUT = 1
/** Characters of log that wait for a disk that is full; what comes beyond them is lost. */
const LONGEST_WAITING = 1024 * 1024

/** Lines of JSON; on a terminal, lines for people. Writes at once, so that a crash loses no line. */
export function createLogger(settings: Pick<Settings, 'log' | 'log_level'>): Logger {
  const options = { level: settings.log_level, base: null }
  if (settings.log === 'foreground') {
    if (!isatty(STANDARD_OUTPUT)) return pino(options, writeTo(STANDARD_OUTPUT))
    return pino(options, pretty({ sync: true, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' }))
  }
  try {
    return pino(options, writeTo(settings.log))
  } catch (cause) {
    throw new ConfigurationError(`the log file ${settings.log} cannot be written: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** A log that cannot be written is no reason to end: what it holds back is written with a later line. */
function writeTo(dest: string | number): ReturnType<typeof pino.destination> {
  const stream = pino.destination({ dest, sync: true, mkdir: true, maxLength: LONGEST_WAITING })
  let told = false
  stream.on('error', (error: Error) => {
    if (!told)
      process.stderr.write(`offstage: the log cannot be written, and the supervisor goes on: ${error.message}\n`)
    told = true
  })
  return stream
}
