/**
 * Group commit: take everything that is published, write it, sync it, report it; meanwhile the next batch
 * forms. Runs in the journal thread, or in the main thread over a file system that a test brings.
 */
import type { Control } from './chunk.js'
import type { RecordFeed } from './record-feed.js'
import { type JournalWriter, Refused } from './writer.js'

/**
 * What the main thread hears, in order: `n` all records up to n are durable; `-n` they are written;
 * or a refusal, after which the work goes on; or the end.
 */
export type Report = number | RefusedReport | FailedReport | 'closed'

interface RefusedReport {
  readonly refused: string
  /** All records up to this one that were not reported durable were not stored. */
  readonly upTo: number
}

interface FailedReport {
  /** The disk failed: nothing after the last durable record is certain, and nothing more is written. */
  readonly failed: string
}

export class CommitLoop {
  readonly #feed: RecordFeed
  readonly #writer: JournalWriter
  readonly #control: Control
  readonly #report: (report: Report) => void
  #nextSeq: number
  #unproven = false

  constructor(
    parts: { feed: RecordFeed; writer: JournalWriter; control: Control; nextSeq: number },
    report: (report: Report) => void,
  ) {
    this.#feed = parts.feed
    this.#writer = parts.writer
    this.#control = parts.control
    this.#nextSeq = parts.nextSeq
    this.#report = report
  }

  /** Is the last batch one that a reader could take for a torn write, if it were damaged? */
  get unproven(): boolean {
    return this.#unproven
  }

  /** Writes one batch, if there is anything to write. */
  step(): boolean {
    const batch = this.#feed.take()
    if (batch === undefined) return false
    const wanted = this.#control.takeWantWritten()
    const firstSeq = this.#nextSeq
    const lastSeq = firstSeq + batch.count - 1
    this.#nextSeq = lastSeq + 1
    try {
      this.#writer.append(batch.parts, batch.bytes, batch.count, firstSeq)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#report({ refused: error.message, upTo: lastSeq })
      return true
    }
    if (wanted) this.#report(-lastSeq)
    this.#writer.sync()
    this.#report(lastSeq)
    this.#unproven = true
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
    this.#writer.close()
    this.#report('closed')
  }
}
