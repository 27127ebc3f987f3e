/** `offstage` as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export const PROGRAM = join(import.meta.dirname, '../../../dist/cli/main.js')

export interface ToolResult {
  readonly status: number | null
  readonly out: string
  readonly errors: string
}

export function command(...args: string[]): Promise<ToolResult> {
  return commandWith({}, ...args)
}

/** With that on its standard input, in that folder, in that environment besides its own. */
export async function commandWith(
  { input = '', cwd, env = {} }: { input?: string | Uint8Array; cwd?: string; env?: Record<string, string> },
  ...args: string[]
): Promise<ToolResult> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: { ...process.env, ...env } })
  // Who does not read it may have ended before.
  child.stdin.on('error', () => {}).end(input)
  let [out, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, out, errors }
}
