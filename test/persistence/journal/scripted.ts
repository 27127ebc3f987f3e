/**
 * A process that always makes the same calls to the file system: one caller, small segments that are
 * given back, and then a clean stop. Says on stdout what it does: see ledger.ts.
 */
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../../contract/job-store.js'
import { QUEUE } from './journals.js'
import { say } from './ledger.js'

const ROUNDS = 2
const IN_ROUND = 4

const [dir, run] = process.argv.slice(2)
// Nothing that depends on the speed of the machine: no empty batch after a while, no attempt that becomes due.
const store = await openJournal({
  dir: dir!,
  segmentBytes: 2048,
  reserveBytes: 4096,
  idleMs: 3_600_000,
  backoff: { first: 3_600_000 },
})
for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < IN_ROUND; i++) {
    const job = newJob(`${run}-${round}-${i}`, { payload: Buffer.alloc(400, i) })
    say('enqueueing', [job])
    await store.enqueue([job])
    say('enqueued', [job])
  }
  const [removed] = await store.inspect({ state: 'ready' })
  say('removing', [removed!])
  await store.remove(QUEUE, removed!.jobKey)
  say('removed', [removed!])
  for (let i = 0; i < 3; i++) {
    const claimed = await store.claim(QUEUE, 1)
    say('claimed', claimed)
    if (i === 0) await store.fail(claimed[0]!, { name: 'Error', message: 'it broke' })
    else {
      say('finishing', claimed)
      await store.finish(claimed)
      say('finished', claimed)
    }
  }
}
await store.close()
