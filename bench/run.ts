/** What the programs of the bench have in common: their options, the folder they measure in, what they print. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { ARGUMENT_BYTES } from './argument.js'
import { describeMachine } from './machine.js'
import type { Plan } from './measure.js'
import { renderReport, withVerdict } from './report.js'
import type { Result } from './result.js'
import type { Context, Size } from './rows/context.js'

/** For `parseArgs`. */
export const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  json: { type: 'string' },
  folder: { type: 'string', default: 'build' },
} as const

const FULL: Size = { memory: 2_000_000, restart: 1_000_000, idle: { jobs: 1_000_000, ms: 10_000 } }
const QUICK: Size = { memory: 20_000, restart: 10_000, idle: { jobs: 10_000, ms: 1_000 } }

interface Values {
  readonly quick: boolean
  readonly only: string
  readonly folder: string
  readonly json?: string | undefined
}

export interface Run {
  readonly context: Context
  /** Prints the table, and writes it as JSON if that was asked for. `peers`: their versions and settings. */
  finish(results: readonly Result[], peers?: readonly string[]): void
}

/** Makes an empty folder for the run, which goes when the process ends. */
export function openRun(values: Values, plan: Plan): Run {
  const only = new RegExp(values.only, 'i')
  mkdirSync(values.folder, { recursive: true })
  const folder = path.resolve(mkdtempSync(path.join(values.folder, 'bench-data-')))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

  const machine = describeMachine(folder)
  const start = performance.now()
  return {
    context: { plan, size: values.quick ? QUICK : FULL, folder, selected: (row) => only.test(row) },
    finish(results, peers = []) {
      if (results.length === 0) throw new Error(`no row matches ${only}`)
      const seconds = (performance.now() - start) / 1000
      const judged = results.map(withVerdict)
      const report = { machine, peers, plan, argumentBytes: ARGUMENT_BYTES, seconds, results: judged }
      console.log(renderReport(report))
      if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
    },
  }
}
