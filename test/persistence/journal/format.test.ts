import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { beginJournal } from '#offstage/persistence/journal/begin.js'
import {
  BATCH_HEADER_BYTES,
  BatchFlag,
  bodyIsWhole,
  decodeBatchHeader,
  decodeSegmentHeader,
  encodeBatchHeader,
  encodeSegmentHeader,
  segmentSeed,
} from '#offstage/persistence/journal/format.js'
import { decodeManifest, encodeManifest, type Manifest } from '#offstage/persistence/journal/manifest.js'
import {
  jobStart,
  noTexts,
  readAttempt,
  readFull,
  readRecordFailure,
  readSettlement,
  readTexts,
} from '#offstage/persistence/journal/record-read.js'
import { FullState, RecordType } from '#offstage/persistence/journal/record-types.js'
import {
  copyBytes,
  enqueueBytes,
  type FullJob,
  fullBytes,
  settlementBytes,
  writeAttempt,
  writeCopy,
  writeEnqueue,
  writeFull,
  writeSettlement,
} from '#offstage/persistence/journal/record-write.js'
import { segmentFiles, segmentName } from '#offstage/persistence/journal/segment.js'
import { JournalWriter } from '#offstage/persistence/journal/writer.js'
import type { NewJob } from '#offstage/persistence/store.js'
import { FakeFs } from './fake-fs.js'
import { allJobs, DIR, equal, openFake } from './journals.js'

const UUID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const JOB: NewJob = {
  worker: 'mailer',
  workerKey: '',
  method: 'send',
  jobKey: 'user-42',
  payload: Buffer.from('182a', 'hex'),
  runAt: 1_750_000_000_000,
  priority: 5,
  maxAttempts: 3,
  atMostOnce: false,
}

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string(), fc.constant('a'.repeat(200)))
const job: fc.Arbitrary<NewJob> = fc.record({
  worker: text,
  workerKey: text,
  method: text,
  jobKey: text,
  payload: fc.uint8Array({ maxLength: 40_000 }).map((bytes) => Buffer.from(bytes)),
  runAt: fc.double({ noNaN: true, noDefaultInfinity: true }),
  expiresAt: fc.double({ noNaN: true, noDefaultInfinity: true }),
  priority: fc.integer(),
  maxAttempts: fc.integer({ min: 1, max: 0xffff }),
  timeout: fc.integer({ min: 0, max: 0xffff_ffff }),
  atMostOnce: fc.boolean(),
})
const failure = fc.oneof(
  fc.constant(undefined),
  fc.record({ name: text, message: text }),
  fc.record({ name: text, message: text, stack: text }),
)

/** The job of an ENQ or FULL record. */
function readJob(bytes: Buffer, at: number, end: number) {
  const start = jobStart(bytes, at)
  const { worker, workerKey, method, jobKey, payload } = readTexts(bytes, start, noTexts())
  return {
    worker: bytes.toString('utf8', worker, workerKey),
    workerKey: bytes.toString('utf8', workerKey, method),
    method: bytes.toString('utf8', method, jobKey),
    jobKey: bytes.toString('utf8', jobKey, payload),
    payload: Buffer.from(bytes.subarray(payload, end)),
    runAt: bytes.readDoubleLE(start),
    enqueuedAt: bytes.readDoubleLE(start + 8),
    expiresAt: bytes.readDoubleLE(start + 16),
    priority: bytes.readInt32LE(start + 24),
    maxAttempts: bytes.readUInt32LE(start + 28),
    timeout: bytes.readUInt32LE(start + 32),
    atMostOnce: (bytes[at + 9]! & 1) !== 0,
  }
}

/** A target whose bytes around the record show when something is written outside it. */
function target(bytes: number) {
  const buffer = Buffer.alloc(bytes + 16, 0xaa)
  return { buffer, view: new DataView(buffer.buffer, buffer.byteOffset, buffer.length), at: 8 }
}

function untouched(buffer: Buffer, at: number, end: number): boolean {
  return buffer.subarray(0, at).every((byte) => byte === 0xaa) && buffer.subarray(end).every((byte) => byte === 0xaa)
}

