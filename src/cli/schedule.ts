/** `offstage schedule …`: the schedules of a running supervisor, and what a cron line says. */
import { Command } from 'commander'
import type { MiddleMan, ScheduleInfo } from '../middleman/index.js'
import { complain } from '../supervisor/program/complain.js'
import { Exit } from './exit-status.js'
import { print } from './output.js'
import { nextCommand } from './schedule-next.js'
import { scheduleJson, scheduleText } from './schedule-text.js'
import { ask, type ServerFlags, serverCommand } from './server.js'

export function scheduleCommand(): Command {
  return new Command('schedule')
    .description('See, run, pause and resume schedules, and find out what cron lines say.')
    .addCommand(listCommand())
    .addCommand(named('run', 'Call the method of a schedule now, or queue its job.', run))
    .addCommand(named('pause', 'Let a schedule not fire until it is resumed, also after a restart.', pause))
    .addCommand(named('resume', 'Let a paused schedule go on with its next time.', resume))
    .addCommand(nextCommand())
}

function listCommand(): Command {
  return serverCommand('list')
    .description('Print all schedules: their next times in their zones, and what became of their last runs.')
    .option('--json', 'as one JSON array')
    .action(async ({ json, ...flags }: ServerFlags & { json?: true }) => {
      process.exitCode = await ask(flags, (middleMan) => list(middleMan, json === true))
    })
}

type Act = (middleMan: MiddleMan, name: string) => Promise<number>

function named(command: string, description: string, act: Act): Command {
  return serverCommand(command)
    .description(description)
    .argument('<name>', 'worker.method, or worker[key].method, as offstage schedule list has it')
    .action(async (name: string, flags: ServerFlags) => {
      process.exitCode = await ask(flags, (middleMan) => act(middleMan, name))
    })
}

async function list(middleMan: MiddleMan, json: boolean): Promise<number> {
  const schedules = await middleMan.schedules.list()
  const several = new Set(schedules.map(({ server }) => server)).size > 1
  if (json) print(JSON.stringify(schedules.map(scheduleJson), null, 2))
  else if (schedules.length === 0) print('there are no schedules')
  else print(schedules.map((schedule: ScheduleInfo) => scheduleText(schedule, several)).join('\n\n'))
  return 0
}

async function run(middleMan: MiddleMan, name: string): Promise<number> {
  const fired = await middleMan.schedules.run(name)
  if (fired === 'leftOut') {
    complain(`${name} still runs, and its overlap is skip: nothing was started`)
    return Exit.failed
  }
  print(fired === 'started' ? `${name} has been started` : `${name} waits for its turn`)
  return 0
}

async function pause(middleMan: MiddleMan, name: string): Promise<number> {
  await middleMan.schedules.pause(name)
  print(`${name} is paused`)
  return 0
}

async function resume(middleMan: MiddleMan, name: string): Promise<number> {
  await middleMan.schedules.resume(name)
  print(`${name} goes on`)
  return 0
}
