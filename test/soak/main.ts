/** `npm run soak`: workers that crash at random under load, and checks that everything is accounted for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { checks } from './checks.js'
import { soak } from './soak.js'

const USAGE = `usage: npm run soak -- [--seconds 300] [--rate 200] [--strict] [--keep]

  --seconds S  how long calls and jobs go on; then it ends when all of them have an outcome
  --rate N     calls and enqueues a second
  --strict     a check of speed that fails is a failure, too
  --keep       leaves the workers and the journal where they are
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    rate: { type: 'string', default: '200' },
    strict: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else await run()

async function run(): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/offstage-soak-`)
  const result = await soak({ folder, seconds: number('seconds', values.seconds), rate: number('rate', values.rate) })
  let failed = false
  for (const { what, found, ok, speed } of checks(result)) {
    const excused = speed === true && !values.strict
    process.stdout.write(`${ok ? 'ok    ' : excused ? 'slow  ' : 'FAILED'} ${what}: ${found}\n`)
    failed ||= !ok && !excused
  }
  if (failed) process.exitCode = 1
  if (failed || values.keep) process.stdout.write(`its files are in ${folder}\n`)
  else rmSync(folder, { recursive: true })
}

function number(name: string, value: string): number {
  const parsed = Number(value)
  if (Number.isFinite(parsed) && parsed > 0 && value !== '') return parsed
  process.stderr.write(`--${name} is "${value}", which is no number above 0\n${USAGE}`)
  process.exit(2)
}
