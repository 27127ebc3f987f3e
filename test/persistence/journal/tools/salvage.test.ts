import fc from 'fast-check'
import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import { inspectJournal } from '#offstage/persistence/journal/tools/inspect.js'
import { type SalvageOptions, type SalvageReport, salvageJournal } from '#offstage/persistence/journal/tools/salvage.js'
import type { ToolFs } from '#offstage/persistence/journal/tools/tool-fs.js'
import { newJob } from '../../../contract/job-store.js'
import { type FakeFs, systemError } from '../fake-fs.js'
import { add, allJobs, batchOffsets, DIR, FAILURE, keys, killedJournal, openFake, QUEUE } from '../journals.js'
import { busyJournal, closedJournal, contents, SMALL } from './journals.js'
import { LiveJournal } from './live-journal.js'
import { ToolFakeFs } from './tool-fake-fs.js'

const NEW = '/new'

function salvage(system: ToolFs, more: Partial<SalvageOptions> = {}): SalvageReport {
  const lock = () => () => {}
  return salvageJournal({ system, from: DIR, to: NEW, clock: () => 1_750_000_100_000, lock, user: undefined, ...more })
}

interface Recorded {
  readonly path: string
  readonly at: number
  readonly end: number
  readonly seq: number
  readonly type: string
  readonly id: number
  readonly key: string
  /** Where its argument begins. */
  readonly argumentAt: number
}

/** Every record of a whole journal. */
function recordsOf(system: FakeFs, folder = DIR): Recorded[] {
  const found: Recorded[] = []
  inspectJournal({ system, folder, user: undefined, filter: {} }, ({ segment, seq, head, body }) => {
    if (seq === undefined) return
    const job = body.type === 'ENQ' || body.type === 'FULL' ? body.job : undefined
    const { at, end, jobId: id } = head
    const argumentAt = end - (job?.payload.length ?? 0)
    found.push({ path: segment.path, at, end, seq, type: body.type, id, key: job?.jobKey ?? '', argumentAt })
  })
  return found
}

interface Left {
  state: string
  /** Its last record. */
  last: number
}

/** Which jobs a history leaves unfinished or dead. */
function replay(records: readonly Recorded[]): Map<number, Left> {
  const jobs = new Map<number, Left>()
  for (const { type, id, seq } of records) {
    const job = jobs.get(id)
    if (type === 'ENQ' || type === 'FULL') jobs.set(id, { state: 'waiting', last: seq })
    else if (type === 'DONE' || type === 'DEQ') jobs.delete(id)
    else if (job !== undefined) {
      job.last = seq
      job.state = type === 'CLAIM' ? 'active' : type === 'DEAD' ? 'dead' : 'waiting'
    }
  }
  return jobs
}

async function jobsOf(system: FakeFs, dir = NEW) {
  return allJobs(await openFake(system.copy(), { dir, segmentBytes: SMALL }))
}

/** The jobs that were saved, in their order. */
function idsOf(system: FakeFs): number[] {
  return recordsOf(system, NEW).map(({ id }) => id)
}

function lostSeqs({ losses }: SalvageReport): number[] {
  return losses.flatMap(({ fromSeq, toSeq }) =>
    Array.from({ length: (toSeq ?? fromSeq) - fromSeq + 1 }, (_, i) => fromSeq + i),
  )
}

t.test('of a whole journal everything is saved, with the same ids and states, and nothing is lost', async (t) => {
  for (const image of [await busyJournal(), await closedJournal()]) {
    const system = ToolFakeFs.of(image)
    const before = contents(system)
    const report = salvage(system)
    t.match(report, { losses: [], lostJobs: [], mayRunAgain: [], keptAsDead: [], endedSomehow: [], torn: undefined })
    t.match(report.check, { damaged: false, clean: true, folder: NEW })
    for (const [path, bytes] of before) if (contents(system).get(path) !== bytes) t.fail(`${path} was changed`)
    t.same(await jobsOf(system), await jobsOf(system, DIR))
    const store = await openFake(system, { dir: NEW })
    const old = recordsOf(system).at(-1)!.seq
    const [added] = await store.enqueue([newJob('new')])
    t.ok(added!.id > old, 'numbers are not used again')
    t.not(system.bytes(`${NEW}/MANIFEST.a`).subarray(16, 32), system.bytes(`${DIR}/MANIFEST.a`).subarray(16, 32))
  }
})

