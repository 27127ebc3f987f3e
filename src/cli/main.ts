#!/usr/bin/env node
/** The command `offstage`. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { startCommand } from '../supervisor/program/start.js'
import { deadCommand } from './dead.js'
import { initCommand, workerCommand } from './generate.js'
import { jobsCommand, queueCommand } from './jobs.js'
import { journalCommand } from './journal.js'
import { scheduleCommand } from './schedule.js'
import { asyncCommand, callCommand, enqueueCommand } from './send.js'
import { restartCommand, statusCommand, stopCommand } from './service.js'
import { withUsageStatus } from './usage.js'
import { userCommand } from './user.js'
import { workersCommand } from './workers.js'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('offstage')
  .description('Background work for Node: supervised workers, a durable queue, one process to run.')
  .version(version)
  .addCommand(startCommand(), { isDefault: true })
  .addCommand(stopCommand())
  .addCommand(statusCommand())
  .addCommand(restartCommand())
  .addCommand(initCommand())
  .addCommand(workerCommand())
  .addCommand(journalCommand())
  .addCommand(scheduleCommand())
  .addCommand(callCommand())
  .addCommand(asyncCommand())
  .addCommand(enqueueCommand())
  .addCommand(workersCommand())
  .addCommand(jobsCommand())
  .addCommand(deadCommand())
  .addCommand(queueCommand())
  .addCommand(userCommand())

await withUsageStatus(program).parseAsync()
