/** Where an instance lives and what it is given there, as far as that is decided when its host is started. */
import { ConfigurationError } from '../errors.js'
import type { WorkerSettings } from './settings.js'

export type Placement = Pick<WorkerSettings, 'host' | 'memoryLimit' | 'env' | 'execArgv'>

export function placementOf(settings: Partial<Placement>): Placement {
  const { host = 'thread', memoryLimit = 0, env = {}, execArgv = [] } = settings
  return { host, memoryLimit, env, execArgv }
}

export function samePlace(a: Placement, b: Placement): boolean {
  return text(a) === text(b)
}

/** Throws `ConfigurationError` for what that kind of host cannot give. */
export function checkPlacement({ host, env, execArgv }: Placement): void {
  if (host === 'inline' && Object.keys(env).length > 0) {
    throw new ConfigurationError(
      `env is set for a worker with host 'inline', which has the supervisor's environment: choose 'thread' or 'process'`,
      { details: { key: 'env' } },
    )
  }
  if (host !== 'process' && execArgv.length > 0) {
    throw new ConfigurationError(
      `execArgv is set for a worker with host '${host}', but only a process has a command line: choose 'process'`,
      { details: { key: 'execArgv' } },
    )
  }
}

function text({ host, memoryLimit, env, execArgv }: Placement): string {
  return JSON.stringify([host, memoryLimit, Object.entries(env).sort(), execArgv])
}
