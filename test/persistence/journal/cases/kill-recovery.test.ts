/** Case 5 of docs/RELIABILITY.md: kill -9 during recovery, by strace and over files in memory. */
import { cpSync, rmSync } from 'node:fs'
import t from 'tap'
import { jobs, SMALL, tail } from '../damage.js'
import { FakeFs } from '../fake-fs.js'
import { add, batchOffsets, keys, killedJournal, openFake } from '../journals.js'
import { jobsIn, killAt, killedImage, WITH_STRACE } from '../kill-at.js'

t.setTimeout(WITH_STRACE.timeout)

t.test(
  'case 5: a kill at every step of recovery leaves a journal that opens to the same jobs',
  WITH_STRACE,
  async (t) => {
    const { dir } = await killedImage(t)
    const copy = `${dir}-copy`
    cpSync(dir, copy, { recursive: true })
    const expected = await jobsIn(copy)
    let kills = 0
    for (const call of ['pwrite64', 'pwritev', 'fdatasync', 'fsync', 'rename', 'unlink']) {
      // Recovery runs in the main thread, which makes few such calls.
      for (let nth = 1; nth <= 4; nth++) {
        rmSync(copy, { recursive: true })
        cpSync(dir, copy, { recursive: true })
        const { killed, said } = await killAt(copy, '2', call, nth)
        // It came to its first enqueue, so recovery was over.
        if (!killed || said !== '') break
        t.same(await jobsIn(copy), expected, `killed at ${call} number ${nth}`)
        kills++
      }
    }
    t.ok(kills >= 8, `${kills} kills`)
  },
)

t.test('case 5: a kill at every call of recovery leaves a journal that the next one opens', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  const path = tail(image)
  const last = batchOffsets(image.bytes(path)).at(-1)!
  image.change(path, (bytes) => bytes.subarray(0, last + 60))
  for (let stop = 1; ; stop++) {
    const system = image.copy()
    let calls = 0
    system.before = (call, at) => {
      if (++calls === stop) throw new Error(`killed at ${call} ${at}`)
    }
    const died = await openFake(system).then(
      () => false,
      () => true,
    )
    const next = system.copy()
    t.equal((await keys(await openFake(next, { segmentBytes: SMALL }))).length, 29, `killed at call ${stop}`)
    if (!died) break
  }
})

t.test('case 5: a new folder whose making was cut short is begun again', async (t) => {
  for (let stop = 1; ; stop++) {
    const system = new FakeFs()
    let calls = 0
    system.before = (call) => {
      if (++calls === stop) throw new Error(`killed at ${call}`)
    }
    const died = await openFake(system)
      .then((store) => add(store, 'k'))
      .then(
        () => false,
        () => true,
      )
    const next = system.copy()
    const store = await openFake(next)
    await add(store, 'k')
    t.same(await keys(store), ['k'], `killed at call ${stop}`)
    if (!died) break
  }
})
