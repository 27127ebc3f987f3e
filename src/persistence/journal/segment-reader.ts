/** Reads pieces of segment files, and keeps the files open as long as they are read now and then. */
import { errorCode, type JournalFs } from './file-system.js'
import { segmentSeed } from './format.js'
import { segmentName } from './segment.js'
import type { SegmentTable } from './segment-table.js'

const MOST_OPEN = 64

interface Opened {
  readonly file: number
  /** Of the CRCs in it. */
  readonly seed: number
}

export class SegmentReader {
  readonly #system: JournalFs
  readonly #folder: string
  readonly #uuid: Uint8Array
  readonly #segments: SegmentTable
  /** The one used least recently comes first. */
  readonly #opened = new Map<number, Opened>()
  #last: { segment: number; opened: Opened } | undefined

  constructor(system: JournalFs, folder: string, uuid: Uint8Array, segments: SegmentTable) {
    this.#system = system
    this.#folder = folder
    this.#uuid = uuid
    this.#segments = segments
  }

  path(segment: number): string {
    return `${this.#folder}/${segmentName(segment, this.#segments.get(segment)?.firstSeq ?? 0)}`
  }

  seed(segment: number): number {
    return this.#open(segment).seed
  }

  /** Fills `target` from `offset` on, as far as the file goes; returns how many bytes that were. */
  read(segment: number, offset: number, target: Uint8Array): number {
    const { file } = this.#open(segment)
    let at = 0
    while (at < target.length) {
      const read = this.#system.read(file, at === 0 ? target : target.subarray(at), offset + at)
      if (read === 0) break
      at += read
    }
    return at
  }

  /** Also right when the file was replaced: the next read opens it anew. */
  close(segment: number): void {
    const opened = this.#opened.get(segment)
    if (opened === undefined) return
    this.#opened.delete(segment)
    if (this.#last?.segment === segment) this.#last = undefined
    this.#system.close(opened.file)
  }

  closeAll(): void {
    for (const segment of [...this.#opened.keys()]) this.close(segment)
  }

  #open(segment: number): Opened {
    if (this.#last?.segment === segment) return this.#last.opened
    let opened = this.#opened.get(segment)
    if (opened === undefined) {
      opened = { file: this.#openFile(segment), seed: segmentSeed(this.#uuid, segment) }
      if (this.#opened.size >= MOST_OPEN) this.close(this.#opened.keys().next().value!)
    } else this.#opened.delete(segment)
    this.#opened.set(segment, opened)
    this.#last = { segment, opened }
    return opened
  }

  #openFile(segment: number): number {
    try {
      return this.#system.open(this.path(segment), 'read')
    } catch (error) {
      // No descriptor is free: give back those that we hold for convenience only.
      if (errorCode(error) !== 'EMFILE' || this.#opened.size === 0) throw error
      this.closeAll()
      return this.#system.open(this.path(segment), 'read')
    }
  }
}
