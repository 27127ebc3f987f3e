/** The Python client, as a program that runs operations. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../../../examples/clients/python')
/** Debian's, which knows Debian's packages. */
const PYTHON = '/usr/bin/python3'

/** Why it cannot run here; false when it can. */
export function pythonMissing(): string | false {
  const { status } = spawnSync(PYTHON, ['-c', 'import cbor2'])
  return status === 0 ? false : 'Debian’s python3-cbor2 is not installed (.ci/run installs it)'
}

/** What it prints as JSON. */
export async function python(args: readonly string[], input: unknown): Promise<unknown> {
  const child = spawn(PYTHON, args, { cwd: FOLDER, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
  let out = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk
  })
  child.stdin.end(JSON.stringify(input))
  await new Promise((resolve) => child.once('close', resolve))
  if (out === '') throw new Error(errors)
  return JSON.parse(out)
}
