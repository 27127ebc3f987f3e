/** Writes salvaged jobs into a new journal, each as one FULL record with the id that it had. */
import { beginJournal } from '../begin.js'
import type { JournalFs } from '../file-system.js'
import { BATCH_TARGET_BYTES } from '../format.js'
import { FullState } from '../record-types.js'
import { type FullJob, fullBytes, writeFull } from '../record-write.js'
import { JournalWriter } from '../writer.js'
import type { JobSource } from './job-source.js'
import type { RecordedJob } from './record.js'
import type { SalvagedJob } from './salvage-jobs.js'

const SEGMENT_BYTES = 64 * 1024 * 1024

export interface SalvageTarget {
  readonly system: JournalFs
  readonly folder: string
  readonly clock: () => number
  /** For the new store's first record; higher than every number and id of the old one. */
  readonly nextSeq: number
}

/** Durable when it returns. */
export function writeSalvaged(
  { system, folder, clock, nextSeq }: SalvageTarget,
  jobs: readonly SalvagedJob[],
  source: JobSource,
): void {
  const end = beginJournal(system, folder, nextSeq)
  const writer = new JournalWriter({ system, folder, segmentBytes: SEGMENT_BYTES, clock }, end)
  const batch = new Batch(writer, nextSeq)
  for (const job of jobs) batch.add(fullJob(job, source.read(job), clock()), job.id)
  batch.write()
  writer.close()
}

class Batch {
  readonly #writer: JournalWriter
  #bytes = new Uint8Array(2 * BATCH_TARGET_BYTES)
  #used = 0
  #count = 0
  #nextSeq: number

  constructor(writer: JournalWriter, nextSeq: number) {
    this.#writer = writer
    this.#nextSeq = nextSeq
  }

  add(job: FullJob, id: number): void {
    const most = fullBytes(job)
    if (this.#used + most > this.#bytes.length) {
      this.write()
      if (most > this.#bytes.length) this.#bytes = new Uint8Array(most)
    }
    this.#used = writeFull(this.#bytes, new DataView(this.#bytes.buffer), this.#used, job, id)
    this.#count++
    if (this.#used >= BATCH_TARGET_BYTES) this.write()
  }

  write(): void {
    if (this.#count === 0) return
    this.#writer.append([this.#bytes.subarray(0, this.#used)], this.#used, this.#count, this.#nextSeq)
    this.#writer.sync()
    this.#nextSeq += this.#count
    this.#used = 0
    this.#count = 0
  }
}

/** A job of which nobody saw when it died is kept for as long as if that was now. */
function fullJob(salvaged: SalvagedJob, job: RecordedJob, now: number): FullJob {
  const { attempts, state, suspect, failure, diedUnseen } = salvaged
  const runAt = diedUnseen ? now : salvaged.runAt
  return { ...job, runAt, attempts, state: FullState[state], suspect, failure }
}
