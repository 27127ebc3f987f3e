import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import { newJob } from '../../../contract/job-store.js'
import { FakeFs } from '../fake-fs.js'
import { add, batchOffsets, DIR, killedJournal, openFake } from '../journals.js'
import { busyJournal, check, closedJournal, contents, SMALL } from './journals.js'

/** Does `fsck` say of this folder what opening it says? Both verdicts when they differ. */
async function disagreement(system: FakeFs): Promise<string | undefined> {
  const before = contents(system)
  const { damaged, findings } = check(system)
  for (const [path, bytes] of contents(system)) if (before.get(path) !== bytes) return `${path} was changed`
  const copy = system.copy()
  const refused = await openFake(copy, { segmentBytes: SMALL }).then(
    () => undefined,
    (error: StoreError) => error.message,
  )
  if (damaged === (refused !== undefined)) return undefined
  return `fsck: ${JSON.stringify(findings)}; open: ${refused ?? 'opens'}`
}

t.test('a whole journal: what is in it, and no findings', async (t) => {
  t.match(check(await busyJournal()), {
    damaged: false,
    clean: false,
    findings: [],
    jobs: { scheduled: 1, ready: 22, active: 1, dead: 1 },
  })
  const closed = check(await closedJournal())
  t.match(closed, { damaged: false, clean: true, findings: [], jobs: { scheduled: 1, ready: 22, active: 1, dead: 1 } })
  t.ok(closed.segments > 2)
  t.ok(closed.liveBytes > 20 * 100 && closed.liveBytes < closed.bytes)
})

t.test('a new journal without a job is whole', async (t) => {
  const system = new FakeFs()
  await openFake(system)
  t.match(check(system), { damaged: false, segments: 0, jobs: { ready: 0 } })
})

t.test('no such folder, an empty one, one with other things: there is no journal', async (t) => {
  const system = new FakeFs()
  t.throws(() => check(system), { code: 'NO_JOURNAL', exitCode: 66, message: /does not exist: give the folder/ })
  system.folders.add(DIR)
  t.throws(() => check(system), { code: 'NO_JOURNAL', exitCode: 66, message: /has no journal in it/ })
  system.files.set(`${DIR}/notes.txt`, { bytes: Buffer.from('mine') })
  t.throws(() => check(system), { code: 'NO_JOURNAL', exitCode: 66 })
})

for (const [name, make] of [
  ['killed', busyJournal],
  ['closed', closedJournal],
] as const) {
  t.test(`a byte changed anywhere in a ${name} journal: fsck says what opening says`, async (t) => {
    const image = await make()
    t.ok(image.segments().length >= 3)
    let [refused, accepted] = [0, 0]
    for (const [path, { bytes }] of image.files) {
      for (let at = 0; at < bytes.length; at++) {
        // The zeros ahead are all alike.
        if (at > 8192) break
        const system = image.copy()
        system.bytes(path)[at]! ^= 0x10
        const problem = await disagreement(system)
        if (problem !== undefined) t.fail(`${path}, byte ${at}: ${problem}`)
        if (check(system).damaged) refused++
        else accepted++
      }
    }
    t.ok(refused > 4000, `${refused} refused`)
    t.ok(accepted >= 256, `${accepted} opened: the manifests, and the last batch of a killed one`)
  })

  t.test(`a ${name} journal cut at every byte: fsck says what opening says`, async (t) => {
    const image = await make()
    for (const path of image.files.keys()) {
      const size = Math.min(image.bytes(path).length, 8192)
      for (let end = 0; end < size; end++) {
        const system = image.copy()
        system.change(path, (bytes) => bytes.subarray(0, end))
        const problem = await disagreement(system)
        if (problem !== undefined) t.fail(`${path} cut at ${end}: ${problem}`)
      }
    }
    t.pass()
  })

  t.test(
    `a ${name} journal with sectors lost, files missing, doubled or swapped: fsck says what opening says`,
    async (t) => {
      const image = await make()
      const paths = [...image.files.keys()]
      const damages: [string, (system: FakeFs) => void][] = []
      for (const path of paths) {
        damages.push([`without ${path}`, (system) => system.remove(path)])
        damages.push([`${path} empty`, (system) => system.change(path, () => Buffer.alloc(0))])
        damages.push([
          `${path} with more`,
          (system) => system.change(path, (old) => Buffer.concat([old, Buffer.from('x')])),
        ])
        for (let at = 0; at < Math.min(image.bytes(path).length, 8192); at += 512) {
          damages.push([
            `${path} zeroed at ${at}`,
            (system) => system.change(path, (old) => old.fill(0, at, Math.min(at + 512, old.length))),
          ])
        }
        for (const other of paths) {
          damages.push([
            `${other} in the place of ${path}`,
            (system) => system.change(path, () => Buffer.from(system.bytes(other))),
          ])
        }
      }
      damages.push([
        'a segment twice',
        (system) => {
          const [first] = system.segments()
          system.files.set(first!.replace(/1\.seg$/, '2.seg'), { bytes: Buffer.from(system.bytes(first!)) })
        },
      ])
      for (const [what, damage] of damages) {
        const system = image.copy()
        damage(system)
        const problem = await disagreement(system)
        if (problem !== undefined) t.fail(`${what}: ${problem}`)
      }
      t.pass(`${damages.length} kinds`)
    },
  )
}

