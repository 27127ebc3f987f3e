/**
 * `npm test`: sets up what is missing, runs the whole suite with tap, and ends with one line that counts.
 * Arguments are passed on to tap, such as the name of one compiled test file.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, install, root } from './setup.js'

install()
build()

const report = join(root, 'build/test.tap')
mkdirSync(join(root, 'build'), { recursive: true })
rmSync(report, { force: true })
const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
const child = spawn(process.execPath, [tap, 'run', `--output-file=${report}`, ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
})
child.once('exit', (code, signal) => {
  const counts = existsSync(report) ? count(readFileSync(report, 'utf8')) : { passed: 0, failed: 0, skipped: 0 }
  process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
  process.exitCode = signal === null ? (code === 0 && counts.passed === 0 ? 1 : code) : 1
})

/** Counts assertions: the lines of the report that hold no subtests of their own. */
function count(tap) {
  const lines = tap.split('\n')
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const line of lines) {
    const match = /^( *)(not )?ok \d+(.*)$/.exec(line)
    if (match === null || match[1] === '') continue
    if (/ # (skip|todo)/i.test(match[3])) counts.skipped++
    else if (match[2] === undefined) counts.passed++
    else counts.failed++
  }
  return counts
}
