/** The supervisor's one logger; every worker and component logs through a child of it. */
import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { ConfigurationError } from '../errors.js'
import type { Settings } from './settings.js'

export type { Logger }

const STANDARD_OUTPUT = 1

/** Lines of JSON; on a terminal, lines for people. Writes at once, so that a crash loses no line. */
export function createLogger(settings: Pick<Settings, 'log' | 'log_level'>): Logger {
  const options = { level: settings.log_level, base: null }
  if (settings.log === 'foreground') {
    if (!isatty(STANDARD_OUTPUT)) return pino(options, pino.destination({ dest: STANDARD_OUTPUT, sync: true }))
    return pino(options, pretty({ sync: true, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' }))
  }
  try {
    return pino(options, pino.destination({ dest: settings.log, sync: true, mkdir: true }))
  } catch (cause) {
    throw new ConfigurationError(`the log file ${settings.log} cannot be written: ${(cause as Error).message}`, {
      cause,
    })
  }
}
