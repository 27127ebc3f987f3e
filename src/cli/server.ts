/** The supervisor that a command asks, as any client does: the one that runs here, or the one that is named. */
import { Command } from 'commander'
import { OffstageError } from '../errors.js'
import { clientFrom } from '../middleman/config-file.js'
import { type IdentityOptions, MiddleMan } from '../middleman/index.js'
import { findConfigFile } from '../supervisor/config-file.js'
import { findSupervisor } from '../supervisor/pid-file.js'
import { complain } from '../supervisor/program/complain.js'
import { configOf, withSettings } from '../supervisor/program/start.js'
import { EXIT_CODES, Exit, exitStatusOf } from './exit-status.js'
import { ReaderLeft } from './output.js'

export interface ServerFlags {
  readonly server?: string
  readonly config?: string
}

/** A command with the flags that say which server it asks. */
export function serverCommand(name: string): Command {
  return withSettings(new Command(name), ['data'])
    .option('--server <address>', 'host:port or unix:/path, or several with commas (default: the one that runs here)')
    .addHelpText('after', EXIT_CODES)
}

/** Does it with a connection that is closed behind it. Resolves to the exit status; what goes wrong is said. */
export function ask(flags: ServerFlags, act: (middleMan: MiddleMan) => Promise<number>): Promise<number> {
  return statusOf(() => withServer(flags, act))
}

/** Resolves to the exit status; what goes wrong is said. */
export async function statusOf(act: () => Promise<number>): Promise<number> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof ReaderLeft) return Exit.done
    if (!(error instanceof OffstageError)) throw error
    complain(error.message)
    return exitStatusOf(error)
  }
}

export async function withServer<T>(flags: ServerFlags, act: (middleMan: MiddleMan) => Promise<T>): Promise<T> {
  const middleMan = await connect(flags)
  try {
    return await act(middleMan)
  } finally {
    await middleMan.close()
  }
}

async function connect(flags: ServerFlags): Promise<MiddleMan> {
  const file = findConfigFile(process.cwd(), flags.config)
  const client = flags.server ?? (await runningHere(flags))
  if (client !== undefined) return MiddleMan.connect({ client, ...identityIn(file) })
  return file === undefined ? MiddleMan.connect() : MiddleMan.fromConfig(file)
}

async function runningHere(flags: ServerFlags): Promise<string | undefined> {
  const { pid_file } = await configOf({ ...flags })
  const found = findSupervisor(pid_file)
  return found.state === 'running' ? found.address : undefined
}

/** What the file says of who asks, where the environment does not say it. */
function identityIn(file: string | undefined): IdentityOptions {
  if (file === undefined) return {}
  const { user, password, tls } = clientFrom(file)
  const { OFFSTAGE_USER, OFFSTAGE_PASSWORD, OFFSTAGE_CLIENT_CA } = process.env
  return {
    ...(OFFSTAGE_USER || OFFSTAGE_PASSWORD ? {} : { user, password }),
    ...(OFFSTAGE_CLIENT_CA ? {} : { tls }),
  }
}
