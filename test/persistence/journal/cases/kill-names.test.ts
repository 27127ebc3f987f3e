/** Case 3 of docs/RELIABILITY.md: names and lengths of files, by strace and over files in memory. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { newJob } from '../../../contract/job-store.js'
import { SMALL } from '../damage.js'
import { FakeFs, systemError } from '../fake-fs.js'
import { keys, openFake } from '../journals.js'
import { killAtEach, WITH_STRACE } from '../kill-at.js'

t.setTimeout(WITH_STRACE.timeout)

function segmentsOf(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.seg'))
    .map((name) => `${dir}/${name}`)
}

/** What the script opens in the folder, under all names that the files have at some time. */
function filesOf(dir: string): string[] {
  const segments = segmentsOf(dir)
  const others = ['MANIFEST.a', 'MANIFEST.b', 'RESERVE'].map((name) => `${dir}/${name}`)
  return [dir, ...others, ...segments, ...segments.map((path) => `${path}.tmp`)]
}

t.test('case 3: a kill at every rename and unlink loses and revives nothing', WITH_STRACE, async (t) => {
  t.ok((await killAtEach(t, 'rename')) >= 3)
  // Of segments whose jobs are over or have moved; recovery's own are in case 5.
  t.ok((await killAtEach(t, 'unlink', segmentsOf)) >= 2)
})

t.test('case 3: a kill at every open, sync of the folder and cut loses and revives nothing', WITH_STRACE, async (t) => {
  t.ok((await killAtEach(t, 'fsync')) >= 3)
  t.ok((await killAtEach(t, 'ftruncate')) >= 2)
  t.ok((await killAtEach(t, 'openat', filesOf)) >= 5)
})

t.test('case 3: a kill at every call of a rotation leaves everything acknowledged', async (t) => {
  for (let stop = 1; ; stop++) {
    const system = new FakeFs()
    const store = await openFake(system, { segmentBytes: SMALL })
    let calls = 0
    let copy: FakeFs | undefined
    let acknowledged = 0
    system.before = () => {
      if (++calls === stop) copy = system.copy()
      if (calls >= stop) throw systemError('EIO', 'killed')
    }
    for (let i = 0; i < 30; i++) {
      const ok = await store.enqueue([newJob(`job ${i}`)]).then(
        () => true,
        () => false,
      )
      if (!ok) break
      acknowledged++
    }
    const found = await keys(await openFake(copy ?? system.copy(), { segmentBytes: SMALL }))
    if (found.length < acknowledged || found.length > acknowledged + 1) t.fail(`call ${stop}: ${found.length}`)
    if (acknowledged === 30) break
  }
  t.pass()
})
