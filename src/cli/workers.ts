/** `offstage workers`: what runs on all servers, and how much waits there. */
import type { Command } from 'commander'
import type { MiddleMan, WorkerInfo } from '../middleman/index.js'
import { complain } from '../supervisor/program/complain.js'
import type { Colour } from './colour.js'
import { Exit } from './exit-status.js'
import { print } from './output.js'
import { ask, type ServerFlags, serverCommand } from './server.js'
import { age, type Column, table } from './table.js'

const COLUMNS: readonly Column<WorkerInfo>[] = [
  { title: 'SERVER', of: ({ server }) => server },
  { title: 'WORKER', of: ({ worker }) => worker },
  { title: 'KEY', of: ({ workerKey }) => workerKey },
  {
    title: 'STATE',
    of: ({ state, blocked }) => (blocked === undefined ? state : `${state}, blocked`),
    colour: colourOf,
  },
  { title: 'MAILBOX', of: ({ mailbox }) => mailbox },
  { title: 'IN FLIGHT', of: ({ inFlight }) => inFlight },
  { title: 'RESTARTS', of: ({ restarts }) => restarts },
  { title: 'UPTIME', of: ({ uptime }) => age(uptime) },
  { title: 'SCHEDULED', of: ({ jobs }) => jobs?.scheduled ?? '-' },
  { title: 'READY', of: ({ jobs }) => jobs?.ready ?? '-' },
  { title: 'ACTIVE', of: ({ jobs }) => jobs?.active ?? '-' },
  { title: 'DEAD', of: ({ jobs }) => jobs?.dead ?? '-', colour: ({ jobs }) => (jobs?.dead ? 'red' : undefined) },
  { title: 'QUEUE', of: ({ paused }) => (paused ? 'paused' : ''), colour: () => 'yellow' },
]

function colourOf({ status, blocked }: WorkerInfo): Colour | undefined {
  if (blocked !== undefined || status === 'loading') return 'yellow'
  return status === 'stopped' ? 'red' : 'green'
}

export function workersCommand(): Command {
  return serverCommand('workers')
    .description('Print the workers of all servers: their states, what waits for them, and their jobs by state.')
    .option('--json', 'as one JSON object: for each server an array, or null when it cannot be reached')
    .addHelpText(
      'after',
      '\nExamples:\n  offstage workers\n  offstage workers --server 10.0.0.1:11006,10.0.0.2:11006 --json\n',
    )
    .action(async ({ json, ...flags }: ServerFlags & { json?: true }) => {
      process.exitCode = await ask(flags, (middleMan) => list(middleMan, json === true))
    })
}

async function list(middleMan: MiddleMan, json: boolean): Promise<number> {
  const infos = await middleMan.allWorkerInfo()
  const rows = Object.values(infos).flatMap((some) => some ?? [])
  if (json) print(JSON.stringify(infos, null, 2))
  else if (rows.length > 0) print(table(COLUMNS, rows))
  else print('there are no workers')
  const down = Object.keys(infos).filter((server) => infos[server] === null)
  for (const server of down) complain(`${server} cannot be reached`)
  return down.length > 0 ? Exit.failed : Exit.done
}
