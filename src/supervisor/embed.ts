/** The public entry `offstage/supervisor`: a supervisor inside a program or a test of yours. */
import { loadConfig } from './config.js'
import type { GroupSettings } from './group-config.js'
import { createLogger, type Logger } from './log.js'
import type { SettingName, Settings } from './settings.js'
import { Supervisor } from './supervisor.js'

export type { WorkerEvent } from '../actors/worker-events.js'
export type { GroupSettings } from './group-config.js'
export type { Settings } from './settings.js'
export type { Supervisor } from './supervisor.js'

export interface EmbedOptions extends Partial<Omit<Settings, 'workers' | 'environment'>> {
  /** Folder, or folders, of workers. */
  workers?: string | readonly string[]
  /** Workers that stand and fall together, by the group's name; in place of the file's section `groups`. */
  groups?: Readonly<Record<string, GroupSettings>>
  /** Configuration file; without it the usual ones are looked for in `cwd`. */
  config?: string
  /** What relative paths start from; default the working directory. */
  cwd?: string
  /** A pino logger to use in place of its own. */
  logger?: Logger
  /**
   * The disk failed, so nothing more can be stored: the program should end. By default this ends the process with
   * the error's exit code (74), since going on would be worse.
   */
  onFailure?: (error: Error & { exitCode?: number }) => void
}

/**
 * Starts a supervisor in this process and resolves when it takes calls. Settings given here win over the
 * environment and the configuration file; `port: 0` takes a free port, which `address` of the result tells.
 * `stop()` ends it in good order. Rejects with `ConfigurationError` or `StoreError`, and then nothing runs.
 */
export async function startSupervisor(options: EmbedOptions = {}): Promise<Supervisor> {
  const { config: file, cwd = process.cwd(), logger, onFailure, groups, ...flags } = options
  const config = loadConfig({ cwd, env: process.env, file, groups, flags: flags as { [K in SettingName]?: unknown } })
  const log = logger ?? createLogger(config)
  const failed = (error: Error & { exitCode?: number }) => {
    log.fatal({ err: error }, `the job store failed: ${error.message}`)
    if (onFailure === undefined) process.exit(error.exitCode ?? 74)
    onFailure(error)
  }
  return Supervisor.start(config, log, failed)
}
