/** `offstage init` and `offstage worker new`: the first files of a project, and of a worker. Nothing is overwritten. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { Command } from 'commander'
import { complain } from '../supervisor/program/complain.js'
import { CONFIGURATION, testText, workerText } from './templates.js'

/** sysexits.h. */
const USAGE = 64
const CANNOT_CREATE = 73

const NAME = /^[a-z][a-z0-9_]*$/

export function initCommand(): Command {
  return new Command('init')
    .description('Write a configuration, a worker and its test into this folder. What is there already stays as it is.')
    .action(() => {
      write('offstage.yml', CONFIGURATION)
      for (const [path, text] of workerFiles('hello_worker', 'workers')) write(path, text)
      say('next: npx offstage start')
    })
}

export function workerCommand(): Command {
  return new Command('worker').description('Workers of this project.').addCommand(
    new Command('new')
      .description('Write a worker and its test: TypeScript where there is a tsconfig.json.')
      .argument('<name>', 'such as billing, or billing_worker')
      .option('-w, --workers <folder>', 'folder of the workers', 'workers')
      .addHelpText(
        'after',
        '\nExample:\n  offstage worker new billing    writes workers/billing_worker.mjs and its test\n',
      )
      .action((name: string, { workers }: { workers: string }) => {
        process.exitCode = newWorker(name, workers)
      }),
  )
}

function newWorker(name: string, folder: string): number {
  if (!NAME.test(name)) {
    return fail(USAGE, `${JSON.stringify(name)} is no name for a worker: small letters, digits and _, such as billing`)
  }
  const files = workerFiles(name.endsWith('_worker') ? name : `${name}_worker`, folder)
  const taken = files.find(([path]) => existsSync(path))
  if (taken !== undefined) return fail(CANNOT_CREATE, `${taken[0]} is there already, and nothing was written`)
  for (const [path, text] of files) write(path, text)
  return 0
}

function workerFiles(worker: string, folder: string): [path: string, text: string][] {
  const typescript = existsSync('tsconfig.json')
  const className = worker.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  const names = { worker, className, typescript }
  const ending = typescript ? 'ts' : 'mjs'
  const path = join(folder, `${worker}.${ending}`)
  const from = relative('test', join(folder, `${worker}.${typescript ? 'js' : 'mjs'}`))
  return [
    [path, workerText(names)],
    [join('test', `${worker}.test.${ending}`), testText(names, from)],
  ]
}

function write(path: string, text: string): void {
  if (existsSync(path)) {
    say(`kept     ${path}, which is there already`)
    return
  }
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  say(`written  ${path}`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function fail(status: number, text: string): number {
  complain(text)
  return status
}
