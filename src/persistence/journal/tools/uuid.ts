/** The store's uuid when no manifest has it: every segment's header does, too. */
import type { JournalFs } from '../file-system.js'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../format.js'
import type { OpenSegment } from './view.js'

/** The one that most segments have; undefined when no header is valid. */
export function findUuid(system: JournalFs, segments: readonly OpenSegment[]): Uint8Array | undefined {
  const found = new Map<string, number>()
  for (const { file, segment } of segments) {
    const header = Buffer.alloc(SEGMENT_HEADER_BYTES)
    if (system.read(file, header, 0) < header.length) continue
    const uuid = header.subarray(8, 24)
    if (decodeSegmentHeader(header, uuid, segment) === undefined) continue
    const text = uuid.toString('hex')
    found.set(text, (found.get(text) ?? 0) + 1)
  }
  const [best] = [...found].sort(([, a], [, b]) => b - a)
  return best && Buffer.from(best[0], 'hex')
}
