/** The end of a journal: closed, cut short by a crash, or damaged. The same rules as those of opening. */
import type { Manifest } from '../manifest.js'
import { notTorn } from '../scan.js'
import type { SegmentFile } from '../segment.js'
import type { Problem, SegmentCheck } from './segment-check.js'
import type { JournalView } from './view.js'

interface TailVerdict {
  readonly damage: readonly Problem[]
  /** The last batch was cut short, by a crash or because it is being written. */
  readonly torn: Problem | undefined
}

const WHOLE: TailVerdict = { damage: [], torn: undefined }

/** `segment` is the newest one of the view, `check` what was found in its `bytes`. */
export function judgeTail(
  { manifest, damagedManifests }: JournalView,
  segment: SegmentFile,
  bytes: Buffer,
  seed: number,
  check: SegmentCheck,
): TailVerdict {
  const { batches, sealed } = check
  const [problem] = batches
  const end = manifest === undefined ? undefined : closedEnd(segment, bytes, check, manifest)
  if (end === 'as closed') return WHOLE
  // A newer manifest may be lost, so that this one's word is not the last.
  const isOld = damagedManifests.length > 0
  if (end !== undefined && (end.certain || !isOld)) {
    const { offset, what, certain } = end
    if (certain && problem?.offset === offset) return { ...WHOLE, damage: batches }
    const others = batches.filter((other) => other.offset !== offset)
    return { ...WHOLE, damage: [{ kind: 'end', offset, what }, ...others] }
  }
  if (problem === undefined) return WHOLE
  const isDamage = sealed || notTorn(bytes, problem.offset, seed) !== undefined
  return isDamage ? { ...WHOLE, damage: batches } : { ...WHOLE, torn: problem }
}

interface WrongEnd {
  readonly offset: number
  readonly what: string
  /** Wrong even if a newer manifest was lost. */
  readonly certain: boolean
}

/** Undefined when the journal was not closed cleanly. */
function closedEnd(
  { segment }: SegmentFile,
  bytes: Buffer,
  { end }: SegmentCheck,
  { clean, lastSegment, endOffset, endHeadCrc }: Manifest,
): WrongEnd | 'as closed' | undefined {
  if (!clean) return undefined
  if (segment > lastSegment) return { offset: 0, what: 'the journal was closed before this segment', certain: false }
  if (end.offset < endOffset) {
    const what = `the journal was closed at offset ${endOffset}, and the rest is missing`
    return { offset: end.offset, what, certain: true }
  }
  if (end.offset === endOffset && end.headCrc === endHeadCrc && bytes.length === endOffset) return 'as closed'
  return { offset: endOffset, what: 'bytes follow the place where the journal was closed', certain: false }
}
