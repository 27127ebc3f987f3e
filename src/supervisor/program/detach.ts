/** A supervisor in the background: begins another process of the same program, and hears from it how its start went. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Config } from '../config.js'

/** Tells a process that it is the one in the background. */
const MARK = 'OFFSTAGE_DETACHED'
/** Where its log goes when none is configured, below the working directory. */
const LOG = 'log/offstage.log'

/** What it says of its start; `failed` has the lines for the user, and the exit status. */
type Said = { readonly address: string } | { readonly failed: string; readonly status: number }

export interface Detached {
  readonly pid: number
  readonly log: string
  readonly said: Said
}

/** Starts the program again with the same arguments, and resolves when it serves or has given up. */
export async function detach({ log }: Pick<Config, 'log'>, args: readonly string[]): Promise<Detached> {
  const file = resolve(log === 'foreground' ? LOG : log)
  mkdirSync(dirname(file), { recursive: true })
  const output = openSync(file, 'a')
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, [MARK]: '1' },
  })
  closeSync(output)
  const said = await new Promise<Said>((resolve) => {
    child.once('message', (message) => resolve(message as Said))
    child.once('error', (error) => resolve({ failed: error.message, status: 71 }))
    child.once('exit', (code, signal) =>
      resolve({ failed: `the supervisor ended with ${signal ?? `status ${code}`}: see ${file}`, status: code || 70 }),
    )
  })
  if (child.connected) child.disconnect()
  child.unref()
  return { pid: child.pid ?? 0, log: file, said }
}

/** In the process in the background: what tells whoever began it how the start went; undefined in any other. */
export function parentOfDetached(): ((said: Said) => void) | undefined {
  if (process.env[MARK] === undefined || process.send === undefined) return undefined
  // Not for its workers.
  delete process.env[MARK]
  return (said) =>
    process.send!(said, undefined, undefined, () => {
      if (process.connected) process.disconnect()
    })
}
