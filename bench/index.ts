/**
 * `npm run bench`: ours beside its bare floors, in the same run, as a table with ratios.
 *
 *   --quick          a smoke run: shorter, fewer rounds, figures of little worth
 *   --only PATTERN   only rows whose name matches this regular expression
 *   --json FILE      write the same as JSON
 *   --folder FOLDER  where journals are written (default ./build): the disk to measure
 *
 * Status 0 when everything that came back was right, whatever the figures; 1 when something was wrong.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { ARGUMENT_BYTES } from './argument.js'
import { describeMachine } from './machine.js'
import type { Plan } from './measure.js'
import { type Report, renderReport, withVerdict } from './report.js'
import type { Result } from './result.js'
import { callRows } from './rows/calls.js'
import type { Context } from './rows/context.js'
import { drainRows } from './rows/drain.js'
import { enqueueRows } from './rows/enqueue.js'

const FULL: Plan = { warmUpMs: 1500, roundMs: 700, rounds: 7 }
const QUICK: Plan = { warmUpMs: 150, roundMs: 100, rounds: 3 }

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    folder: { type: 'string', default: 'build' },
  },
})
const only = new RegExp(values.only, 'i')

mkdirSync(values.folder, { recursive: true })
const folder = mkdtempSync(path.join(values.folder, 'bench-data-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

const machine = describeMachine(folder)
const context: Context = { plan: values.quick ? QUICK : FULL, folder, selected: (row) => only.test(row) }
const start = performance.now()
const results: Result[] = []
for (const group of [enqueueRows, drainRows, callRows]) results.push(...(await group(context)))
if (results.length === 0) throw new Error(`no row matches ${only}`)

const report: Report = {
  machine,
  plan: context.plan,
  argumentBytes: ARGUMENT_BYTES,
  seconds: (performance.now() - start) / 1000,
  results: results.map(withVerdict),
}
console.log(renderReport(report))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
