/** Cases 6 to 12 and 18 of docs/RELIABILITY.md: files that are cut, changed, swapped, or gone. */
import t from 'tap'
import { StoreError } from '#offstage/errors.js'
import { newJob } from '../../../contract/job-store.js'
import { flip, jobs, opened, refused, SMALL, tail } from '../damage.js'
import { FakeFs } from '../fake-fs.js'
import { add, batchOffsets, DIR, keys, killedJournal, openFake } from '../journals.js'

const SECTOR = 512

function names(count: number): string[] {
  return jobs(count).map((job) => job.jobKey)
}

/** Is this a refusal that names a place? */
function isRefusal(result: string[] | StoreError): result is StoreError {
  return result instanceof StoreError && result.code === 'JOURNAL_CORRUPT' && typeof result.details.file === 'string'
}

function describe(result: string[] | StoreError): string {
  return result instanceof Error ? result.message : `${result.length} jobs`
}

/** Three segments, of which the last has three batches. */
async function threeSegments(segmentBytes = SMALL, payload?: Uint8Array): Promise<FakeFs> {
  for (let count = 3; ; count++) {
    const image = await killedJournal(jobs(count, payload), segmentBytes)
    if (image.segments().length === 3 && batchOffsets(image.bytes(tail(image))).length === 3) return image
  }
}

/** The same with batches of three or four sectors each. */
function threeLargeSegments(): Promise<FakeFs> {
  return threeSegments(8 * 1024, Buffer.alloc(1500, 7))
}

t.test('case 6: a tail cut at any offset after a kill opens with all whole batches before the cut', async (t) => {
  const image = await threeSegments()
  const path = tail(image)
  const all = await opened(image.copy())
  t.notOk(isRefusal(all))
  const offsets = batchOffsets(image.bytes(path))
  const before = (all as string[]).length - offsets.length
  const end = endOfBatch(image.bytes(path), offsets.at(-1)!)
  for (let cut = 0; cut < end; cut++) {
    const system = image.copy()
    system.change(path, (bytes) => bytes.subarray(0, cut))
    const result = await opened(system)
    const whole = before + offsets.filter((start) => endOfBatch(image.bytes(path), start) <= cut).length
    // Without its header a segment is not one that a crash can leave: it gets its name only when that is synced.
    if (cut < 64 ? !isRefusal(result) : isRefusal(result) || result.length !== whole) {
      t.fail(`cut at ${cut}: ${describe(result)}, expected ${whole} jobs`)
    }
  }
  t.pass(`${end} cuts`)
})

t.test('case 6: the last batch cut at every byte is dropped and kept aside, and the journal goes on', async (t) => {
  const image = await killedJournal(jobs(3))
  const path = tail(image)
  const [, , last] = batchOffsets(image.bytes(path))
  const batchEnd = endOfBatch(image.bytes(path), last!)
  for (let end = last!; end < batchEnd; end++) {
    for (const rest of ['missing', 'zeros'] as const) {
      const system = image.copy()
      system.change(path, (bytes) => {
        if (rest === 'missing') return bytes.subarray(0, end)
        bytes.fill(0, end)
        return undefined
      })
      const torn = system
        .bytes(path)
        .subarray(last!)
        .some((byte) => byte !== 0)
      const whole = rest === 'zeros' && system.bytes(path).equals(image.bytes(path))
      const store = await openFake(system)
      const found = await keys(store)
      if (found.length !== (whole ? 3 : 2)) t.fail(`cut at ${end}, rest ${rest}: ${found}`)
      const kept = [...system.files.keys()].filter((name) => name.startsWith(`${DIR}/quarantine/`))
      if (kept.length !== (torn && !whole ? 1 : 0)) t.fail(`cut at ${end}, rest ${rest}: kept ${kept}`)
      await add(store, 'after')
      await store.close()
      if (!(await keys(await openFake(system))).includes('after')) t.fail(`cut at ${end}: cannot go on`)
    }
  }
  t.pass()
})

