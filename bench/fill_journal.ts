/**
 * Fills a journal with jobs, says so, and waits to be killed: what a server with a backlog leaves behind when it dies.
 * Arguments: folder of the journal, name of the worker, number of jobs, in how many ms they are due.
 */
import { openJournal } from '#offstage/persistence/journal/open.js'
import type { NewJob } from '#offstage/persistence/store.js'
import { encodeValue } from '#offstage/wire/codec.js'
import { argumentFor } from './argument.js'

const BATCH = 1000

const [folder, worker, jobs, dueIn] = process.argv.slice(2)
const store = await openJournal({ dir: folder! })
const runAt = Date.now() + Number(dueIn)
for (let first = 0; first < Number(jobs); first += BATCH) {
  const length = Math.min(BATCH, Number(jobs) - first)
  await store.enqueue(Array.from({ length }, (_, at) => jobFor(first + at)))
}
process.send!('filled')
process.once('disconnect', () => process.exit())

function jobFor(n: number): NewJob {
  return {
    worker: worker!,
    workerKey: '',
    method: 'noop',
    jobKey: `job-${n}`,
    payload: encodeValue(argumentFor(n)),
    runAt,
    priority: 0,
    maxAttempts: 5,
    atMostOnce: false,
  }
}