t.test('one byte changed anywhere costs the record it is in, and nothing else', async (t) => {
  const image = ToolFakeFs.of(await busyJournal())
  const records = recordsOf(image)
  const path = image.segments().at(-1)!
  const torn = batchOffsets(image.bytes(path)).at(-1)!
  const truth = replay(records)
  let [lost, named, headers] = [0, 0, 0]
  for (const segment of image.segments()) {
    const end = segment === path ? torn : image.bytes(segment).length
    // The first segment has records of every type.
    const step = segment === image.segments()[0] ? 1 : 5
    for (let at = 0; at < end; at += step) {
      const system = ToolFakeFs.of(image)
      system.bytes(segment)[at]! ^= 0x04
      const report = salvage(system)
      const hit = records.find((record) => record.path === segment && record.at <= at && at < record.end)
      const left = replay(records.filter((record) => record !== hit))
      const problem = (what: string) => t.fail(`${segment}, byte ${at}, ${hit?.type}: ${what}`)
      if (lostSeqs(report).join() !== (hit === undefined ? '' : String(hit.seq))) problem(`lost ${lostSeqs(report)}`)
      if (idsOf(system).join() !== [...left.keys()].join()) problem('other jobs are left')
      if (hit === undefined) {
        headers++
        if (report.mayRunAgain.length > 0) problem('a job is in doubt')
        continue
      }
      lost++
      const known = report.lostJobs.map(({ id }) => id)
      const isGone = truth.has(hit.id) && !left.has(hit.id)
      if (hit.type === 'ENQ' && at >= hit.argumentAt) {
        // The argument is damaged: everything else can be read.
        if (isGone && known.join() !== String(hit.id)) problem(`lost jobs: ${known}`)
        if (isGone && report.lostJobs[0]?.damaged?.jobKey !== hit.key) problem('the key is not given')
        if (report.mayRunAgain.length > 0) problem('a job is in doubt')
        named++
      } else if (hit.type !== 'ENQ') {
        const doubtful = [...left].filter(([, { state, last }]) => state !== 'dead' && last < hit.seq).map(([id]) => id)
        if (report.mayRunAgain.map(({ id }) => id).join() !== doubtful.join()) problem('others are in doubt')
      }
    }
  }
  t.ok(lost > 1000 && named > 50 && headers > 300, `${lost} in records, ${named} named, ${headers} elsewhere`)
})

t.test('a key that was given away proves that the job before has ended', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(system)
  await add(store, 'key')
  await store.finish(await store.claim(QUEUE, 1))
  await add(store, 'key', 'other', 'last')
  const [, , done] = recordsOf(system)
  t.equal(done?.type, 'DONE')
  system.bytes(done!.path)[done!.at + 21]! ^= 1
  const report = salvage(system)
  t.same(lostSeqs(report), [3])
  t.match(report.endedSomehow, [{ id: 1, jobKey: 'key' }])
  t.same(report.mayRunAgain, [])
  t.match(await jobsOf(system), [
    { id: 1, state: 'dead', failure: { name: 'Salvaged', message: /its key was given to a later job/ } },
    { id: 4, state: 'ready', jobKey: 'key' },
    { id: 5 },
    { id: 6 },
  ])
})

t.test('a revived job has its key, so that its end is what later proves', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(system)
  const { id } = (await store.enqueue([newJob('key', { maxAttempts: 1 })]))[0]!
  await store.fail((await store.claim(QUEUE, 1))[0]!, FAILURE)
  await store.revive(id)
  await store.reschedule(id, 1_750_009_999_000)
  t.match(salvage(system), { losses: [], mayRunAgain: [] })
  t.same(await jobsOf(system), await allJobs(store))
  t.match(await jobsOf(system), [{ id, state: 'scheduled', attempts: 0, runAt: 1_750_009_999_000, failure: FAILURE }])
  await store.remove(QUEUE, 'key')
  await add(store, 'key')
  const removal = recordsOf(system).find(({ type }) => type === 'DEQ')!
  system.bytes(removal.path)[removal.at + 9]! ^= 64
  t.match(salvage(system, { to: '/newer' }).endedSomehow, [{ id, jobKey: 'key' }])
})

t.test('a job that may run at most once is kept as dead when it may have been started', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(system)
  await store.enqueue([newJob('once', { atMostOnce: true }), newJob('again')])
  await store.claim(QUEUE, 2)
  await add(store, 'a', 'b')
  const claim = recordsOf(system).find(({ type, id }) => type === 'CLAIM' && id === 1)!
  system.bytes(claim.path)[claim.at + 21]! ^= 1
  const report = salvage(system)
  t.match(report, { keptAsDead: [{ id: 1, jobKey: 'once' }], mayRunAgain: [] })
  t.match(await jobsOf(system), [
    { id: 1, state: 'dead', failure: { message: /^outcome unknown: .*records are lost that may say/ } },
    { id: 2, state: 'ready', attempts: 1 },
    { id: 5 },
    { id: 6 },
  ])
})

