/** Reads what a failing disk still gives. */
import { errorCode, type JournalFs } from '../file-system.js'
import type { OpenSegment } from './view.js'

const CHUNK = 1024 * 1024
/** Disks fail by sectors of at most this size, and the page cache reads no less. */
const SECTOR = 4096

export interface Span {
  readonly start: number
  readonly end: number
}

export interface Readable {
  /** The whole file; zeros where it cannot be read. */
  readonly bytes: Buffer
  readonly unreadable: readonly Span[]
}

/** `most`: no more bytes than this are wanted. */
export function readReadable(system: JournalFs, { file }: OpenSegment, most = Number.POSITIVE_INFINITY): Readable {
  const bytes = Buffer.alloc(Math.min(system.size(file), most))
  const unreadable: Span[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + CHUNK, bytes.length)
    const read = tryRead(system, file, bytes.subarray(at, end), at)
    if (read === 0) break
    if (read > 0) at += read
    else {
      for (; at < end; at += SECTOR) {
        const last = Math.min(at + SECTOR, end)
        if (tryRead(system, file, bytes.subarray(at, last), at) < 0) addSpan(unreadable, at, last)
      }
      at = end
    }
  }
  return { bytes, unreadable }
}

/** -1 when the disk cannot read there. */
function tryRead(system: JournalFs, file: number, target: Buffer, position: number): number {
  try {
    return system.read(file, target, position)
  } catch (error) {
    if (errorCode(error) !== 'EIO') throw error
    target.fill(0)
    return -1
  }
}

function addSpan(spans: Span[], start: number, end: number): void {
  const last = spans.at(-1)
  if (last?.end === start) spans[spans.length - 1] = { start: last.start, end }
  else spans.push({ start, end })
}
