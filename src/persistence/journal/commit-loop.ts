/**
 * Group commit: take everything that is published, write it, sync it, report it; meanwhile the next batch
 * forms. Runs in the journal thread, or in the main thread over a file system that a test brings.
 *
 * While the disk is full only what lets jobs run and end is written, from the reserve.
 */
import type { Control } from './chunk.js'
import { endings, type Part, type RecordFeed } from './record-feed.js'
import type { Reserve } from './reserve.js'
import { type JournalWriter, Refused } from './writer.js'

/**
 * What the main thread hears, in order: `-n` all records up to n are written; that they are durable; that they, or
 * some of them, were refused, after which the work goes on; that the disk is full or has room again; or the end.
 */
export type Report = number | StoredReport | RefusedReport | DiskReport | FailedReport | 'closed'

export interface StoredReport {
  /** All records up to this one are durable, but for those that were refused before and new jobs that are refused now. */
  readonly stored: number
  readonly segment: number
  readonly segmentFirstSeq: number
  /** Of the first record of the batch. */
  readonly offset: number
  /** Where the segment ends now. */
  readonly end: number
  readonly parts: readonly Part[]
  /** How many bytes of records were taken, stored or not. */
  readonly bytes: number
  /** Why the new jobs among the records were not stored. */
  readonly refused?: string
}

interface RefusedReport {
  readonly refused: string
  /** All records up to this one that were not reported durable were not stored. */
  readonly upTo: number
  readonly bytes: number
}

interface DiskReport {
  readonly full: boolean
}

interface FailedReport {
  /** The disk failed: nothing after the last durable record is certain, and nothing more is written. */
  readonly failed: string
}

export interface CommitLoopParts {
  readonly feed: RecordFeed
  readonly writer: JournalWriter
  readonly control: Control
  readonly reserve: Reserve
  readonly nextSeq: number
}

export class CommitLoop {
  readonly #feed: RecordFeed
  readonly #writer: JournalWriter
  readonly #control: Control
  readonly #reserve: Reserve
  readonly #report: (report: Report) => void
  #nextSeq: number
  #unproven = false
  #full = false

  constructor(parts: CommitLoopParts, report: (report: Report) => void) {
    this.#feed = parts.feed
    this.#writer = parts.writer
    this.#control = parts.control
    this.#reserve = parts.reserve
    this.#nextSeq = parts.nextSeq
    this.#report = report
    this.#setFull(!this.#reserve.ensure())
  }

  /** Is the last batch one that a reader could take for a torn write, if it were damaged? */
  get unproven(): boolean {
    return this.#unproven
  }

  /** Writes one batch, or deletes one segment, if there is anything to do. */
  step(): boolean {
    const dropped = this.#writer.dropBefore(this.#control.firstNeeded)
    const batch = this.#feed.take()
    if (batch === undefined) return dropped
    const wanted = this.#control.takeWantWritten()
    const { parts, bytes, count } = batch
    const lastSeq = this.#nextSeq + count - 1
    const whole = { parts, bytes, count, ranges: [[0, bytes]] as Part[] }
    this.#nextSeq = lastSeq + 1
    if (this.#full && this.#reserve.roomy && this.#reserve.ensure()) this.#setFull(false)
    const problem = this.#full
      ? new Refused(`the disk is full in ${this.#writer.folder}`)
      : this.#tryAppend(whole, lastSeq)
    if (problem === undefined) this.#finish(whole, lastSeq, bytes, wanted)
    else this.#appendEndings(whole, problem, lastSeq, wanted)
    return true
  }

  /** After a time without work: see `JournalWriter.idle`. */
  idle(): void {
    this.#unproven = false
    try {
      this.#writer.idle()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      // A full disk: the proof waits for the next batch, which is as good.
    }
  }

  close(): void {
    while (this.#writer.dropBefore(this.#control.firstNeeded));
    this.#writer.close()
    this.#report('closed')
  }

  /** Of a batch that has no room, the records that are no new jobs; in the room of the reserve, if need be. */
  #appendEndings(whole: Ranges, why: Refused, lastSeq: number, wanted: boolean): void {
    const rest = endings(whole.parts)
    let problem: Refused | undefined = why
    if (why.full) this.#setFull(true)
    if (rest.count > 0 && (this.#full || rest.bytes < whole.bytes)) problem = this.#tryAppend(rest, lastSeq)
    if (rest.count > 0 && problem?.full && this.#reserve.held) {
      this.#reserve.release()
      problem = this.#tryAppend(rest, lastSeq)
    }
    if (problem === undefined) this.#finish(rest, lastSeq, whole.bytes, wanted, why.message)
    else this.#report({ refused: problem.message, upTo: lastSeq, bytes: whole.bytes })
  }

  /** Why there was no room for it; undefined when it is written. */
  #tryAppend({ parts, bytes, count }: Ranges, lastSeq: number): Refused | undefined {
    try {
      this.#writer.append(parts, bytes, count, lastSeq - count + 1)
      return undefined
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return error
    }
  }

  #finish({ ranges }: Ranges, stored: number, taken: number, wanted: boolean, refused?: string): void {
    if (wanted) this.#report(-stored)
    this.#writer.sync()
    const { segment, segmentFirstSeq, end } = this.#writer
    const offset = this.#writer.bodyOffset
    const report = { stored, segment, segmentFirstSeq, offset, end, parts: ranges, bytes: taken }
    this.#report(refused === undefined ? report : { ...report, refused })
    this.#unproven = true
  }

  #setFull(full: boolean): void {
    if (full === this.#full) return
    this.#full = full
    this.#report({ full })
  }
}

/** Records for one batch, and where in the batch that was taken they stood. */
interface Ranges {
  readonly parts: readonly Uint8Array[]
  readonly bytes: number
  readonly count: number
  readonly ranges: readonly Part[]
}