t.test('a job whose enqueue is lost and that was heard of later is listed, unless it ended', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(system)
  await store.enqueue([newJob('failed', { maxAttempts: 1 }), newJob('finished')])
  const [failed, finished] = await store.claim(QUEUE, 2)
  await store.fail(failed!, FAILURE)
  await store.finish([finished!])
  await add(store, 'last')
  const path = system.segments()[0]!
  const [one, two] = recordsOf(system)
  // Type and version, too, so that nobody knows what these records were.
  for (const record of [one!, two!]) system.bytes(path).fill(0xee, record.at, record.end)
  const report = salvage(system)
  t.same(lostSeqs(report), [1, 2])
  t.match(report.lostJobs, [{ id: 1, damaged: undefined, last: { type: 'DEAD', seq: 5 } }])
  t.equal(report.lostJobs.length, 1)
  t.same(idsOf(system), [7])
})

t.test('several records of one batch: the numbers of the lost ones are known by those between', async (t) => {
  const image = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(image)
  await store.enqueue(Array.from({ length: 6 }, (_, i) => newJob(`job ${i}`)))
  await add(store, 'last')
  const records = recordsOf(image)
  for (const list of [
    [2, 4],
    [1, 3],
    [3, 5, 6],
    [1, 2, 6],
  ]) {
    const system = ToolFakeFs.of(image)
    for (const seq of list) {
      const { path, at, end } = records[seq - 1]!
      system.bytes(path).fill(0xee, at, end)
    }
    const report = salvage(system)
    t.same(lostSeqs(report), list)
    t.same(
      idsOf(system),
      [1, 2, 3, 4, 5, 6, 7].filter((id) => !list.includes(id)),
    )
    t.same(
      report.mayRunAgain.map(({ id }) => id),
      [1, 2, 3, 4, 5, 6].filter((id) => !list.includes(id) && id < list.at(-1)!),
    )
  }
})

t.test('a missing segment: which numbers are lost, and who is in doubt', async (t) => {
  const image = ToolFakeFs.of(
    await killedJournal(
      Array.from({ length: 60 }, (_, i) => newJob(`job ${i}`)),
      SMALL,
    ),
  )
  const records = recordsOf(image)
  const paths = image.segments()
  for (const [index, path] of paths.entries()) {
    const system = ToolFakeFs.of(image)
    system.remove(path)
    const report = salvage(system)
    const gone = records.filter((record) => record.path === path)
    const left = records.filter((record) => record.path !== path)
    t.same(
      idsOf(system),
      left.map(({ id }) => id),
    )
    t.match(report.losses, [{ fromSeq: index === 0 ? 1 : gone[0]!.seq }])
    t.equal(report.losses[0]!.toSeq, path === paths.at(-1) ? undefined : gone.at(-1)!.seq)
    t.match(report.losses[0]!.what, path === paths[0] || path === paths.at(-1) ? /segment \d is missing/ : /missing/)
    const before = left.filter(({ seq }) => seq < gone[0]!.seq)
    t.same(
      report.mayRunAgain.map(({ id }) => id),
      before.map(({ id }) => id),
    )
  }
})

t.test(
  'without manifests the headers of the segments will do, and without those the manifest and the names',
  async (t) => {
    const image = await busyJournal()
    const expected = await jobsOf(image, DIR)
    const noManifest = ToolFakeFs.of(image)
    for (const slot of ['a', 'b']) noManifest.bytes(`${DIR}/MANIFEST.${slot}`)[40]! ^= 1
    t.same(salvage(noManifest).losses, [])
    t.same(await jobsOf(noManifest), expected)
    const noHeaders = ToolFakeFs.of(image)
    for (const path of noHeaders.segments()) noHeaders.bytes(path).fill(0, 0, 64)
    t.same(salvage(noHeaders).losses, [])
    t.same(await jobsOf(noHeaders), expected)
    const one = ToolFakeFs.of(image)
    for (const path of one.segments().slice(1)) one.bytes(path).fill(0, 0, 64)
    for (const slot of ['a', 'b']) one.remove(`${DIR}/MANIFEST.${slot}`)
    t.same(salvage(one).losses, [])
    t.same(await jobsOf(one), expected)
    const nothing = ToolFakeFs.of(image)
    for (const path of nothing.segments()) nothing.bytes(path).fill(0, 0, 64)
    for (const slot of ['a', 'b']) nothing.remove(`${DIR}/MANIFEST.${slot}`)
    t.throws(() => salvage(nothing), {
      exitCode: 65,
      message: /neither a manifest nor the header of a segment is whole/,
    })
  },
)