t.test('an enqueue record gives the job back, within the room that was asked for', async (t) => {
  const check = fc.property(job, fc.maxSafeNat(), fc.maxSafeNat(), (job, id, now) => {
    const { buffer, view, at } = target(enqueueBytes(job))
    const end = writeEnqueue(buffer, view, at, job, id, now)
    equal(readJob(buffer, at, end), { ...job, enqueuedAt: now })
    return untouched(buffer, at, end) && buffer.readBigUInt64LE(at + 12) === BigInt(id)
  })
  fc.assert(check)
  t.pass()
})

t.test('a full record gives everything about the job back', async (t) => {
  const more = fc.record({
    attempts: fc.nat(),
    state: fc.constantFrom(...Object.values(FullState)),
    suspect: fc.boolean(),
    failure,
    enqueuedAt: fc.maxSafeNat(),
  })
  const check = fc.property(job, more, (job, more) => {
    const full: FullJob = { ...job, ...more }
    const { buffer, view, at } = target(fullBytes(full))
    const end = writeFull(buffer, view, at, full, 77)
    const { attempts, state, suspect, failure, enqueuedAt } = more
    const [active, dead] = [state === FullState.active, state === FullState.dead]
    equal(readFull(buffer, at), { attempts, suspect, active, dead })
    equal(readRecordFailure(buffer, at), failure)
    equal(readJob(buffer, at, end), { ...job, enqueuedAt })
    // And once more, as the compaction copies it.
    const source = buffer.subarray(jobStart(buffer, at), end)
    const copied = { id: 78, runAt: 5, atMostOnce: job.atMostOnce, attempts, state, suspect, failure, source }
    const copy = target(copyBytes(copied))
    const copyEnd = writeCopy(copy.buffer, copy.view, copy.at, copied)
    equal(readJob(copy.buffer, copy.at, copyEnd), { ...job, enqueuedAt, runAt: 5 })
    equal(readRecordFailure(copy.buffer, copy.at), failure)
    return untouched(buffer, at, end) && untouched(copy.buffer, copy.at, copyEnd)
  })
  fc.assert(check)
  t.pass()
})

t.test('retry and dead records give the settlement back', async (t) => {
  const settlement = fc.record({
    state: fc.constantFrom('scheduled' as const, 'dead' as const),
    attempts: fc.nat(),
    runAt: fc.double({ noNaN: true }),
    suspect: fc.boolean(),
    failure,
  })
  const check = fc.property(settlement, fc.nat(), (settlement, attempt) => {
    const { buffer, view, at } = target(settlementBytes(settlement))
    const end = writeSettlement(buffer, view, at, 5, attempt, settlement)
    const { failure, ...rest } = settlement
    equal(readSettlement(buffer, view, at), rest)
    equal(readRecordFailure(buffer, at), failure)
    return readAttempt(buffer, at) === attempt && untouched(buffer, at, end)
  })
  fc.assert(check)
  t.pass()
})

t.test('a claim record gives its attempt back', async (t) => {
  const { buffer, at } = target(24)
  const end = writeAttempt(buffer, at, RecordType.CLAIM, 2 ** 40, 4_000_000_000)
  t.equal(end, at + 24)
  t.equal(readAttempt(buffer, at), 4_000_000_000)
  t.equal(buffer.readBigUInt64LE(at + 12), 2n ** 40n)
})

