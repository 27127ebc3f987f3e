/**
 * Runs each example with `--serve` and compares what it prints with `expected.txt` beside its source. A
 * `<word>` there stands for what differs from run to run: it matches one or more characters but spaces.
 * `node build/examples/check.js [NAME…]`; status 1 when an example fails or prints something else.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const SOURCES = new URL('../../examples/', import.meta.url)
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  guide: ['--serve'],
  thumbnails: ['--serve'],
  'express-app': ['--serve', '--check'],
  'fastify-app': ['--serve', '--check'],
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(EXAMPLES)
for (const name of names) {
  const problem = await checkExample(name)
  console.log(`${problem === undefined ? 'ok' : 'NOT OK'}  ${name}`)
  if (problem !== undefined) {
    console.log(problem)
    process.exitCode = 1
  }
}

/** What is wrong with an example, or undefined. */
async function checkExample(name: string): Promise<string | undefined> {
  const args = EXAMPLES[name]
  if (args === undefined) return `there is no example of that name: ${Object.keys(EXAMPLES).join(', ')}`
  const program = fileURLToPath(new URL(`${name}/index.js`, import.meta.url))
  const example = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, complaints, [status]] = await Promise.all([
    text(example.stdout),
    text(example.stderr),
    once(example, 'close'),
  ])
  const expected = await readFile(new URL(`${name}/expected.txt`, SOURCES), 'utf8')
  const differences = compareLines(expected, output)
  if (status !== 0) return [`ended with status ${status}`, ...differences, complaints].join('\n')
  return differences.length === 0 ? undefined : differences.join('\n')
}

/** The lines that differ, between those that agree at the start and at the end: expected (-), printed (+). */
function compareLines(expected: string, output: string): string[] {
  const wanted = expected.split('\n')
  const got = output.split('\n')
  const agree = (want?: string, found?: string) =>
    want !== undefined && found !== undefined && patternFor(want).test(found)
  let first = 0
  while (agree(wanted[first], got[first])) first++
  while (wanted.length > first && got.length > first && agree(wanted.at(-1), got.at(-1))) {
    wanted.pop()
    got.pop()
  }
  const differing = [
    ...wanted.slice(first).map((line) => `  - ${line}`),
    ...got.slice(first).map((line) => `  + ${line}`),
  ]
  return differing.length === 0 ? [] : [`  from line ${first + 1}:`, ...differing]
}

function patternFor(line: string): RegExp {
  const literal = line.split(/<\w+>/).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${literal.join('\\S+')}$`)
}
