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
import { parseArgs } from 'node:util'
import type { Plan } from './measure.js'
import type { Result } from './result.js'
import { callRows } from './rows/calls.js'
import { clusterCallRows } from './rows/cluster_calls.js'
import { drainRows } from './rows/drain.js'
import { enqueueRows } from './rows/enqueue.js'
import { idleRow } from './rows/idle.js'
import { memoryRows } from './rows/memory.js'
import { processCallRows } from './rows/process_calls.js'
import { restartRows } from './rows/restart.js'
import { wireRows } from './rows/wire.js'
import { OPTIONS, openRun } from './run.js'

const FULL: Plan = { warmUpMs: 1500, roundMs: 700, rounds: 7 }
const QUICK: Plan = { warmUpMs: 150, roundMs: 100, rounds: 3 }

const { values } = parseArgs({ options: OPTIONS })
process.once('SIGINT', () => process.exit(130))

const run = openRun(values, values.quick ? QUICK : FULL)
const results: Result[] = []
const groups = [
  enqueueRows,
  drainRows,
  callRows,
  processCallRows,
  clusterCallRows,
  memoryRows,
  restartRows,
  idleRow,
  wireRows,
]
for (const group of groups) results.push(...(await group(run.context)))
run.finish(results)
