/** The proof that the simulation finds bugs: plants them, one after the other, in a copy of the compiled program. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Found } from './find-violation.js'
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.js'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** A bug that takes more seeds than this counts as not found. */
const MOST_SEEDS = 500
/** What a program without a planted bug has to pass. */
const SEEDS_WITHOUT = 60

/** False when a bug was not found, or something was found where there is none. */
export function huntBugs(say: (line: string) => void): boolean {
  const none: PlantedBug = { name: 'no bug', changes: [] }
  const clean = hunt(none, SEEDS_WITHOUT)
  const passes = clean.violation === undefined
  say(`${passes ? 'ok  ' : 'FAIL'} ${none.name}: ${describe(clean)}`)
  let found = 0
  for (const bug of PLANTED_BUGS) {
    try {
      const result = hunt(bug, MOST_SEEDS)
      if (result.violation !== undefined) found++
      say(`${result.violation === undefined ? 'FAIL' : 'ok  '} ${bug.name}: ${describe(result)}`)
    } catch (error) {
      say(`FAIL ${bug.name}: ${error instanceof Error ? error.message : error}`)
    }
  }
  say(`${found} of ${PLANTED_BUGS.length} planted bugs found`)
  return passes && found === PLANTED_BUGS.length
}

function describe({ seeds, violation }: Found): string {
  if (violation === undefined) return `nothing found in ${seeds} seeds`
  return `found by seed ${violation.seed}: ${violation.invariant}: ${violation.what}`
}

/** Runs the simulation over a copy of the program in which the bug is planted. */
function hunt(bug: PlantedBug, seeds: number): Found {
  const copy = mkdtempSync(`${tmpdir()}/offstage-planted-`)
  try {
    for (const part of ['package.json', 'dist', 'build/test']) {
      cpSync(`${ROOT}/${part}`, `${copy}/${part}`, { recursive: true })
    }
    symlinkSync(`${ROOT}/node_modules`, `${copy}/node_modules`)
    const folder = `${copy}/dist/persistence`
    for (const [file, text] of plantedTexts(bug, folder)) writeFileSync(`${folder}/${file}`, text)
    const program = `${copy}/build/test/simulation/find-violation.js`
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, String(seeds)], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the simulation with "${bug.name}" ended with status ${status}: ${stderr}`)
    return JSON.parse(stdout) as Found
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** The changed texts by file; throws when one that is to be replaced is not there exactly once. */
export function plantedTexts({ name, changes }: PlantedBug, folder: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { file, find, put } of changes) {
    const text = texts.get(file) ?? readFileSync(`${folder}/${file}`, 'utf8')
    const times = text.split(find).length - 1
    if (times !== 1) {
      throw new Error(
        `the bug "${name}" cannot be planted: ${file} has ${times} times, not once, the text that it replaces. Plant it anew in test/simulation/planted-bugs.ts:\n${find}`,
      )
    }
    texts.set(
      file,
      text.replace(find, () => put),
    )
  }
  return texts
}