t.test('headers give their fields back, and only for their own segment', async (t) => {
  const segment = { uuid: UUID, segment: 2 ** 33, firstSeq: 2 ** 52 + 1, prevHeadCrc: 0xdeadbeef, created: 1.75e12 }
  const bytes = encodeSegmentHeader(segment)
  t.same(decodeSegmentHeader(bytes, UUID, segment.segment), segment)
  t.equal(decodeSegmentHeader(bytes, UUID, 1), undefined)
  t.equal(decodeSegmentHeader(bytes, Buffer.alloc(16), segment.segment), undefined)
  t.equal(decodeSegmentHeader(bytes.subarray(0, 63), UUID, segment.segment), undefined)

  const seed = segmentSeed(UUID, 3)
  const header = {
    bodyLen: 0xfffffff0,
    firstSeq: 2 ** 45,
    count: 9,
    flags: BatchFlag.GAP,
    wallMs: 1.75e12,
    prevHeadCrc: 1,
    bodyCrc: 0x80000000,
  }
  const batch = Buffer.alloc(BATCH_HEADER_BYTES)
  const headCrc = encodeBatchHeader(batch, header, seed)
  t.same(decodeBatchHeader(batch, 0, seed), { ...header, headCrc })
  t.equal(decodeBatchHeader(batch, 0, segmentSeed(UUID, 4)), undefined)
  t.equal(bodyIsWhole(batch, 0, { ...header, headCrc }, seed), false, 'a length beyond the end')
  encodeBatchHeader(batch, { ...header, flags: 64 }, seed)
  t.equal(decodeBatchHeader(batch, 0, seed), undefined, 'an unknown flag')
})

t.test('a manifest gives its fields back, and no byte of it can change unnoticed', async (t) => {
  const manifest: Manifest = {
    epoch: 2 ** 40,
    uuid: UUID,
    firstSegment: 3,
    lastSegment: 2 ** 34,
    clean: true,
    endOffset: 2 ** 33,
    endHeadCrc: 0xffffffff,
    nextSeq: 2 ** 50,
  }
  const bytes = encodeManifest(manifest)
  t.same(decodeManifest(bytes), manifest)
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at]! ^= 1
    if (decodeManifest(changed) !== undefined) t.fail(`byte ${at}`)
  }
  t.equal(decodeManifest(bytes.subarray(0, 127)), undefined)
})

t.test('segment names sort and give their numbers back; other names are left alone', async (t) => {
  const names = [segmentName(300, 70_000), 'LOCK', segmentName(2, 9), `${segmentName(4, 1)}.tmp`, 'quarantine']
  t.same(segmentFiles(names), [
    { name: '0000000000000002-0000000000000009.seg', segment: 2, firstSeq: 9 },
    { name: '000000000000012c-0000000000011170.seg', segment: 300, firstSeq: 70_000 },
  ])
})

t.test('docs/JOURNAL.md: the example is what is written, and what is read', async (t) => {
  const [manifest, segment] = examples()
  const system = new FakeFs()
  system.folders.add(DIR)
  const clock = () => 1_750_000_000_000
  const end = beginJournal(system, DIR, 1, UUID)
  const writer = new JournalWriter({ system, folder: DIR, segmentBytes: 1024 * 1024, clock }, end)
  const { buffer, view } = target(enqueueBytes(JOB))
  const record = buffer.subarray(0, writeEnqueue(buffer, view, 0, JOB, 1, clock()))
  writer.append([record], record.length, 1, 1)
  writer.sync()
  const written = system.bytes(`${DIR}/${segmentName(1, 1)}`)
  t.equal(written.subarray(0, segment!.length).toString('hex'), segment!.toString('hex'))
  t.ok(written.subarray(segment!.length).every((byte) => byte === 0))
  t.equal(system.bytes(`${DIR}/MANIFEST.a`).toString('hex'), manifest!.toString('hex'))

  const documented = new FakeFs()
  documented.folders.add(DIR)
  documented.files.set(`${DIR}/MANIFEST.a`, { bytes: manifest! })
  documented.files.set(`${DIR}/${segmentName(1, 1)}`, { bytes: segment! })
  const store = await openFake(documented)
  t.match(await allJobs(store), [{ id: 1, worker: 'mailer', method: 'send', jobKey: 'user-42', priority: 5 }])
})

/** The blocks marked `hex` in docs/JOURNAL.md; what follows a # explains. */
function examples(): Buffer[] {
  const doc = readFileSync(new URL('../../../../docs/JOURNAL.md', import.meta.url), 'utf8')
  return [...doc.matchAll(/```hex\n([^`]*)```/g)].map((match) =>
    Buffer.from(match[1]!.replace(/#.*/g, '').replace(/\s/g, ''), 'hex'),
  )
}