t.test('files and batches that changed places are put back', async (t) => {
  const image = await busyJournal()
  const expected = await jobsOf(image, DIR)
  const [first, second] = image.segments()
  const files = ToolFakeFs.of(image)
  const bytes = Buffer.from(files.bytes(first!))
  files.change(first!, () => Buffer.from(files.bytes(second!)))
  files.change(second!, () => bytes)
  t.same(salvage(files).losses, [])
  t.same(await jobsOf(files), expected)
  const batches = ToolFakeFs.of(image)
  const [, two, three, four] = batchOffsets(batches.bytes(first!))
  batches.change(first!, (old) => {
    const parts = [old.subarray(0, two), old.subarray(three, four), old.subarray(two, three), old.subarray(four)]
    return Buffer.concat(parts)
  })
  t.same(salvage(batches).losses, [])
  t.same(await jobsOf(batches), expected)
})

t.test('a batch cut short by a crash is no loss; what can be read of it is saved', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([]))
  const store = await openFake(system)
  await add(store, 'a')
  await store.enqueue([newJob('b'), newJob('c')])
  const [, , last] = recordsOf(system)
  system.bytes(last!.path).fill(0, last!.at + 30)
  const report = salvage(system)
  t.same(report.losses, [])
  t.match(report.torn, { file: last!.path, rescued: 1 })
  t.same(await keys(await openFake(system, { dir: NEW })), ['a', 'b'])
})

t.test('a journal that was closed and is cut off: what is behind is lost, and counted', async (t) => {
  const image = ToolFakeFs.of(await closedJournal())
  const records = recordsOf(image)
  const path = image.segments().at(-1)!
  const offsets = batchOffsets(image.bytes(path))
  for (const at of [offsets[1]!, offsets[1]! + 20, offsets[1]! + 60]) {
    const system = ToolFakeFs.of(image)
    system.change(path, (bytes) => bytes.subarray(0, at))
    const gone = records.filter((record) => record.path === path && record.at >= offsets[1]!).map(({ seq }) => seq)
    t.same(lostSeqs(salvage(system)), gone, `cut at ${at}`)
  }
})

t.test('sectors that the disk cannot read are read around', async (t) => {
  const image = ToolFakeFs.of(
    await killedJournal(Array.from({ length: 100 }, (_, i) => newJob(`job ${i}`, { payload: Buffer.alloc(300, i) }))),
  )
  const records = recordsOf(image)
  const [path] = image.segments()
  const size = image.bytes(path!).length
  const bad = [4096, 20480, Math.floor((size - 1) / 4096) * 4096]
  const read = image.read.bind(image)
  image.read = (file, target, position) => {
    // Only the segment is so long.
    const hits = image.size(file) === size && bad.some((at) => at < position + target.length && at + 4096 > position)
    if (hits) throw systemError('EIO', path!)
    return read(file, target, position)
  }
  const report = salvage(image)
  const whole = records.filter(({ at, end }) => bad.every((start) => end <= start || at >= start + 4096))
  const behind = bad.at(-1)!
  t.same(
    idsOf(image),
    whole.map(({ id }) => id),
  )
  t.ok(report.losses.length >= 3)
  for (const { what } of report.losses) t.equal(what, 'the disk cannot read this place')
  const expected = records.filter((record) => !whole.includes(record) && record.end <= behind).map(({ seq }) => seq)
  for (const seq of expected) if (!lostSeqs(report).includes(seq)) t.fail(`${seq} is not listed`)
})

t.test('a supervisor that runs is to be stopped first, and the new folder must be new', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  t.throws(() => salvage(system, { user: 4711 }), {
    exitCode: 75,
    message: /process 4711 uses the journal in \/journal: stop it/,
  })
  t.throws(() => salvage(system, { to: `${DIR}/new` }), { code: 'CANNOT_CREATE', exitCode: 73 })
  system.folders.add(NEW)
  system.files.set(`${NEW}/x`, { bytes: Buffer.alloc(0) })
  t.throws(() => salvage(system), { code: 'CANNOT_CREATE', exitCode: 73 })
  t.throws(() => salvage(new ToolFakeFs()), { code: 'NO_JOURNAL', exitCode: 66 })
})