t.test('case 7: after a clean stop a tail cut at any offset, or longer, is refused', async (t) => {
  const image = await killedJournal(jobs(3))
  await (await openFake(image)).close()
  const path = tail(image)
  const { length } = image.bytes(path)
  for (let end = 0; end < length; end++) {
    const system = image.copy()
    system.change(path, (bytes) => bytes.subarray(0, end))
    const result = await opened(system)
    if (!isRefusal(result) || result.exitCode !== 65) t.fail(`cut at ${end}: ${describe(result)}`)
  }
  const longer = image.copy()
  longer.change(path, (bytes) => Buffer.concat([bytes, Buffer.from('more')]))
  await refused(t, longer, { file: path, offset: length })
})

t.test('case 8: a byte changed at any offset of three segments is refused, but for the last batch', async (t) => {
  const image = await threeSegments()
  const expected = (await opened(image.copy())) as string[]
  const paths = [...image.files.keys()]
  const last = batchOffsets(image.bytes(tail(image))).at(-1)!
  const outcomes = { refused: 0, whole: 0, withoutLast: 0 }
  for (const path of paths) {
    for (let at = 0; at < image.bytes(path).length; at++) {
      const system = image.copy()
      flip(system, path, at, 1 << (at % 8))
      const result = await opened(system)
      const inLast = path === tail(image) && at >= last
      if (isRefusal(result)) {
        outcomes.refused++
        // A manifest can be repaired from the other one, and the last batch can be taken for a torn one.
        if (inLast || path.includes('MANIFEST')) t.fail(`${path} at ${at}: ${result.message}`)
        else if (result.details.file !== path) t.fail(`${path} at ${at}: blames ${result.details.file}`)
      } else if (result instanceof Error) t.fail(`${path} at ${at}: ${result}`)
      else if (result.length === expected.length) outcomes.whole++
      else if (inLast && result.length === expected.length - 1) outcomes.withoutLast++
      else t.fail(`${path} at ${at}: ${result.length} of ${expected.length} jobs`)
    }
  }
  t.equal(image.segments().length, 3)
  t.ok(outcomes.refused > 2 * (SMALL - 200) && outcomes.withoutLast > 100, JSON.stringify(outcomes))
})

t.test('case 8: one byte changed before the last batch is refused with the place of its batch', async (t) => {
  const image = await killedJournal(jobs(3))
  const path = tail(image)
  const offsets = batchOffsets(image.bytes(path))
  for (let at = 0; at < offsets[2]!; at++) {
    const system = image.copy()
    flip(system, path, at)
    const offset = at < 64 ? 0 : offsets.findLast((start) => start <= at)!
    const result = await opened(system)
    if (!isRefusal(result) || result.details.offset !== offset) t.fail(`byte ${at}: ${describe(result)}`)
  }
  const system = image.copy()
  flip(system, path, offsets[1]! + 60)
  await refused(t, system, { file: path, offset: offsets[1]!, message: /Restore the folder from a backup/ })
})

t.test('case 8: the last batch is refused as well, once an empty one has proven it', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system, { idleMs: 1 })
  await add(store, 'k')
  const path = tail(system)
  // The idle batch is the second one.
  while (batchOffsets(system.bytes(path)).length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  const copy = system.copy()
  const [first] = batchOffsets(copy.bytes(path))
  flip(copy, path, first! + 70)
  await refused(t, copy, { file: path, offset: first! })
  t.same(await keys(await openFake(system.copy())), ['k'])
})

