/** The modules below some folders, each with a text that changes with the file. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Workers, and what they import. Other files are left out: a worker may write some of its own. */
const MODULE = /\.([cm]?[jt]s|json)$/
const NO_MODULE = /^\.|\.(test|spec)\.[cm]?[jt]s$|\.d\.[cm]?ts$/

/** What cannot be read at this moment is as if it were not there. */
export async function scanModules(folders: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  await Promise.all(folders.map((folder) => scan(folder, found)))
  return found
}

async function scan(folder: string, found: Map<string, string>): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => [])
  await Promise.all(
    entries.map(async (entry) => {
      const { name } = entry
      if (NO_MODULE.test(name) || name === 'node_modules') return
      const path = join(folder, name)
      if (entry.isDirectory()) await scan(path, found)
      else if (MODULE.test(name)) {
        const stats = await stat(path, { bigint: true }).catch(() => undefined)
        if (stats !== undefined) found.set(path, `${stats.mtimeNs} ${stats.size} ${stats.ino}`)
      }
    }),
  )
}

/** Paths that are in one of both only, or differ. */
export function differing(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): Set<string> {
  const paths = new Set([...before.keys(), ...now.keys()])
  return new Set([...paths].filter((path) => before.get(path) !== now.get(path)))
}
