/** What commands that ask a server end with: docs/CLI.md has the table. Numbers from 64 on are those of sysexits.h. */
import {
  AccessDenied,
  AuthenticationFailed,
  ConfigurationError,
  ConnectionError,
  DeadlineExceeded,
  Draining,
  InvalidArgument,
  NoJobKey,
  NoServerAvailable,
  type OffstageError,
  Overloaded,
} from '../errors.js'
import { WrongJson } from './argument.js'

export const Exit = {
  done: 0,
  failed: 1,
  usage: 64,
  data: 65,
  unavailable: 69,
  tryLater: 75,
  notAllowed: 77,
} as const

export const EXIT_CODES = `
Exit status: 0 done, 1 the server or the worker refused or failed, 64 wrong usage, 65 wrong JSON, 69 no server can be
reached, 75 no answer in time, or no room now, 77 not allowed, 78 wrong configuration.
`

export function exitStatusOf(error: OffstageError): number {
  if (error instanceof ConfigurationError) return error.exitCode
  if (error instanceof NoServerAvailable || error instanceof ConnectionError) return Exit.unavailable
  if (error instanceof AccessDenied || error instanceof AuthenticationFailed) return Exit.notAllowed
  if (error instanceof DeadlineExceeded || error instanceof Overloaded || error instanceof Draining)
    return Exit.tryLater
  if (error instanceof WrongJson) return Exit.data
  if (error instanceof InvalidArgument || error instanceof NoJobKey) return Exit.usage
  return Exit.failed
}
