/** Reads the segments of a view; the newest may be written to meanwhile. */
import { StoreError } from '../../../errors.js'
import type { JournalFs } from '../file-system.js'
import { SEGMENT_HEADER_BYTES } from '../format.js'
import { notTorn } from '../scan.js'
import { ExitCode } from './exit-code.js'
import { pieces } from './pieces.js'
import type { OpenSegment } from './view.js'

/** Reads one segment after the other into the same memory: what it returned is valid until the next call. */
export class SegmentReader {
  readonly #system: JournalFs
  #buffer = Buffer.alloc(0)

  constructor(system: JournalFs) {
    this.#system = system
  }

  read(segment: OpenSegment): Buffer {
    const size = this.#system.size(segment.file)
    if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafeSlow(size)
    const bytes = this.#buffer.subarray(0, size)
    return bytes.subarray(0, this.#fill(segment, bytes, 0))
  }

  /**
   * The newest segment, up to where it ends now. While the read goes on, a batch can be written half before and half
   * behind the place that was just read: then it looks damaged, with other bytes behind it. But a batch is only written
   * after the sync of the one before, so what stands before those other bytes is in the file by now. It is read once
   * more, and if it looks the same it is damaged.
   */
  readNewest(segment: OpenSegment, seed: number): Buffer {
    let bytes = this.read(segment)
    let looked = -1
    for (;;) {
      const broken = brokenPlace(bytes, Math.max(looked, SEGMENT_HEADER_BYTES), seed)
      if (broken === undefined || broken === looked || notTorn(bytes, broken, seed) === undefined) return bytes
      looked = broken
      bytes = bytes.subarray(0, broken + this.#fill(segment, bytes.subarray(broken), broken))
    }
  }

  #fill(segment: OpenSegment, target: Buffer, position: number): number {
    let done = 0
    while (done < target.length) {
      const read = readAt(this.#system, segment, target.subarray(done), position + done)
      if (read === 0) break
      done += read
    }
    return done
  }
}

/** Returns how many bytes were read; an error names the place and says what to do. */
export function readAt(system: JournalFs, { file, path }: OpenSegment, target: Uint8Array, position: number): number {
  try {
    return system.read(file, target, position)
  } catch (error) {
    throw unreadable(path, position, error)
  }
}

function brokenPlace(bytes: Buffer, from: number, seed: number): number | undefined {
  for (const piece of pieces(bytes, from, seed)) if (piece.kind === 'hole' || !piece.whole) return piece.at
  return undefined
}

function unreadable(path: string, offset: number, cause: unknown): StoreError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new StoreError(
    'STORE_FAILED',
    `cannot read ${path} at offset ${offset} (${why}): look at the system's log (dmesg) for errors of the disk; \`offstage journal salvage\` reads what can still be read`,
    { exitCode: ExitCode.io, details: { file: path, offset }, cause },
  )
}
