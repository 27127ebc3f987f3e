/** `offstage jobs show`, `cancel`, `retry` and `delete`: one job, by its id or its keys. */
import type { Command } from 'commander'
import { InvalidArgument } from '../errors.js'
import type { Job, JobStatus, KnownJob, MiddleMan } from '../middleman/index.js'
import { complain } from '../supervisor/program/complain.js'
import { Exit } from './exit-status.js'
import { print } from './output.js'
import { ask, type ServerFlags, serverCommand } from './server.js'
import { oneLine } from './table.js'
import { moment, wholeNumber } from './usage.js'
import { toJson } from './value-json.js'

interface JobFlags extends ServerFlags {
  readonly worker?: string
  readonly workerKey?: string
  readonly key?: string
  readonly host?: string
  readonly json?: true
}

/** A command about one job. */
function jobCommand(name: string): Command {
  return serverCommand(name)
    .argument('[id]', 'of the job; where there are several servers, --host says whose', wholeNumber)
    .option('-w, --worker <name>', 'in place of an id: the worker')
    .option('-k, --worker-key <key>', 'and the key of its instance')
    .option('--key <key>', 'and the job key')
    .option('--host <address>', 'the server that has the job with this id')
    .option('--json', 'as one JSON object')
}

/** Throws `InvalidArgument`. */
function jobOf(middleMan: MiddleMan, id: number | undefined, flags: JobFlags): Job {
  const { worker, workerKey, key, host } = flags
  if (id !== undefined && worker === undefined && key === undefined) return middleMan.job(id, { server: host })
  if (id === undefined && worker !== undefined && key !== undefined && host === undefined) {
    return middleMan.job({ worker, workerKey, jobKey: key })
  }
  throw new InvalidArgument('a job is named by its id (and --host), or else by --worker and --key (and --worker-key)')
}

export function showCommand(): Command {
  return jobCommand('show')
    .description('Print all that is known of a job.')
    .addHelpText(
      'after',
      '\nExamples:\n  offstage jobs show 4711\n  offstage jobs show --worker billing_worker --key order-7 --json\n',
    )
    .action(async (id: number | undefined, flags: JobFlags) => {
      process.exitCode = await ask(flags, async (middleMan) => {
        const status = await jobOf(middleMan, id, flags).status()
        if (flags.json) print(JSON.stringify(statusJson(status), null, 2))
        else if (status.state !== 'unknown') print(statusText(status))
        if (status.state !== 'unknown') return Exit.done
        complain(UNKNOWN)
        return Exit.failed
      })
    })
}

const UNKNOWN = 'there is no such job: it was never there, was removed, or has ended and is kept no longer'

/** What is said of outcomes. */
type Outcomes = Readonly<Record<string, string>>

const NOT_CHANGED: Outcomes = {
  finished: 'the job has finished already',
  active: 'the job runs',
  scheduled: 'the job is not dead: it waits for its time',
  ready: 'the job is not dead: it waits for its worker',
  unknown: UNKNOWN,
}

export function cancelCommand(): Command {
  return outcomeCommand('cancel', 'Remove a job that waits, or stop it where it runs.', (job) => job.cancel(), {
    removed: 'the job was removed before it started',
    stopped: 'the job ran, and was stopped',
    dead: 'the job is dead already: offstage jobs delete removes it',
  })
}

export function retryCommand(): Command {
  return outcomeCommand('retry', 'Let a dead job run again, now, with all its attempts.', (job) => job.retry(), {
    retried: 'the job runs again',
    taken: 'another job, which has not finished, has the key of this one by now: nothing was changed',
  })
}

export function rescheduleCommand(): Command {
  let time = 0
  const act = (job: Job) => job.reschedule(time)
  return outcomeCommand('reschedule', 'Make a job that waits due at another time.', act, {
    rescheduled: 'the job is due at that time',
    dead: 'the job is dead: offstage jobs retry lets it run again',
  })
    .requiredOption('--at <time>', 'an ISO time, or such as "in 5 minutes"', moment)
    .hook('preAction', (command) => {
      time = (command.opts() as { at: number }).at
    })
}

export function deleteCommand(): Command {
  return outcomeCommand('delete', 'Remove a job that is dead, or waits.', (job) => job.delete(), {
    removed: 'the job was removed',
    active: 'the job runs: offstage jobs cancel stops it',
  })
}

const WANTED = new Set(['removed', 'stopped', 'retried', 'rescheduled'])

function outcomeCommand(
  name: string,
  description: string,
  act: (job: Job) => Promise<string>,
  says: Outcomes,
): Command {
  return jobCommand(name)
    .description(description)
    .addHelpText(
      'after',
      `\nExamples:\n  offstage jobs ${name} 4711\n  offstage jobs ${name} --worker billing_worker --key order-7\n`,
    )
    .action(async (id: number | undefined, flags: JobFlags) => {
      process.exitCode = await ask(flags, async (middleMan) => {
        const outcome = await act(jobOf(middleMan, id, flags))
        const text = says[outcome] ?? NOT_CHANGED[outcome] ?? outcome
        const done = WANTED.has(outcome)
        if (flags.json) print(JSON.stringify({ outcome }))
        else if (done) print(text)
        if (!done) complain(text)
        return done ? Exit.done : Exit.failed
      })
    })
}

function statusJson(status: JobStatus): object {
  return status.state === 'unknown' || status.progress === undefined
    ? status
    : { ...status, progress: toJson(status.progress) }
}

function statusText(job: KnownJob): string {
  const { id, server, worker, workerKey, method, jobKey, state, priority, attempts, maxAttempts, failure } = job
  const lines: [string, unknown][] = [
    ['job', `${id} on ${server}`],
    ['state', state],
    ['method', `${worker}${workerKey === '' ? '' : `[${workerKey}]`}.${method}`],
    ['key', jobKey],
    ['priority', priority],
    ['enqueued', job.enqueuedAt.toISOString()],
    ['due', job.scheduledAt?.toISOString()],
    ['ended', job.endedAt?.toISOString()],
    ['attempts', `${attempts} of ${maxAttempts}`],
    ['progress', job.progress === undefined ? undefined : JSON.stringify(toJson(job.progress))],
    ['failure', failure && `${failure.name}: ${failure.message}`],
  ]
  const text = lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(8)}  ${oneLine(String(value))}`)
  const stack = failure?.stack?.split('\n').slice(1) ?? []
  return [...text, ...stack.map((line) => `          ${oneLine(line.trim())}`)].join('\n')
}
