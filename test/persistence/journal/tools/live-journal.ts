/**
 * A supervisor's part, step by step: it appends, begins segments, moves the jobs of the oldest segment on and drops it.
 * Every step is whole when it returns, so that a test can make steps between any two calls of a tool.
 */
import { beginJournal } from '#offstage/persistence/journal/begin.js'
import { BatchFlag, segmentSeed } from '#offstage/persistence/journal/format.js'
import { type Manifest, readManifests, writeManifest } from '#offstage/persistence/journal/manifest.js'
import { RecordType } from '#offstage/persistence/journal/record-types.js'
import { fullBytes, writeAttempt, writeFull } from '#offstage/persistence/journal/record-write.js'
import { scanSegment } from '#offstage/persistence/journal/scan.js'
import { segmentFiles } from '#offstage/persistence/journal/segment.js'
import { JournalWriter } from '#offstage/persistence/journal/writer.js'
import { newJob } from '../../../contract/job-store.js'
import type { FakeFs } from '../fake-fs.js'
import { DIR } from '../journals.js'

const SEGMENT_BYTES = 1024

export class LiveJournal {
  readonly #system: FakeFs
  readonly #uuid = Buffer.alloc(16, 9)
  #writer: JournalWriter
  #nextSeq = 1
  #now = 1_750_000_000_000
  /** Keys of the unfinished jobs, and the segment where the newest record of each stands. */
  readonly #jobs = new Map<string, { id: number; segment: number }>()
  /** Keys of the unfinished jobs after each step. */
  readonly history: string[] = []

  constructor(system: FakeFs) {
    this.#system = system
    system.folders.add(DIR)
    this.#writer = this.#open(beginJournal(system, DIR, 1, this.#uuid))
    this.#note()
  }

  enqueue(key: string): void {
    this.#append([[key, this.#nextSeq]])
  }

  /** Its start and its end, as one batch. */
  finish(key: string): void {
    const job = this.#jobs.get(key)
    if (job === undefined) return
    const bytes = new Uint8Array(64)
    const claim = writeAttempt(bytes, 0, RecordType.CLAIM, job.id, 1)
    const end = writeAttempt(bytes, claim, RecordType.DONE, job.id, 1)
    this.#jobs.delete(key)
    this.#write(bytes.subarray(0, end), 2)
    this.#note()
  }

  /** The oldest job there is, if any. */
  oldest(): string | undefined {
    return [...this.#jobs.keys()][0]
  }

  /** Moves on what is left in the oldest segment. Nothing changes for the jobs. */
  migrate(): void {
    const { newest } = readManifests(this.#system, DIR)
    const left = [...this.#jobs].filter(([, { segment }]) => segment === newest!.firstSegment)
    if (left.length > 0) this.#append(left.map(([key, { id }]) => [key, id]))
  }

  /** Drops the oldest segments that nobody needs, if there are any. */
  drop(): void {
    while (this.#writer.dropBefore(this.#firstNeeded()));
  }

  /** The same, one segment, and cut off by a crash before the unlink, which is made with a later step. */
  dropInPart(): void {
    const { newest } = readManifests(this.#system, DIR)
    const { firstSegment, lastSegment, epoch } = newest!
    if (firstSegment >= Math.min(lastSegment, this.#firstNeeded())) return
    const manifest = { ...newest!, epoch: epoch + 1, firstSegment: firstSegment + 1 }
    writeManifest(this.#system, DIR, manifest)
    this.#writer = this.#open(this.#end(manifest))
  }

  #firstNeeded(): number {
    return Math.min(...[...this.#jobs.values()].map(({ segment }) => segment))
  }

  unlink(): void {
    const { newest } = readManifests(this.#system, DIR)
    for (const { name, segment } of this.#segments()) {
      if (segment < newest!.firstSegment) this.#system.remove(`${DIR}/${name}`)
    }
  }

  idle(): void {
    this.#writer.idle()
  }

  /** Stops cleanly and is started again. */
  restart(): void {
    this.#writer.close()
    const { newest } = readManifests(this.#system, DIR)
    const manifest = { ...newest!, epoch: newest!.epoch + 1, clean: false }
    writeManifest(this.#system, DIR, manifest)
    this.#writer = this.#open(this.#end(manifest))
  }

  /** Is killed and started again: the newest segment is written to another file. */
  crash(): void {
    const file = this.#segments().at(-1)
    if (file === undefined) return
    const { newest } = readManifests(this.#system, DIR)
    const manifest = { ...newest!, epoch: newest!.epoch + 1 }
    const end = this.#end(manifest)
    const bytes = Buffer.from(this.#system.bytes(`${DIR}/${file.name}`).subarray(0, end.offset))
    this.#system.files.set(`${DIR}/${file.name}`, { bytes })
    writeManifest(this.#system, DIR, manifest)
    this.#writer = this.#open(end)
  }

  #append(jobs: readonly (readonly [key: string, id: number])[]): void {
    const full = jobs.map(([key, id]) => ({ key, id, job: fullJob(key, this.#now) }))
    const bytes = new Uint8Array(full.reduce((sum, { job }) => sum + fullBytes(job), 0))
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const { job, id } of full) at = writeFull(bytes, view, at, job, id)
    this.#write(bytes.subarray(0, at), full.length)
    const segment = this.#segments().at(-1)!.segment
    for (const { key, id } of full) {
      this.#jobs.delete(key)
      this.#jobs.set(key, { id, segment })
    }
    this.#note()
  }

  #write(bytes: Uint8Array, count: number): void {
    this.#writer.append([bytes], bytes.length, count, this.#nextSeq)
    this.#writer.sync()
    this.#nextSeq += count
  }

  #note(): void {
    this.history.push([...this.#jobs.keys()].sort().join())
  }

  #open(end: ConstructorParameters<typeof JournalWriter>[1]): JournalWriter {
    const options = { system: this.#system, folder: DIR, segmentBytes: SEGMENT_BYTES, clock: () => this.#now++ }
    return new JournalWriter(options, end)
  }

  /** Where the newest segment ends. */
  #end(manifest: Manifest): ConstructorParameters<typeof JournalWriter>[1] {
    const files = this.#segments().filter(({ segment }) => segment >= manifest.firstSegment)
    const file = files.at(-1)
    if (file === undefined) {
      return {
        manifest,
        older: [],
        segment: 0,
        segmentFirstSeq: 0,
        offset: 0,
        headCrc: 0,
        nextSeq: this.#nextSeq,
        sealed: false,
      }
    }
    const bytes = this.#system.bytes(`${DIR}/${file.name}`)
    const start = {
      seed: segmentSeed(this.#uuid, file.segment),
      headCrc: bytes.readUInt32LE(48),
      nextSeq: file.firstSeq,
    }
    let flags = 0
    const { offset, headCrc } = scanSegment(bytes, start, (_from, _to, header) => {
      flags = header.flags
    })
    const sealed = (flags & BatchFlag.SEAL) !== 0
    return {
      manifest,
      older: files.slice(0, -1),
      segment: file.segment,
      segmentFirstSeq: file.firstSeq,
      offset,
      headCrc,
      nextSeq: this.#nextSeq,
      sealed,
    }
  }

  #segments() {
    return segmentFiles(this.#system.list(DIR) ?? [])
  }
}

/** As compaction writes it, and as good as an ENQ record for the tools. */
function fullJob(key: string, now: number) {
  const job = newJob(key, { payload: Buffer.alloc(60, key) })
  return { ...job, enqueuedAt: now, attempts: 0, state: 0, suspect: false, failure: undefined }
}
