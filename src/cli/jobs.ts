/** `offstage jobs …` and `offstage queue …`: what is in the queues, and what can be done to it. */
import { Command } from 'commander'
import type { MiddleMan } from '../middleman/index.js'
import { Exit } from './exit-status.js'
import { listCommand } from './job-list.js'
import { cancelCommand, deleteCommand, rescheduleCommand, retryCommand, showCommand } from './one-job.js'
import { print } from './output.js'
import { ask, type ServerFlags, serverCommand } from './server.js'

export function jobsCommand(): Command {
  return new Command('jobs')
    .description('See the jobs of the queues; cancel, move, retry and delete single ones.')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(cancelCommand())
    .addCommand(rescheduleCommand())
    .addCommand(retryCommand())
    .addCommand(deleteCommand())
}

interface QueueFlags extends ServerFlags {
  readonly host?: string
  readonly json?: true
}

export function queueCommand(): Command {
  return new Command('queue')
    .description('Hold back the jobs of a worker, and let them go on.')
    .addCommand(
      change('pause', 'Let no job of a worker instance start until it is resumed, also after a restart.', 'is paused'),
    )
    .addCommand(change('resume', 'Let the jobs of a worker instance start again.', 'goes on'))
}

function change(name: 'pause' | 'resume', description: string, now: string): Command {
  return serverCommand(name)
    .description(description)
    .argument('<worker>', 'name of the worker')
    .argument('[key]', 'of one of its instances')
    .option('--host <address>', 'on this server only')
    .option('--json', 'as {"changed": whether it was not so already}')
    .addHelpText('after', `\nExamples:\n  offstage queue ${name} billing_worker\n`)
    .action(async (worker: string, key: string | undefined, flags: QueueFlags) => {
      process.exitCode = await ask(flags, async (middleMan: MiddleMan) => {
        const proxy = middleMan.worker(worker, key)
        const options = { host: flags.host }
        const changed = await (name === 'pause' ? proxy.pauseQueue(options) : proxy.resumeQueue(options))
        const queue = `the queue of ${worker}${key === undefined ? '' : `[${key}]`}`
        print(flags.json ? JSON.stringify({ changed }) : `${queue} ${now}${changed ? '' : ', as it did before'}`)
        return Exit.done
      })
    })
}
