/** Finds the worker files: every module below the workers folders, but for helpers and tests. */
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ConfigurationError } from '../errors.js'

const MODULES = new Set(['.js', '.mjs', '.ts', '.mts'])
const NOT_WORKERS = /^[._]|\.(test|spec)\.[cm]?[jt]s$|\.d\.[cm]?ts$/

/**
 * Absolute paths, sorted, each file once, whatever links lead to it. Left out: names beginning with `_` or `.`,
 * tests, declarations, `node_modules`, and a `.ts` whose compiled `.js` lies beside it.
 */
export function findWorkerFiles(folders: readonly string[]): string[] {
  const visited = new Set<string>()
  return [...new Set(folders.flatMap((folder) => search(folder, visited)))].sort()
}

/** Whether the folder is there; a file in its place is an error either way. */
export function isFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats !== undefined && !stats.isDirectory()) {
    throw new ConfigurationError(`the workers folder ${path} is a file; name the folder that it lies in`)
  }
  return stats !== undefined
}

/** `visited` are the folders that were searched, by their real paths: a link may lead back up. */
function search(folder: string, visited: Set<string>): string[] {
  const entries = readFolder(folder)
  const real = realpathSync(folder)
  if (visited.has(real)) return []
  visited.add(real)
  const names = new Set(entries.map((entry) => entry.name))
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (NOT_WORKERS.test(entry.name) || entry.name === 'node_modules') return []
    if (entry.isDirectory() || (entry.isSymbolicLink() && isLinkToFolder(path))) return search(path, visited)
    const extension = extname(entry.name)
    if (!MODULES.has(extension)) return []
    const compiled = entry.name.replace(/\.(m?)ts$/, '.$1js')
    return compiled !== entry.name && names.has(compiled) ? [] : [path]
  })
}

function isLinkToFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (cause) {
    throw new ConfigurationError(
      `${path} is a link that leads nowhere (${(cause as NodeJS.ErrnoException).code}): mend it or remove it`,
      { cause },
    )
  }
}

function readFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (cause) {
    throw new ConfigurationError(
      `the workers folder ${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}): create it, or name ` +
        'another one with --workers, OFFSTAGE_WORKERS or "workers" in the section "supervisor"',
      { cause },
    )
  }
}