t.test('an error while the new journal is written leaves nothing', async (t) => {
  const image = ToolFakeFs.of(await busyJournal())
  for (let stop = 1; ; stop++) {
    const system = ToolFakeFs.of(image)
    let calls = 0
    let failed = ''
    system.before = (call, path) => {
      if (++calls !== stop) return
      failed = `${call} ${path}`
      throw systemError('EIO', path)
    }
    let error: StoreError | undefined
    try {
      salvage(system)
    } catch (caught) {
      error = caught as StoreError
    }
    if (failed === '') break
    t.match(error, { exitCode: failed.startsWith('makeFolder') ? 73 : 74 }, failed)
    t.same(
      [...system.files.keys()].filter((path) => path.startsWith(NEW)),
      [],
    )
  }
})

/** Some of these, at random places. */
type Damage = { kind: 'flip' | 'zero' | 'noise' | 'remove'; place: number }

function apply(system: ToolFakeFs, damages: readonly Damage[]): void {
  const paths = system.segments()
  const sizes = paths.map((path) => system.bytes(path).length)
  const total = sizes.reduce((sum, size) => sum + Math.min(size, 4000), 0)
  for (const { kind, place } of damages) {
    let at = Math.floor(place * total)
    const index = sizes.findIndex((size) => {
      if (at < Math.min(size, 4000)) return true
      at -= Math.min(size, 4000)
      return false
    })
    const path = paths[index]!
    if (!system.files.has(path)) continue
    const bytes = system.bytes(path)
    const sector = at - (at % 512)
    if (kind === 'flip') bytes[at]! ^= 1 + (at % 255)
    else if (kind === 'zero') bytes.fill(0, sector, Math.min(sector + 512, bytes.length))
    else if (kind === 'noise')
      for (let i = sector; i < Math.min(sector + 512, bytes.length); i++) bytes[i] = (i * 7919 + at) % 251
    else system.remove(path)
  }
}

t.test(
  'whatever is damaged: whole records are saved, lost ones are counted, and no finished job comes back in silence',
  async (t) => {
    const live = new ToolFakeFs()
    const journal = new LiveJournal(live)
    for (let i = 0; i < 60; i++) {
      journal.enqueue(`job ${i}`)
      if (i % 3 === 0) journal.finish(journal.oldest() ?? '')
      if (i % 7 === 0) journal.migrate()
      if (i % 9 === 0) journal.drop()
    }
    const images = [ToolFakeFs.of(await busyJournal()), ToolFakeFs.of(await closedJournal()), live]
    const kinds = fc.constantFrom<Damage['kind']>('flip', 'flip', 'flip', 'zero', 'noise', 'remove')
    const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const damages = fc.array(fc.record({ kind: kinds, place }), { minLength: 1, maxLength: 6 })
    let lost = 0
    await fc.assert(
      fc.asyncProperty(fc.nat(images.length - 1), damages, async (which, list) => {
        const image = images[which]!
        const records = recordsOf(image)
        const truth = replay(records)
        const system = ToolFakeFs.of(image)
        apply(system, list)
        const report = salvage(system)
        const whole = records.filter(({ path, at, end }) => {
          const bytes = system.files.get(path)?.bytes
          return bytes?.subarray(at, end).equals(image.bytes(path).subarray(at, end))
        })
        const left = replay(whole)
        const found = await jobsOf(system)
        const ids = found.map(({ id }) => id)
        if (ids.join() !== [...left.keys()].sort((a, b) => a - b).join())
          throw new Error(`jobs ${ids}, not ${[...left.keys()]}`)
        const torn = report.torn !== undefined
        const missing = records.filter((record) => !whole.includes(record))
        const counted = lostSeqs(report)
        const open = report.losses.some(({ fromSeq, toSeq }) => toSeq === undefined || fromSeq < records[0]!.seq)
        // What a torn end held does not count, and of an open end nobody knows how much it held.
        if (!torn && !open && counted.length !== missing.length)
          throw new Error(`${counted} are lost, not ${missing.map(({ seq }) => seq)}`)
        lost += counted.length
        const told = new Set([...report.mayRunAgain, ...report.endedSomehow, ...report.keptAsDead].map(({ id }) => id))
        const tornAt = records.find(
          ({ path, at }) => torn && path === report.torn!.file && at >= report.torn!.offset,
        )?.seq
        for (const { id, state } of found) {
          const over = !truth.has(id) || (truth.get(id)!.state === 'dead' && state !== 'dead')
          // The end of a job can be in the torn batch: then nobody was told.
          const end = records.find((record) => record.id === id && ['DONE', 'DEQ', 'DEAD'].includes(record.type))
          if (over && !told.has(id) && !(tornAt !== undefined && end !== undefined && end.seq >= tornAt)) {
            throw new Error(`job ${id} had ended, and nobody is told that it comes back`)
          }
        }
      }),
      { numRuns: 500 },
    )
    t.ok(lost > 300, `${lost} records were lost`)
  },
)
