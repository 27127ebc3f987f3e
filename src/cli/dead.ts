/** `offstage dead`: dead jobs, seen, retried and deleted, one or many at a time. */
import { Command } from 'commander'
import { InvalidArgument } from '../errors.js'
import type { Job, MiddleMan } from '../middleman/index.js'
import { complain } from '../supervisor/program/complain.js'
import { count } from './amounts.js'
import { Exit } from './exit-status.js'
import { deadListCommand, type FilterFlags, withFilter } from './job-list.js'
import { print } from './output.js'
import { ask, serverCommand } from './server.js'
import { wholeNumber } from './usage.js'

/** Of each server. */
const PAGE = 500

export function deadCommand(): Command {
  return new Command('dead')
    .description('Dead jobs: what failed for good, and why; retried or deleted.')
    .addCommand(deadListCommand(), { isDefault: true })
    .addCommand(
      allCommand('retry', 'Let dead jobs run again, now, with all their attempts.', (job) => job.retry(), 'retried'),
    )
    .addCommand(allCommand('delete', 'Remove dead jobs.', deleteDead, 'removed'))
}

interface AllFlags extends FilterFlags {
  readonly all?: true
}

type Act = (job: Job) => Promise<string>

/** One that runs again by now is not meant. */
async function deleteDead(job: Job): Promise<string> {
  const { state } = await job.status()
  return state === 'dead' ? job.delete() : state
}

function allCommand(name: string, description: string, act: Act, wanted: string): Command {
  return withFilter(serverCommand(name))
    .description(description)
    .argument('[id]', 'of one job', wholeNumber)
    .option('--all', 'all that are dead now: of --worker, --worker-key and --host, where these are given')
    .option('--json', 'as {"<outcome>": number of jobs}')
    .addHelpText(
      'after',
      `\nExamples:\n  offstage dead ${name} 4711\n  offstage dead ${name} --all --worker billing_worker\n`,
    )
    .action(async (id: number | undefined, flags: AllFlags) => {
      process.exitCode = await ask(flags, async (middleMan) => {
        const outcomes = new Map<string, number>()
        const add = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        for await (const jobs of chosen(middleMan, id, flags)) {
          for (const outcome of await Promise.all(jobs.map(act))) add(outcome)
        }
        return report(outcomes, wanted, flags.json === true)
      })
    })
}

/** The jobs that are meant, in pages. Throws `InvalidArgument`. */
async function* chosen(middleMan: MiddleMan, id: number | undefined, flags: AllFlags): AsyncGenerator<Job[]> {
  const { worker, workerKey, host, all } = flags
  if ((id !== undefined) === (all === true)) throw new InvalidArgument('give the id of a job, or --all')
  if (id !== undefined) {
    yield [middleMan.job(id, { server: host })]
    return
  }
  const filter = { worker, workerKey, state: 'dead' as const, limit: PAGE }
  const first = await middleMan.jobs({ ...filter, host })
  for (const server of new Set(first.map((job) => job.server))) {
    let page = first.filter((job) => job.server === server)
    while (page.length > 0) {
      yield page.map((job) => middleMan.job(job.id, { server }))
      page = await middleMan.jobs({ ...filter, host: server, after: page.at(-1)!.id })
    }
  }
}

function report(outcomes: ReadonlyMap<string, number>, wanted: string, json: boolean): number {
  if (json) print(JSON.stringify(Object.fromEntries(outcomes)))
  else print(`${count(outcomes.get(wanted) ?? 0, 'job')} ${wanted}`)
  const others = [...outcomes].filter(([outcome]) => outcome !== wanted)
  for (const [outcome, jobs] of others) complain(`${count(jobs, 'job')} not ${wanted}: ${WHY[outcome] ?? outcome}`)
  return others.length > 0 ? Exit.failed : Exit.done
}

const WHY: Record<string, string> = {
  taken: 'another job, which has not finished, has the key',
  unknown: 'there is no such job (any more)',
  scheduled: 'it is not dead',
  ready: 'it is not dead',
  active: 'it runs',
  finished: 'it has finished',
}
