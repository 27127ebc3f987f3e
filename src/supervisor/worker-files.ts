/** Finds the worker files: every module below the workers folders, but for helpers and tests. */
import { type Dirent, readdirSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ConfigurationError } from '../errors.js'

const MODULES = new Set(['.js', '.mjs', '.ts', '.mts'])
const NOT_WORKERS = /^[._]|\.(test|spec)\.[cm]?[jt]s$|\.d\.[cm]?ts$/

/**
 * Absolute paths, sorted. Left out: names beginning with `_` or `.`, tests, declarations, `node_modules`, and a
 * `.ts` whose compiled `.js` lies beside it.
 */
export function findWorkerFiles(folders: readonly string[]): string[] {
  return [...new Set(folders.flatMap((folder) => search(folder)))].sort()
}

/** Whether the folder is there; a file in its place is an error either way. */
export function isFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats !== undefined && !stats.isDirectory()) {
    throw new ConfigurationError(`the workers folder ${path} is a file; name the folder that it lies in`)
  }
  return stats !== undefined
}

function search(folder: string): string[] {
  const entries = readFolder(folder)
  const names = new Set(entries.map((entry) => entry.name))
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (NOT_WORKERS.test(entry.name) || entry.name === 'node_modules') return []
    if (entry.isDirectory() || (entry.isSymbolicLink() && statSync(path).isDirectory())) return search(path)
    const extension = extname(entry.name)
    if (!MODULES.has(extension)) return []
    const compiled = entry.name.replace(/\.(m?)ts$/, '.$1js')
    return compiled !== entry.name && names.has(compiled) ? [] : [path]
  })
}

function readFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (cause) {
    throw new ConfigurationError(
      `the workers folder ${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}): create it, or name ` +
        'another one with --workers, OFFSTAGE_WORKERS or "workers" in the section "supervisor"',
      { cause },
    )
  }
}