t.test('case 9: a zeroed sector of any batch but the last is refused', async (t) => {
  const image = await threeLargeSegments()
  const count = ((await opened(image.copy())) as string[]).length
  let dropped = 0
  for (const path of image.segments()) {
    const last = path === tail(image) ? batchOffsets(image.bytes(path)).at(-1)! : Number.POSITIVE_INFINITY
    for (let sector = 0; sector < image.bytes(path).length; sector += SECTOR) {
      const system = image.copy()
      const bytes = system.bytes(path)
      bytes.fill(0, sector, Math.min(sector + SECTOR, bytes.length))
      if (bytes.equals(image.bytes(path))) continue
      const result = await opened(system)
      const good = sector >= last ? !isRefusal(result) && result.length === count - 1 : isRefusal(result)
      if (!good) t.fail(`${path}, sector at ${sector}: ${describe(result)}`)
      if (!isRefusal(result)) dropped++
    }
  }
  t.ok(dropped > 0)
})

t.test('case 9: a write that the disk confirms and never makes is refused once another follows', async (t) => {
  for (let lie = 1; lie <= 6; lie++) {
    const system = new FakeFs()
    const store = await openFake(system)
    await add(store, 'first')
    let writes = 0
    const { write } = system
    system.write = function (file, parts, position) {
      if (++writes === lie) return parts.reduce((sum, part) => sum + part.length, 0)
      return write.call(this, file, parts, position)
    }
    for (let i = 1; i <= 6; i++) {
      await add(store, `job ${i}`)
      const result = await opened(system.copy())
      if (i < lie) t.equal(describe(result), `${i + 1} jobs`)
      else if (i === lie) t.equal(describe(result), `${i} jobs`, 'the last batch is missing, and no more')
      else t.ok(isRefusal(result), `write ${lie} of ${i}: ${describe(result)}`)
    }
  }
})

t.test('case 10: batches and sectors that changed places within a store are refused', async (t) => {
  const image = await killedJournal(jobs(4))
  const path = tail(image)
  const [, second, third, fourth] = batchOffsets(image.bytes(path))
  image.change(path, (bytes) => {
    const swapped = Buffer.from(bytes)
    bytes.copy(swapped, second, third, fourth)
    bytes.copy(swapped, second! + fourth! - third!, second, third)
    return swapped
  })
  await refused(t, image, { file: path, offset: second! })

  const large = await threeLargeSegments()
  const sectors = large
    .segments()
    .flatMap((file) =>
      Array.from({ length: Math.floor(large.bytes(file).length / SECTOR) }, (_, i) => ({ file, at: i * SECTOR })),
    )
  let swaps = 0
  for (const [index, one] of sectors.entries()) {
    for (const other of sectors.slice(index + 1)) {
      const system = large.copy()
      const [a, b] = [one, other].map(({ file, at }) => system.bytes(file).subarray(at, at + SECTOR))
      if (a!.equals(b!)) continue
      const kept = Buffer.from(a!)
      a!.set(b!)
      b!.set(kept)
      const result = await opened(system)
      swaps++
      if (!isRefusal(result)) t.fail(`${one.file} ${one.at} and ${other.file} ${other.at}: ${describe(result)}`)
    }
  }
  t.ok(swaps > 50, `${swaps} swaps`)
})

t.test('case 10: segments that changed places, or come from another store, are refused', async (t) => {
  const image = await killedJournal(jobs(60), SMALL)
  const [, second, third] = image.segments()
  const swapped = image.copy()
  swapped.files.set(second!, image.files.get(third!)!)
  swapped.files.set(third!, image.files.get(second!)!)
  await refused(t, swapped, { file: second!, offset: 0 })
  const other = await killedJournal(jobs(60), SMALL)
  const mixed = image.copy()
  mixed.files.set(second!, other.files.get(second!)!)
  await refused(t, mixed, { file: second!, offset: 0 })
  // A batch of the same place and number in another store: it has everything right but the store.
  const [one, two] = [await killedJournal(jobs(4)), await killedJournal(jobs(4))]
  const path = tail(one)
  const [, start, end] = batchOffsets(one.bytes(path))
  two.bytes(path).copy(one.bytes(path), start, start, end)
  await refused(t, one, { file: path, offset: start! })
})

