/** `offstage journal …`: the operator's tools. What they do is in src/persistence/journal/tools; here is what they say. */
import path from 'node:path'
import { Command, type CommanderError, InvalidArgumentError } from 'commander'
import { OffstageError } from '../../errors.js'
import { errorCode, realFs } from '../../persistence/journal/file-system.js'
import { checkJournal } from '../../persistence/journal/tools/check.js'
import { ExitCode } from '../../persistence/journal/tools/exit-code.js'
import { inspectJournal } from '../../persistence/journal/tools/inspect.js'
import { folderUser } from '../../persistence/journal/tools/user.js'
import { checkText, findingLines } from './check-text.js'
import { Output, ReaderLeft } from './output.js'
import { recordLine } from './record-json.js'

const EXIT_CODES = `
Exit status: 0 all is well, 64 wrong usage, 65 the journal is damaged, 66 there is no journal, 74 the disk failed.
docs/OPERATIONS.md says what to do when.
`

export function journalCommand(): Command {
  const command = new Command('journal')
    .description('Look at, check, save and restore the journal of a supervisor.')
    .addHelpText('after', EXIT_CODES)
    .addCommand(inspectCommand())
    .addCommand(fsckCommand())
  for (const each of [command, ...command.commands]) each.exitOverride(endAsUsage)
  return command
}

function fsckCommand(): Command {
  return new Command('fsck')
    .description('Check a journal without changing it, also while a supervisor runs on it, and say what is in it.')
    .argument('<folder>', 'the journal: the "data" folder of the supervisor')
    .option('--json', 'the result as one JSON object')
    .addHelpText('after', EXIT_CODES)
    .action(
      run((folder: string, { json }: { json?: true }) => {
        const result = checkJournal({ system: realFs, folder, clock: Date.now, user: folderUser(folder) })
        print(json ? JSON.stringify(result, null, 2) : checkText(result))
        return result.damaged ? ExitCode.damaged : ExitCode.whole
      }),
    )
}

interface InspectFlags {
  readonly fromSeq?: number
  readonly job?: number
  readonly key?: string
  readonly type?: string[]
}

function inspectCommand(): Command {
  return new Command('inspect')
    .description('Print the records of a journal as lines of JSON, also while a supervisor runs on it.')
    .argument('<folder>', 'the journal: the "data" folder of the supervisor')
    .option('--from-seq <number>', 'only records with this sequence number or a higher one', wholeNumber)
    .option('--job <id>', 'only records of this job', wholeNumber)
    .option('--key <key>', 'only records of jobs with this job key')
    .option('--type <type>', 'only ENQ, FULL, CLAIM, RETRY, DONE, DEAD, DEQ or SEAL; several with commas', types)
    .option('--json', 'lines of JSON, which is the only format')
    .addHelpText(
      'after',
      `${EXIT_CODES}
Arguments are decoded; what JSON has no word for is an object such as {"$date": …}, {"$bytes": base64}, {"$map": …}.

Examples:
  offstage journal inspect data --key order-7        all that happened to the jobs with this key
  offstage journal inspect data --type DEAD          the jobs that were given up, and why
  offstage journal inspect data | jq -r .jobKey      with jq
`,
    )
    .action(
      run((folder: string, { fromSeq, job, key, type }: InspectFlags) => {
        const output = new Output()
        const filter = { fromSeq, job, key, types: type }
        const options = { system: realFs, folder, user: folderUser(folder), filter }
        const { findings, outdated } = inspectJournal(options, (record) => output.line(recordLine(record)))
        output.flush()
        for (const line of findings.flatMap(findingLines)) process.stderr.write(`${line}\n`)
        if (!findings.some(({ severity }) => severity === 'damage')) return ExitCode.whole
        if (!outdated) return ExitCode.damaged
        complain('the supervisor changed the folder meanwhile, which can look like damage: try again')
        return ExitCode.inUse
      }),
    )
}

/** An action that gets the folder with its whole path, and ends the program with the status that it returns. */
function run<Flags>(action: (folder: string, flags: Flags) => number): (folder: string, flags: Flags) => void {
  return (folder, flags) => {
    try {
      process.exitCode = action(path.resolve(folder), flags)
    } catch (error) {
      process.exitCode = failed(error)
    }
  }
}

/** Says what went wrong and returns the exit status for it. */
function failed(error: unknown): number {
  if (error instanceof ReaderLeft) return ExitCode.whole
  if (error instanceof OffstageError) {
    complain(error.message)
    return 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : ExitCode.io
  }
  const code = errorCode(error)
  if (!(error instanceof Error) || code === '') throw error
  if (code === 'EACCES' || code === 'EPERM') {
    complain(`${error.message}: run this as the user that runs the supervisor`)
    return ExitCode.noInput
  }
  complain(`${error.message}: look at the disk and at the system's log`)
  return ExitCode.io
}

function complain(text: string): void {
  process.stderr.write(`offstage: ${text}\n`)
}

function print(text: string): void {
  const output = new Output()
  output.line(text)
  output.flush()
}

/** Commander ends with 1 for wrong usage. */
function endAsUsage(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? ExitCode.whole : ExitCode.usage)
}

function wholeNumber(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

const TYPES = ['ENQ', 'FULL', 'CLAIM', 'RETRY', 'DONE', 'DEAD', 'DEQ', 'SEAL', 'unknown']

function types(text: string): string[] {
  const names = text.split(',').map((name) => (name === 'unknown' ? name : name.toUpperCase()))
  const wrong = names.find((name) => !TYPES.includes(name))
  if (wrong !== undefined) throw new InvalidArgumentError(`There is no ${wrong}; there are ${TYPES.join(', ')}.`)
  return names
}
