/** A process for the kill test: 64 callers that enqueue, and one that claims and finishes some; it says so. */
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../../contract/job-store.js'
import { QUEUE } from './journals.js'
import { say } from './ledger.js'

const [dir, round] = process.argv.slice(2)
// Small segments, so that some kills hit a rotation.
const store = await openJournal({ dir: dir!, segmentBytes: 64 * 1024 })

let due = () => {}
store.on('due', () => due())

async function enqueueForever(caller: number): Promise<void> {
  for (let i = 0; ; i++) {
    const job = newJob(`${round}-${caller}-${i}`, { payload: Buffer.alloc(100, i) })
    say('enqueueing', [job])
    await store.enqueue([job])
    say('enqueued', [job])
  }
}

async function finishForever(): Promise<void> {
  for (;;) {
    const claimed = await store.claim(QUEUE, 10)
    if (claimed.length === 0) {
      await new Promise<void>((resolve) => {
        due = resolve
      })
      continue
    }
    say('claimed', claimed)
    say('finishing', claimed)
    await store.finish(claimed)
    say('finished', claimed)
  }
}

for (let caller = 0; caller < 64; caller++) void enqueueForever(caller)
await finishForever()
