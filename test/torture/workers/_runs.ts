/** What the workers of the torture have in common: each start and end of a run is a line of the file RUNS. */
import { randomUUID } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import type { MetaWorker } from 'offstage'
import type { RunLine } from '../run-log.js'

const file = openSync(process.env.RUNS ?? '/dev/null', 'a')
/** Of this thread, among all that ever write into the file. */
const nonce = randomUUID()
let runs = 0

export interface Argument {
  readonly token: string
  /** How long the method takes, in ms; absent: it returns at once. */
  readonly ms?: number
  /** `failing` throws before this attempt. */
  readonly until?: number
}

interface Run {
  readonly run: string
  readonly id: number
  readonly attempt: number
}
type Outcome = Extract<RunLine, { what: 'end' }>['outcome']

export function run(worker: MetaWorker, argument: Argument): Promise<void> {
  return recorded(worker, argument, () => 'returned')
}

export function fail(worker: MetaWorker, argument: Argument): Promise<void> {
  return recorded(worker, argument, ({ attempt }) => (attempt >= (argument.until ?? 1) ? 'returned' : 'threw'))
}

/** Ends its job itself, and so hears that the end is on the disk. */
export function finish(worker: MetaWorker, argument: Argument): Promise<void> {
  return recorded(worker, argument, async (start): Promise<Outcome> => {
    write({ ...start, what: 'finishing' })
    const current = (await worker.persistentJob?.finish()) === true
    write({ ...start, what: 'finished', current })
    return 'settled'
  })
}

async function recorded(
  worker: MetaWorker,
  { token, ms }: Argument,
  work: (start: Run) => Promise<Outcome> | Outcome,
): Promise<void> {
  const { id = 0, attempt = 0 } = worker.persistentJob ?? {}
  const start = { run: `${nonce} ${runs++}`, id, attempt }
  write({ ...start, what: 'start', token })
  if (ms !== undefined) await new Promise((resolve) => setTimeout(resolve, ms))
  const outcome = await work(start)
  write({ ...start, what: 'end', outcome })
  if (outcome === 'threw') throw new Error('told to fail')
}

type Unstamped<T> = T extends unknown ? Omit<T, 't' | 'at'> : never

/** In one write; the line break in front keeps it apart from a line that a kill cut off. */
function write(line: Unstamped<RunLine>): void {
  writeSync(file, `\n${JSON.stringify({ ...line, t: Number(process.hrtime.bigint()), at: Date.now() })}\n`)
}
