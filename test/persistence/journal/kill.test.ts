import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { journalFolder } from './folder.js'
import { keys } from './journals.js'

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
    const enqueued = new Set<string>()
    const finishing = new Set<string>()
    const finished = new Set<string>()
    let unacknowledged = 0

    for (let round = 1; round <= ROUNDS; round++) {
      const said = `${dir}-said-${round}`
      await runAndKill(dir, round, said, 2000 + Math.floor(Math.random() * 20_000))
      // A line without its end was cut off by the kill.
      for (const line of readFileSync(said, 'utf8').split('\n').slice(0, -1)) {
        const [what, key] = line.split(' ') as [string, string]
        if (what === 'enqueued') enqueued.add(key)
        else if (what === 'finishing') finishing.add(key)
        else finished.add(key)
      }

      const store = await openJournal({ dir, segmentBytes: 64 * 1024 })
      const found = new Set(await keys(store))
      const lost = [...enqueued].filter((key) => !found.has(key) && !finishing.has(key))
      const revived = [...finished].filter((key) => found.has(key))
      if (lost.length > 0 || revived.length > 0) t.fail(`round ${round}`, { lost, revived })
      unacknowledged += [...found].filter((key) => !enqueued.has(key)).length
      for (const key of found) enqueued.add(key)
      await store.close()
    }
    t.ok(enqueued.size > ROUNDS * 30)
    t.comment(`${ROUNDS} kills, ${enqueued.size} enqueued, ${finished.size} finished, 0 lost, 0 revived,`)
    t.comment(`${unacknowledged} stored whose acknowledgement the kill cut off`)
  },
)
