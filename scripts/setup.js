/**
 * Installs and builds what is missing, and nothing else: behind `npm start` and `npm test`, so that either is
 * the only command a fresh clone needs. Plain JavaScript without dependencies, since it runs before there are any.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const BUILT = join(root, 'build/.offstage-built')
const SOURCES = ['src', 'test', 'examples', 'bench']
const BUILD_FILES = ['tsconfig.json', 'tsconfig.base.json', 'package.json']

/** Runs `npm ci` when node_modules is missing or was made from another package-lock.json. */
export function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  // `npm ci` empties the folder: a marker is there as long as what it stands for.
  const installed = join(root, `node_modules/.offstage-installed-${lock.slice(0, 16)}`)
  if (existsSync(installed)) return
  // `npm ci` would empty what the link leads to, and others use.
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    say('node_modules is a link to packages of another package-lock.json: remove the link, and they are installed here')
    process.exit(1)
  }
  say('installing the packages (npm ci)')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  writeFileSync(installed, '')
}

/** Compiles when a source file was added, changed or removed since the last time. */
export function build() {
  // The compiler's notes are in build: without dist they are wrong.
  if (!existsSync(join(root, 'dist'))) rmSync(dirname(BUILT), { recursive: true, force: true })
  const state = fingerprint()
  if (existsSync(BUILT) && readFileSync(BUILT, 'utf8') === state) return
  say('compiling (tsc)')
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--build'])
  mkdirSync(dirname(BUILT), { recursive: true })
  writeFileSync(BUILT, state)
}

/** Names, sizes and times of all source files, as one hash. */
function fingerprint() {
  const hash = createHash('sha256')
  const files = SOURCES.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  for (const file of [...files, ...BUILD_FILES.map((name) => join(root, name))].sort()) {
    const { size, mtimeMs } = statSync(file)
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) return
  say(`${command} failed${error ? `: ${error.message}` : ` with status ${status}`}`)
  process.exit(status ?? 1)
}

function say(text) {
  process.stderr.write(`offstage: ${text}\n`)
}
