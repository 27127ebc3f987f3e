/** `offstage user add`: makes the line of a user for the configuration; the password itself is kept nowhere. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Command } from 'commander'
import { complain } from '../supervisor/program/complain.js'
import { makeVerifier } from '../wire/scram.js'

const FEWEST_CHARACTERS = 8
/** `EX_USAGE` of sysexits.h. */
const USAGE = 64

export function userCommand(): Command {
  return new Command('user').description('Users for the configuration of a supervisor.').addCommand(addCommand())
}

function addCommand(): Command {
  return new Command('add')
    .description('Ask for a password (or read a line of standard input) and print what belongs into the configuration.')
    .argument('<name>', 'name of the user')
    .addHelpText(
      'after',
      '\nExamples:\n  offstage user add web\n  head -c 24 /dev/urandom | base64 | tee web.password | offstage user add web >> offstage.yml',
    )
    .action(async (name: string) => {
      process.exitCode = await add(name)
    })
}

async function add(name: string): Promise<number> {
  const { stdin } = process
  const password = stdin.isTTY ? await ask(`password for ${name}: `) : await firstLine()
  if (password.length < FEWEST_CHARACTERS) return fail(`a password has at least ${FEWEST_CHARACTERS} characters`)
  if (stdin.isTTY && (await ask('once more: ')) !== password) return fail('these were two different ones')
  process.stdout.write(`users:\n  ${JSON.stringify(name)}: ${await makeVerifier(password)}\n`)
  return 0
}

function fail(message: string): number {
  complain(message)
  return USAGE
}

/** On a terminal, without showing what is typed. */
async function ask(question: string): Promise<string> {
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  const line = await new Promise<string>((resolve) => {
    lines.once('line', resolve)
    lines.once('close', () => resolve(''))
  })
  lines.close()
  process.stderr.write('\n')
  return line
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) return line
  return ''
}
