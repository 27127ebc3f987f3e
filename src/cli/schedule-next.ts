/** `offstage schedule next`: when a cron line fires, without a server. */
import { Command, InvalidArgumentError } from 'commander'
import { OffstageError } from '../errors.js'
import { complain } from '../supervisor/program/complain.js'
import { parseCron } from '../supervisor/schedule/cron.js'
import { next } from '../supervisor/schedule/next.js'
import { zoneOf } from '../supervisor/schedule/zone.js'

const USAGE = 64
const NEVER = 1
const MOST = 10_000

export function nextCommand(): Command {
  return new Command('next')
    .description('Print the next times at which a cron line fires, as ISO times in UTC, one a line.')
    .argument('<expression>', '"second minute hour day month weekday [year]"')
    .option('--tz <zone>', "the time zone that it is meant in, such as Europe/London (default: the machine's)")
    .option('-n, --number <n>', 'how many times', count, 5)
    .option('--after <time>', 'an ISO time with its zone to begin after (default: now)', moment)
    .addHelpText(
      'after',
      `
Exit status: 0 it fires at these times, 1 it never fires (again), 64 wrong usage. docs/SCHEDULES.md says what a line means.

Example:
  offstage schedule next "0 30 2 * * MON-FRI" --tz Europe/London -n 3
`,
    )
    .action((expression: string, options: { tz?: string; number: number; after?: number }) => {
      process.exitCode = print(expression, options)
    })
}

function print(expression: string, options: { tz?: string; number: number; after?: number }): number {
  let at: number | undefined = options.after ?? Date.now()
  try {
    const cron = parseCron(expression, 'the expression')
    const zone = zoneOf(options.tz, '--tz')
    const lines: string[] = []
    while (lines.length < options.number) {
      at = next(cron, zone, at)
      if (at === undefined) break
      lines.push(new Date(at).toISOString())
    }
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
    if (at !== undefined) return 0
    complain(`"${expression}" fires ${lines.length === 0 ? 'never' : 'no more'} after that`)
    return lines.length === 0 ? NEVER : 0
  } catch (error) {
    if (!(error instanceof OffstageError)) throw error
    complain(error.message)
    return USAGE
  }
}

function count(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= MOST) return number
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${MOST}.`)
}

function moment(text: string): number {
  const at = /T.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new InvalidArgumentError('It has to be an ISO time with its zone, such as 2030-01-31T08:00Z.')
}
