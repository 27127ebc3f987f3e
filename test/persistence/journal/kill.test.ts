import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { journalFolder } from './folder.js'
import { allJobs } from './journals.js'
import { Ledger } from './ledger.js'

const ROUNDS = 20
const ENQUEUER = fileURLToPath(new URL('./enqueuer.js', import.meta.url))

// Forty processes start here: on a busy machine that takes its time.
t.setTimeout(240_000)

/** Runs the enqueuer, its stdout in a file, and kills it once it has said so many bytes. */
async function runAndKill(dir: string, round: number, said: string, bytes: number): Promise<void> {
  const stdout = openSync(said, 'w')
  const child = spawn(process.execPath, [ENQUEUER, dir, String(round)], { stdio: ['ignore', stdout, 'inherit'] })
  closeSync(stdout)
  const watch = setInterval(() => {
    if (statSync(said).size >= bytes) child.kill('SIGKILL')
  }, 2)
  const [, signal] = await once(child, 'exit')
  clearInterval(watch)
  if (signal !== 'SIGKILL') throw new Error('the child ended by itself')
}

t.test(
  'kill -9 with 64 enqueues in flight, 20 times: everything acknowledged is there',
  { timeout: 240_000 },
  async (t) => {
    const dir = journalFolder(t)
    const ledger = new Ledger()
    for (let round = 1; round <= ROUNDS; round++) {
      const said = `${dir}-said-${round}`
      await runAndKill(dir, round, said, 4000 + Math.floor(Math.random() * 40_000))
      ledger.read(readFileSync(said, 'utf8'))
      const store = await openJournal({ dir, segmentBytes: 64 * 1024 })
      const problems = ledger.compare(await allJobs(store))
      if (problems.length > 0) t.fail(`round ${round}`, { problems })
      await store.close()
    }
    t.ok(ledger.stored.size > ROUNDS * 30)
    t.comment(`${ROUNDS} kills, ${ledger.stored.size} enqueued, ${ledger.ended.size} finished, none lost or revived,`)
    t.comment(`${ledger.unacknowledged} stored whose acknowledgement the kill cut off`)
  },
)
