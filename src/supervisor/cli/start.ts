/** `offstage start`, which is also what `node dist/supervisor` does: runs a supervisor until it is told to stop. */
import { Command } from 'commander'
import { OffstageError } from '../../errors.js'
import type { Config } from '../config.js'
import type { Logger } from '../log.js'
import { SETTINGS, type SettingName } from '../settings.js'
import type { Supervisor } from '../supervisor.js'

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

interface StartOptions {
  /** What to do once it is ready, such as printing what to try next. */
  readonly onReady?: (supervisor: Supervisor, config: Config) => void
}

export function startCommand({ onReady }: StartOptions = {}): Command {
  const command = new Command('start')
    .description('Run the supervisor in the foreground until it gets SIGTERM or SIGINT.')
    .option(
      '-c, --config <file>',
      'configuration file (default: offstage.yml, config/offstage.yml or config/backgroundrb.yml)',
    )
  for (const [name, short, value] of FLAGS) {
    const flag = `${short}--${name.replaceAll('_', '-')} ${value}`
    const { fallback, help } = SETTINGS[name]
    const text = `${help} (default: ${String(fallback)})`
    if (name === 'workers') command.option(flag, `${text}; may be given more than once`, collect)
    else command.option(flag, text)
  }
  return command
    .option('--watch', SETTINGS.watch.help)
    .addHelpText(
      'after',
      '\nExamples:\n  offstage start                          with the defaults, workers from ./workers\n' +
        '  offstage start --workers jobs --port 0  on a free port, workers from ./jobs\n',
    )
    .action(async (options: Record<string, unknown>) => {
      process.exitCode = await run(options, onReady)
    })
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

/** Resolves to the exit status once the supervisor has ended. */
async function run(options: Record<string, unknown>, onReady: StartOptions['onReady']): Promise<number> {
  let log: Logger | undefined
  try {
    // Only now: the other commands of the program are there at once without all that.
    const { loadConfig } = await import('../config.js')
    const { createLogger } = await import('../log.js')
    const config = loadConfig({
      cwd: process.cwd(),
      env: process.env,
      file: options.config as string | undefined,
      flags: flagsOf(options),
    })
    process.env.NODE_ENV = config.environment
    log = createLogger(config)
    return await serve(config, log, onReady)
  } catch (error) {
    return report(error, log)
  }
}

async function serve(config: Config, log: Logger, onReady: StartOptions['onReady']): Promise<number> {
  // Heard from now on: one who stops it while it starts wants the journal closed clean, too.
  const asked = stopRequest(log)
  const { Supervisor } = await import('../supervisor.js')
  const supervisor = await Supervisor.start(config, log, (error) => {
    log.fatal({ err: error }, `the job store failed, so the supervisor ends: ${error.message}`)
    process.exit(error.exitCode ?? 74)
  })
  onReady?.(supervisor, config)
  await asked
  await supervisor.stop()
  return 0
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

function flagsOf(options: Record<string, unknown>): Partial<Record<SettingName, unknown>> {
  const flags: Partial<Record<SettingName, unknown>> = options.watch === true ? { watch: true } : {}
  for (const [name] of FLAGS) {
    const value = options[name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())]
    if (value === undefined) continue
    const number = typeof SETTINGS[name].fallback === 'number' ? Number(value || Number.NaN) : Number.NaN
    flags[name] = Number.isNaN(number) ? value : number
  }
  return flags
}

/** Says what is wrong in one line (or one a problem) and returns the exit status for it. */
function report(error: unknown, log: Logger | undefined): number {
  const known = error instanceof OffstageError
  const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
  log?.fatal({ code: known ? error.code : undefined }, `the supervisor cannot start: ${text}`)
  for (const line of text.split('\n')) process.stderr.write(`offstage: ${line}\n`)
  return known && 'exitCode' in error ? (error.exitCode as number) : 70
}