t.test('with indexes, which opening believes: what opening refuses is damage, and what is none opens', async (t) => {
  const image = await busyJournal()
  await (await openFake(image, { segmentBytes: SMALL, indexAfterMs: 0 })).close()
  t.ok([...image.files.keys()].some((path) => path.endsWith('.idx')))
  t.equal(check(image).damaged, false)
  let believed = 0
  for (const path of [...image.files.keys()].filter((name) => /\.(seg|idx)$/.test(name))) {
    for (let at = 0; at < image.bytes(path).length; at += 3) {
      const system = image.copy()
      system.bytes(path)[at]! ^= 0x10
      const { damaged } = check(system)
      if (damaged !== path.endsWith('.seg')) t.fail(`${path}, byte ${at}`)
      const opens = await openFake(system, { segmentBytes: SMALL }).then(
        () => true,
        () => false,
      )
      if (!opens && !damaged) t.fail(`${path}, byte ${at}: opening refuses what fsck finds whole`)
      if (opens && damaged) believed++
    }
  }
  t.ok(believed > 100, `${believed} bytes that opening did not look at`)
})

t.test('each damage is found, not only the first, with place, meaning and advice', async (t) => {
  const system = await killedJournal(
    Array.from({ length: 40 }, (_, i) => newJob(`job ${i}`)),
    SMALL,
  )
  const [first, second, third] = system.segments()
  const one = batchOffsets(system.bytes(first!))[2]!
  const other = batchOffsets(system.bytes(first!))[5]!
  system.bytes(first!)[one + 60]! ^= 1
  system.bytes(first!)[other + 10]! ^= 1
  system.bytes(third!)[5]! ^= 1
  const { findings, damaged } = check(system)
  t.ok(damaged)
  t.match(
    findings.map(({ file, offset, what }) => ({ file, offset, what })),
    [
      { file: first, offset: one, what: /body of the batch/ },
      { file: first, offset: other, what: /no valid batch header/ },
      { file: third, offset: 0, what: /no valid segment header/ },
    ],
  )
  for (const { means, todo } of findings) t.ok(means.length > 20 && todo.length > 5)
  t.notOk(findings.some(({ file }) => file === second))
})

t.test('a batch cut short by a crash is no damage, and it says what becomes of it', async (t) => {
  const system = await killedJournal([newJob('a'), newJob('b')])
  const path = system.segments()[0]!
  const last = batchOffsets(system.bytes(path))[1]!
  system.change(path, (bytes) => bytes.fill(0, last + 60))
  t.match(check(system), {
    damaged: false,
    jobs: { ready: 1 },
    findings: [{ severity: 'note', file: path, offset: last, means: /cut short by a crash/, todo: /quarantine/ }],
  })
  t.match(check(system, 4711), {
    damaged: false,
    user: 4711,
    findings: [{ severity: 'note', means: /is writing its last batch right now/ }],
  })
})

t.test('one manifest lost is a note; both are damage', async (t) => {
  const system = await busyJournal()
  system.bytes(`${DIR}/MANIFEST.a`)[20]! ^= 1
  t.match(check(system), { damaged: false, findings: [{ severity: 'note', file: `${DIR}/MANIFEST.a` }] })
  system.bytes(`${DIR}/MANIFEST.b`)[20]! ^= 1
  const { findings, damaged, records } = check(system)
  t.ok(damaged)
  t.match(findings, [{ severity: 'damage', what: /no valid manifest/ }])
  t.equal(records, check(await busyJournal()).records, 'the records were read all the same')
})

t.test('a supervisor that begins segments while its folder is listed: no gap is seen', async (t) => {
  const system = await killedJournal([], SMALL)
  const store = await openFake(system, { segmentBytes: SMALL })
  await add(store, ...Array.from({ length: 40 }, (_, i) => `job ${i}`))
  const list = system.list.bind(system)
  let looks = 0
  // The first listing has passed the place of the second segment's name before it was there.
  system.list = (folder) => {
    const names = list(folder)
    if (looks++ > 0) return names
    return names?.filter((name) => !name.startsWith('0000000000000002'))
  }
  t.match(check(system), { damaged: false, jobs: { ready: 40 } })
  t.equal(looks, 2)
})

t.test('a segment that is really missing is named, once it was looked for twice', async (t) => {
  const system = await busyJournal()
  system.remove(system.segments()[1]!)
  t.match(check(system), { damaged: true, findings: [{ what: 'segment 2 is missing', file: DIR }] })
})

t.test('a batch that is written while the segment is read is no damage', async (t) => {
  const system = await killedJournal([])
  const store = await openFake(system)
  await add(store, 'a', 'b', 'c')
  const path = system.segments()[0]!
  const [, second] = batchOffsets(system.bytes(path))
  const read = system.read.bind(system)
  let reads = 0
  // The first read passes over the second batch before it is written, and sees the third.
  system.read = (file, target, position) => {
    const length = read(file, target, position)
    if (target.length > 1000 && reads++ === 0) target.fill(0, second! + 8, second! + 30)
    return length
  }
  t.match(check(system), { damaged: false, findings: [], jobs: { ready: 3 } })
  t.equal(reads, 2)
})

t.test('a disk that cannot read says where', async (t) => {
  const system = await busyJournal()
  const read = system.read.bind(system)
  system.read = (file, target, position) => {
    if (position === 0 && target.length > 1000) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    return read(file, target, position)
  }
  t.throws(() => check(system), { code: 'STORE_FAILED', exitCode: 74, message: /1\.seg at offset 0 \(EIO.*salvage/ })
})
