/** `offstage jobs list` and `offstage dead list`. */
import { type Command, Option } from 'commander'
import type { JobInfo, JobState, MiddleMan } from '../middleman/index.js'
import type { Colour } from './colour.js'
import { Exit } from './exit-status.js'
import { print } from './output.js'
import { ask, type ServerFlags, serverCommand } from './server.js'
import { type Column, table } from './table.js'
import { wholeNumber } from './usage.js'

export interface FilterFlags extends ServerFlags {
  readonly worker?: string
  readonly workerKey?: string
  readonly key?: string
  readonly state?: JobState
  readonly host?: string
  readonly limit?: number
  readonly json?: true
}

const STATES: readonly JobState[] = ['scheduled', 'ready', 'active', 'dead']
const COLOURS: Partial<Record<string, Colour>> = { dead: 'red', active: 'green', scheduled: 'dim' }
/** Characters of a failure in a table. */
const FAILURE = 100

const NAMES: readonly Column<JobInfo>[] = [
  { title: 'SERVER', of: ({ server }) => server },
  { title: 'ID', of: ({ id }) => id },
  { title: 'WORKER', of: ({ worker, workerKey }) => (workerKey === '' ? worker : `${worker}[${workerKey}]`) },
  { title: 'METHOD', of: ({ method }) => method },
  { title: 'KEY', of: ({ jobKey }) => jobKey },
]

const ATTEMPTS: Column<JobInfo> = { title: 'ATTEMPTS', of: ({ attempts, maxAttempts }) => `${attempts}/${maxAttempts}` }

const FOR_ALL: readonly Column<JobInfo>[] = [
  ...NAMES,
  { title: 'STATE', of: ({ state }) => state, colour: ({ state }) => COLOURS[state] },
  { title: 'PRIORITY', of: ({ priority }) => priority },
  ATTEMPTS,
  { title: 'DUE', of: ({ runAt }) => time(runAt) },
]

const FOR_DEAD: readonly Column<JobInfo>[] = [
  ...NAMES,
  ATTEMPTS,
  { title: 'DIED', of: ({ runAt }) => time(runAt) },
  { title: 'FAILURE', of: failureOf, colour: () => 'red' },
]

export function listCommand(): Command {
  return filtered('list')
    .description('Print the jobs that have not finished, and the dead ones.')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(STATES))
    .addHelpText(
      'after',
      '\nExamples:\n  offstage jobs list --worker billing_worker --state ready\n  offstage jobs list --key order-7 --json\n',
    )
    .action(async (flags: FilterFlags) => {
      process.exitCode = await ask(flags, (middleMan) => list(middleMan, flags, flags.state, FOR_ALL))
    })
}

export function deadListCommand(): Command {
  return filtered('list')
    .description('Print dead jobs, and why they failed.')
    .action(async (flags: FilterFlags) => {
      process.exitCode = await ask(flags, (middleMan) => list(middleMan, flags, 'dead', FOR_DEAD))
    })
}

/** A command with the flags that say which jobs are meant. */
export function withFilter(command: Command): Command {
  return command
    .option('-w, --worker <name>', 'only jobs of this worker')
    .option('-k, --worker-key <key>', 'only of its instance with this key')
    .option('--host <address>', 'only jobs of this server')
}

function filtered(name: string): Command {
  return withFilter(serverCommand(name))
    .option('--key <key>', 'only jobs with this key')
    .option('-n, --limit <number>', 'at most this many of each server, up to 1000', wholeNumber, 100)
    .option('--json', 'as one JSON array')
}

async function list(
  middleMan: MiddleMan,
  { worker, workerKey, key, host, limit, json }: FilterFlags,
  state: JobState | undefined,
  columns: readonly Column<JobInfo>[],
): Promise<number> {
  const jobs = await middleMan.jobs({ worker, workerKey, jobKey: key, state, host, limit })
  if (json) print(JSON.stringify(jobs.map(jobJson), null, 2))
  else print(jobs.length === 0 ? 'there are no such jobs' : table(columns, jobs))
  return Exit.done
}

function jobJson({ runAt, enqueuedAt, expiresAt, ...job }: JobInfo): object {
  const times = { runAt: time(runAt), enqueuedAt: time(enqueuedAt) }
  return { ...job, ...times, ...(expiresAt === undefined ? {} : { expiresAt: time(expiresAt) }) }
}

function failureOf({ failure }: JobInfo): string {
  if (failure === undefined) return ''
  const text = `${failure.name}: ${failure.message}`
  return text.length > FAILURE ? `${text.slice(0, FAILURE - 1)}…` : text
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
