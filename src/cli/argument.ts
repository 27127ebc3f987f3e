/** The argument of a call, as JSON on the command line or on standard input. */
import { isUtf8 } from 'node:buffer'
import { InvalidArgument, OffstageError } from '../errors.js'
import { jsonFault } from './json-fault.js'
import { fromJson } from './value-json.js'

/** Characters of what is wrong that are shown. */
const SHOWN = 20

/** What was given is no JSON, or none that stands for a value. */
export class WrongJson extends OffstageError {
  constructor(message: string) {
    super('WRONG_JSON', message)
  }
}

/** Undefined when there is none; `-` reads standard input to its end. Rejects with `WrongJson`. */
export async function readArgument(text: string | undefined): Promise<unknown> {
  if (text === undefined) return undefined
  return text === '-' ? parse(await standardInput(), 'standard input') : parse(text, 'the argument')
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes)) throw new WrongJson('standard input is no text in UTF-8')
  return bytes.toString()
}

function parse(text: string, what: string): unknown {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new WrongJson(`${what} is no JSON: ${explain(text)}`)
  }
  try {
    return fromJson(json)
  } catch (error) {
    if (error instanceof InvalidArgument) throw new WrongJson(`${what} stands for no value: ${error.message}`)
    throw error
  }
}

function explain(text: string): string {
  const { at, expected } = jsonFault(text)
  const before = text.slice(0, at)
  const place = `line ${before.split('\n').length}, column ${at - before.lastIndexOf('\n')}`
  const found = at >= text.length ? 'it ends' : `there is ${JSON.stringify(text.slice(at, at + SHOWN))}`
  const hint = /^[\p{L}_][\p{L}\d_ -]*$/u.test(text) ? `; a text stands in quotes: '${JSON.stringify(text)}'` : ''
  return `at ${place} ${found}, where ${expected} is expected${hint}`
}