t.test('case 11: a segment that is gone, be it the first, a middle one or the newest, is named', async (t) => {
  const image = await killedJournal(jobs(60), SMALL)
  const paths = image.segments()
  t.ok(paths.length > 3)
  for (const [index, path] of paths.entries()) {
    const system = image.copy()
    system.remove(path)
    await refused(t, system, { message: new RegExp(`segment ${index + 1} of 1 to ${paths.length} is missing`) })
  }
})

t.test('case 12: without a valid manifest nothing is opened, made or deleted', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  image.files.set(`${DIR}/0000000000000099-0000000000000001.seg.tmp`, { bytes: Buffer.from('half') })
  const damaged = image.copy()
  for (const slot of ['a', 'b']) flip(damaged, `${DIR}/MANIFEST.${slot}`, 9)
  await refused(t, damaged, { message: /no valid manifest/ })
  const missing = image.copy()
  for (const slot of ['a', 'b']) missing.remove(`${DIR}/MANIFEST.${slot}`)
  await refused(t, missing, { message: /no valid manifest/ })
  const empty = image.copy()
  for (const slot of ['a', 'b']) empty.change(`${DIR}/MANIFEST.${slot}`, () => Buffer.alloc(0))
  await refused(t, empty, { message: /no valid manifest/ })
})

t.test('case 12: one damaged manifest is enough to lose nothing', async (t) => {
  const image = await killedJournal(jobs(30), SMALL)
  for (const slot of ['a', 'b']) {
    const system = image.copy()
    flip(system, `${DIR}/MANIFEST.${slot}`, 9)
    const store = await openFake(system, { segmentBytes: SMALL })
    t.same(await keys(store), names(30), `slot ${slot}`)
    await store.close()
    t.equal((await keys(await openFake(system))).length, 30)
  }
})

t.test('case 18: writes that the system takes in pieces of any length are carried on', async (t) => {
  const whole = await killedJournal(jobs(5), SMALL)
  const [first, second] = batchOffsets(whole.bytes(tail(whole)))
  for (let mostAtOnce = 1; mostAtOnce < second! - first!; mostAtOnce++) {
    const system = new FakeFs()
    system.mostAtOnce = mostAtOnce
    const store = await openFake(system, { segmentBytes: SMALL })
    for (const job of jobs(5)) await store.enqueue([job])
    const result = await opened(system.copy())
    if (isRefusal(result) || result.length !== 5) t.fail(`${mostAtOnce} at once: ${describe(result)}`)
    await store.close()
  }
  t.pass()
})

t.test('case 18: a write of which a part was taken before the disk was full leaves nothing of itself', async (t) => {
  const system = new FakeFs()
  const store = await openFake(system)
  await add(store, 'before')
  const path = tail(system)
  const before = Buffer.from(system.bytes(path).subarray(0, endOfBatch(system.bytes(path), 64)))
  for (let taken = 1; taken < 200; taken++) {
    system.mostAtOnce = taken
    let writes = 0
    system.before = (call) => {
      if (call === 'write' && ++writes % 2 === 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    }
    const error = await store.enqueue([newJob('refused', { payload: Buffer.alloc(500) })]).then(
      () => undefined,
      (error: StoreError) => error,
    )
    if (error?.code !== 'STORE_FULL') t.fail(`${taken} bytes taken: ${error}`)
    const bytes = system.bytes(path)
    const good = bytes.subarray(0, before.length).equals(before) && bytes.subarray(before.length).every((b) => b === 0)
    if (!good) t.fail(`${taken} bytes taken: something of the batch is left`)
  }
  system.before = () => {}
  system.mostAtOnce = Number.POSITIVE_INFINITY
  await add(store, 'after')
  t.same(await opened(system.copy()), ['before', 'after'])
})

function endOfBatch(bytes: Buffer, start: number): number {
  return start + 48 + ((bytes.readUInt32LE(start + 4) + 7) & ~7)
}
