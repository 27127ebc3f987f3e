/** `npm run torture`: kills a supervisor under load with SIGKILL, and checks the whole history. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { summary } from './summary.js'
import { torture } from './torture.js'

const USAGE = `usage: npm run torture -- [--seconds 60] [--kill-every 200] [--jobs 20000] [--keep]

  --seconds S      how long it is killed; then it is left alone until all jobs are done
  --kill-every MS  mean time from its first answer to its kill
  --jobs N         goes on, up to three times as long, until so many jobs were acknowledged
  --keep           leaves the journal and the log of the runs where they are
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    'kill-every': { type: 'string', default: '200' },
    jobs: { type: 'string', default: '20000' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else await run()

async function run(): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/offstage-torture-`)
  const started = performance.now()
  const wanted = number('jobs', values.jobs)
  const options = {
    folder,
    seconds: number('seconds', values.seconds),
    killEvery: number('kill-every', values['kill-every']),
  }
  const result = await torture({ ...options, jobs: wanted })
  for (const line of summary(result, (performance.now() - started) / 1000)) process.stdout.write(`${line}\n`)
  const enough = result.jobs >= wanted
  if (!enough) process.stdout.write(`only ${result.jobs} of ${wanted} jobs: too few to say anything\n`)
  if (result.violations.length > 0 || !enough) process.exitCode = 1
  if (values.keep || result.violations.length > 0) process.stdout.write(`its files are in ${folder}\n`)
  else rmSync(folder, { recursive: true })
}

function number(name: string, value: string): number {
  const parsed = Number(value)
  if (Number.isFinite(parsed) && parsed >= 0 && value !== '') return parsed
  process.stderr.write(`--${name} is "${value}", which is no number from 0 on\n${USAGE}`)
  process.exit(2)
}
