/** `offstage start`, which is also what `node dist/supervisor` does: runs a supervisor until it is told to stop. */
import { Command } from 'commander'
import { OffstageError } from '../../errors.js'
import type { Config } from '../config.js'
import type { Logger } from '../log.js'
import { findSupervisor, writePidFile } from '../pid-file.js'
import { SETTINGS, type SettingName } from '../settings.js'
import type { Supervisor } from '../supervisor.js'
import { complain } from './complain.js'
import { detach, parentOfDetached } from './detach.js'

/** Settings that have a flag of their own; the others are for the file and the environment. */
const FLAGS: readonly [name: SettingName, short: string, value: string][] = [
  ['ip', '', '<address>'],
  ['port', '-p, ', '<number>'],
  ['workers', '-w, ', '<folder>'],
  ['data', '-d, ', '<folder>'],
  ['environment', '-e, ', '<name>'],
  ['log', '', '<file>'],
  ['log_level', '', '<level>'],
  ['stop_timeout', '', '<seconds>'],
]

/** Milliseconds. Ctrl-C reaches a program that npm runs twice: from the terminal, and passed on by npm. */
const SAME_REQUEST = 500

type Options = Record<string, unknown>

interface StartOptions {
  /** What to do once it is ready, such as printing what to try next. */
  readonly onReady?: (supervisor: Supervisor, config: Config) => void
}

export function startCommand({ onReady }: StartOptions = {}): Command {
  return withSettings(new Command('start'))
    .description('Run the supervisor until it gets SIGTERM or SIGINT.')
    .option('--watch', SETTINGS.watch.help)
    .option('--detach', 'in the background: returns when it serves; it is no error when one runs already')
    .addHelpText(
      'after',
      '\nExamples:\n  offstage start                          with the defaults, workers from ./workers\n' +
        '  offstage start --workers jobs --port 0  on a free port, workers from ./jobs\n' +
        '  offstage start --detach                 in the background; then offstage status, offstage stop\n',
    )
    .action(async (options: Options) => {
      process.exitCode = options.detach === true ? await runDetached(options) : await run(options, onReady)
    })
}

/** Gives a command the flags of all settings that have one, or of some. */
export function withSettings(command: Command, only?: readonly SettingName[]): Command {
  command.option(
    '-c, --config <file>',
    'configuration file (default: offstage.yml, config/offstage.yml or config/backgroundrb.yml)',
  )
  for (const [name, short, value] of FLAGS) {
    if (only !== undefined && !only.includes(name)) continue
    const flag = `${short}--${name.replaceAll('_', '-')} ${value}`
    const { fallback, help } = SETTINGS[name]
    const text = `${help} (default: ${String(fallback)})`
    if (name === 'workers') command.option(flag, `${text}; may be given more than once`, collect)
    else command.option(flag, text)
  }
  return command
}

/** The configuration that the flags of a command lead to. Throws `ConfigurationError`. */
export async function configOf(options: Options): Promise<Config> {
  // Only now: the commands that need none are there at once without all that.
  const { loadConfig } = await import('../config.js')
  const file = options.config as string | undefined
  return loadConfig({ cwd: process.cwd(), env: process.env, file, flags: flagsOf(options) })
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

/** Resolves to the exit status once the supervisor has ended. */
async function run(options: Options, onReady: StartOptions['onReady']): Promise<number> {
  const tellParent = parentOfDetached()
  let log: Logger | undefined
  try {
    const { createLogger } = await import('../log.js')
    const config = await configOf(options)
    process.env.NODE_ENV = config.environment
    log = createLogger(config)
    return await serve(config, log, (supervisor) => {
      tellParent?.({ address: supervisor.address })
      onReady?.(supervisor, config)
    })
  } catch (error) {
    const { text, status } = explain(error)
    log?.fatal(
      { code: error instanceof OffstageError ? error.code : undefined },
      `the supervisor cannot start: ${text}`,
    )
    complain(text)
    tellParent?.({ failed: text, status })
    return status
  }
}

async function runDetached(options: Options): Promise<number> {
  try {
    const args = process.argv.slice(2).filter((argument) => argument !== '--detach')
    return await startDetached(await configOf(options), args)
  } catch (error) {
    const { text, status } = explain(error)
    complain(text)
    return status
  }
}

/** Begins one in the background, with these arguments of the program, unless one runs already. */
export async function startDetached(config: Config, args: readonly string[]): Promise<number> {
  const found = findSupervisor(config.pid_file)
  if (found.state === 'running') {
    process.stdout.write(`runs already, as process ${found.pid}, and listens on ${found.address}\n`)
    return 0
  }
  const { pid, log, said } = await detach(config, args)
  if ('failed' in said) {
    complain(said.failed)
    return said.status
  }
  process.stdout.write(`process ${pid} listens on ${said.address}; its log is ${log}\n`)
  return 0
}

async function serve(config: Config, log: Logger, onReady: (supervisor: Supervisor) => void): Promise<number> {
  // Heard from now on: one who stops it while it starts wants the journal closed clean, too.
  const asked = stopRequest(log)
  const { Supervisor } = await import('../supervisor.js')
  const supervisor = await Supervisor.start(config, log, (error) => {
    log.fatal({ err: error }, `the job store failed, so the supervisor ends: ${error.message}`)
    process.exit(error.exitCode ?? 74)
  })
  const removePidFile = tellPid(config, log, supervisor.address)
  onReady(supervisor)
  await asked
  await supervisor.stop()
  removePidFile()
  return 0
}

function tellPid({ pid_file }: Config, log: Logger, address: string): () => void {
  try {
    return writePidFile(pid_file, address)
  } catch (error) {
    log.warn(
      { file: pid_file, reason: (error as Error).message },
      'the pid file cannot be written: stop and status will not find it',
    )
    return () => undefined
  }
}

/** Resolves with the first signal; a later one ends the process at once. */
function stopRequest(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let since: number | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      if (since === undefined) {
        since = performance.now()
        log.info({ signal }, 'asked to stop')
        resolve()
      } else if (performance.now() - since >= SAME_REQUEST) {
        log.warn({ signal }, 'asked to stop a second time: ending at once')
        process.exit(1)
      }
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function flagsOf(options: Options): Partial<Record<SettingName, unknown>> {
  const flags: Partial<Record<SettingName, unknown>> = options.watch === true ? { watch: true } : {}
  for (const [name] of FLAGS) {
    const value = options[name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())]
    if (value === undefined) continue
    const number = typeof SETTINGS[name].fallback === 'number' ? Number(value || Number.NaN) : Number.NaN
    flags[name] = Number.isNaN(number) ? value : number
  }
  return flags
}

/** What is wrong, in one line (or one a problem), and the exit status for it. */
function explain(error: unknown): { text: string; status: number } {
  const known = error instanceof OffstageError
  const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { text, status: known && 'exitCode' in error ? (error.exitCode as number) : 70 }
}
