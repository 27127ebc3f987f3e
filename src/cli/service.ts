/** `offstage stop`, `status` and `restart`, with the exit codes that LSB asks of init scripts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { OffstageError } from '../errors.js'
import type { Config } from '../supervisor/config.js'
import { findSupervisor, removePidFile } from '../supervisor/pid-file.js'
import { complain } from '../supervisor/program/complain.js'
import { configOf, startDetached, withSettings } from '../supervisor/program/start.js'

/** LSB 5.0, 20.2: of `status`, then of the others. */
const STATUS = { running: 0, dead: 1, none: 3, unknown: 4 } as const
const FAILED = 1
const NOT_ALLOWED = 4

/** Milliseconds between two looks. */
const LOOK = 50
/** Milliseconds that a supervisor gets beyond its `stop_timeout`, for hosts to end and the journal to be closed. */
const MORE = 20_000

type Options = Record<string, unknown>

export function statusCommand(): Command {
  return withSettings(new Command('status'), ['data'])
    .description('Say whether a supervisor runs here.')
    .option('--json', 'as one JSON object')
    .addHelpText(
      'after',
      '\nExit status: 0 it runs, 1 it has died and left its pid file, 3 it does not run, 4 unknown.\n',
    )
    .action(async (options: Options) => {
      process.exitCode = await tryTo(STATUS.unknown, options, (config) => status(config, options.json === true))
    })
}

export function stopCommand(): Command {
  return withSettings(new Command('stop'), ['data', 'stop_timeout'])
    .description('Let running methods end, close the journal and end the supervisor. It is no error when none runs.')
    .addHelpText('after', '\nExit status: 0 none runs now, 1 it did not end, 4 it is another user’s.\n')
    .action(async (options: Options) => {
      process.exitCode = await tryTo(undefined, options, stop)
    })
}

export function restartCommand(): Command {
  return withSettings(new Command('restart'))
    .description('Stop the supervisor, if one runs, and start one in the background.')
    .action(async (options: Options) => {
      const args = process.argv.slice(2)
      args[args.indexOf('restart')] = 'start'
      process.exitCode = await tryTo(
        undefined,
        options,
        async (config) => (await stop(config)) || startDetached(config, args),
      )
    })
}

function status({ pid_file }: Config, json: boolean): number {
  const found = findSupervisor(pid_file)
  if (json) say(JSON.stringify({ ...found, pidFile: pid_file }))
  else if (found.state === 'running') say(`runs as process ${found.pid} and listens on ${found.address}`)
  else if (found.state === 'dead') say(`does not run: process ${found.pid} has died, and left ${pid_file}`)
  else say(`does not run (there is no ${pid_file})`)
  return STATUS[found.state]
}

async function stop({ pid_file, stop_timeout }: Config): Promise<number> {
  const found = findSupervisor(pid_file)
  if (found.state !== 'running') {
    if (found.state === 'dead') removePidFile(pid_file)
    say('does not run')
    return 0
  }
  const { pid } = found
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
    complain(`process ${pid} belongs to another user: stop it as that one`)
    return NOT_ALLOWED
  }
  const until = performance.now() + stop_timeout * 1000 + MORE
  while (performance.now() < until) {
    if (findSupervisor(pid_file).state !== 'running') {
      say(`process ${pid} has stopped`)
      return 0
    }
    await sleep(LOOK)
  }
  complain(
    `process ${pid} has not ended within ${Math.round(stop_timeout + MORE / 1000)} s: look into its log, or kill -9 ${pid}`,
  )
  return FAILED
}

/** With the configuration; what is wrong with that is said, and gives `unknown` or the error's own status. */
async function tryTo(
  unknown: number | undefined,
  options: Options,
  act: (config: Config) => number | Promise<number>,
): Promise<number> {
  try {
    return await act(await configOf(options))
  } catch (error) {
    if (!(error instanceof OffstageError)) throw error
    complain(error.message)
    return unknown ?? ('exitCode' in error ? (error.exitCode as number) : FAILED)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
