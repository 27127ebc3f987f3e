/** `offstage journal …`: the operator's tools. What they do is in src/persistence/journal/tools; here is what they say. */
import path from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { OffstageError } from '../errors.js'
import { errorCode, realFs } from '../persistence/journal/file-system.js'
import { lockFolder } from '../persistence/journal/lock.js'
import { type BackupOptions, backupJournal, restoreJournal } from '../persistence/journal/tools/backup.js'
import { checkJournal } from '../persistence/journal/tools/check.js'
import { ExitCode } from '../persistence/journal/tools/exit-code.js'
import { findingLines } from '../persistence/journal/tools/finding.js'
import { inspectJournal } from '../persistence/journal/tools/inspect.js'
import { salvageJournal } from '../persistence/journal/tools/salvage.js'
import { realToolFs } from '../persistence/journal/tools/tool-fs.js'
import { folderUser } from '../persistence/journal/tools/user.js'
import { complain } from '../supervisor/program/complain.js'
import { checkText } from './check-text.js'
import { backupText, restoreText } from './copy-text.js'
import { Output, print, ReaderLeft } from './output.js'
import { recordLine } from './record-json.js'
import { salvageText } from './salvage-text.js'

const EXIT_CODES = `
Exit status: 0 all is well, 64 wrong usage, 65 the journal is damaged, 66 there is no journal, 73 the new folder cannot
be made, 74 the disk failed or is full, 75 in use. docs/OPERATIONS.md says what to do when.
`

export function journalCommand(): Command {
  return new Command('journal')
    .description('Look at, check, save and restore the journal of a supervisor.')
    .addHelpText('after', EXIT_CODES)
    .addCommand(inspectCommand())
    .addCommand(fsckCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(salvageCommand())
}

function fsckCommand(): Command {
  return new Command('fsck')
    .description('Check a journal without changing it, also while a supervisor runs on it, and say what is in it.')
    .argument('<folder>', 'the journal: the "data" folder of the supervisor')
    .option('--json', 'the result as one JSON object')
    .addHelpText('after', EXIT_CODES)
    .action((folder: string, { json }: { json?: true }) => {
      run(folder, (whole) => {
        const result = checkJournal({ system: realFs, folder: whole, clock: Date.now, user: folderUser(whole) })
        print(json ? JSON.stringify(result, null, 2) : checkText(result))
        return result.damaged ? ExitCode.damaged : ExitCode.whole
      })
    })
}

function backupCommand(): Command {
  return new Command('backup')
    .description('Copy a journal, also while a supervisor runs on it, and check the copy.')
    .argument('<folder>', 'the journal: the "data" folder of the supervisor')
    .argument('<destination>', 'a folder that does not exist, or is empty')
    .addHelpText(
      'after',
      `${EXIT_CODES}
Everything that was acknowledged before it began is in the backup. A backup that fails leaves nothing that could pass
for one. On the file system of the journal, finished segments are linked: that takes no time and no room.

Example, from cron:
  offstage journal backup data /backups/$(date +%Y-%m-%d)
`,
    )
    .action((folder: string, to: string) => {
      run(folder, (from) => {
        print(backupText(from, backupJournal(copyOptions(from, to))))
        return ExitCode.whole
      })
    })
}

function restoreCommand(): Command {
  return new Command('restore')
    .description('Copy a backup to a new folder for a supervisor to use, after checking it.')
    .argument('<backup>', 'what `offstage journal backup` has made')
    .argument('<folder>', 'the new journal: a folder that does not exist, or is empty')
    .addHelpText(
      'after',
      `${EXIT_CODES}
What a restore means: jobs that finished after the backup was made run again, and jobs that were enqueued after it
are gone. The backup stays as it is.

Example:
  mv data data.damaged                                 the supervisor is stopped
  offstage journal restore /backups/2026-03-01 data
`,
    )
    .action((backup: string, to: string) => {
      run(backup, (from) => {
        print(restoreText(from, restoreJournal(copyOptions(from, to))))
        return ExitCode.whole
      })
    })
}

function salvageCommand(): Command {
  return new Command('salvage')
    .description('Save what can still be read of a damaged journal into a new one, and list what is lost.')
    .argument('<folder>', 'the damaged journal; it is not changed')
    .argument('<new-folder>', 'a folder that does not exist, or is empty')
    .option('--json', 'the report as one JSON object, with all lists at full length')
    .addHelpText(
      'after',
      `
Exit status: 0 nothing is lost, 2 something is lost and listed, 64 wrong usage, 65 nothing can be read, 66 there is no
journal, 73 the new folder cannot be made, 74 the disk failed or is full, 75 a supervisor runs on the folder.

Try a backup first: a salvage can lose jobs, and can run jobs again that have finished. docs/OPERATIONS.md says more.
`,
    )
    .action((folder: string, to: string, { json }: { json?: true }) => {
      run(folder, (from) => {
        const report = salvageJournal({ ...copyOptions(from, to), user: folderUser(from) })
        print(json ? JSON.stringify(report, null, 2) : salvageText(from, report))
        return report.losses.length > 0 ? ExitCode.lost : ExitCode.whole
      })
    })
}

function copyOptions(from: string, to: string): BackupOptions {
  return { system: realToolFs, from, to: path.resolve(to), clock: Date.now, lock: lockFolder }
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
    .action((folder: string, flags: InspectFlags) => run(folder, (whole) => inspect(whole, flags)))
}

function inspect(folder: string, { fromSeq, job, key, type }: InspectFlags): number {
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
}

/** Does it with the folder's whole path, and ends the program with the status that it returns. */
function run(folder: string, action: (folder: string) => number): void {
  try {
    process.exitCode = action(path.resolve(folder))
  } catch (error) {
    process.exitCode = failed(error)
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
