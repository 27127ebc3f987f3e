/** The names of segment files. */

/** `<segment, 16 hex digits>-<first sequence number, 16 hex digits>.seg` */
export function segmentName(segment: number, firstSeq: number): string {
  return `${hex(segment)}-${hex(firstSeq)}.seg`
}

export interface SegmentFile {
  readonly name: string
  readonly segment: number
  readonly firstSeq: number
}

export function segmentFile(segment: number, firstSeq: number): SegmentFile {
  return { name: segmentName(segment, firstSeq), segment, firstSeq }
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.seg$/

/** The segment files among the names of a folder, in their order. */
export function segmentFiles(names: readonly string[]): SegmentFile[] {
  const files: SegmentFile[] = []
  for (const name of names) {
    const match = NAME.exec(name)
    if (match === null) continue
    files.push({ name, segment: Number.parseInt(match[1]!, 16), firstSeq: Number.parseInt(match[2]!, 16) })
  }
  return files.sort((a, b) => a.segment - b.segment || a.firstSeq - b.firstSeq)
}

function hex(value: number): string {
  return value.toString(16).padStart(16, '0')
}
