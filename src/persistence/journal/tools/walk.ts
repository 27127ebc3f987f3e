/**
 * Goes through a journal, batch by batch and record by record, and checks everything that the opening of a journal
 * checks. It goes on behind damage, so that it is known how much there is.
 */
import type { JournalFs } from '../file-system.js'
import { segmentSeed } from '../format.js'
import { RecordType } from '../record-types.js'
import { type Finding, type FindingKind, finding } from './finding.js'
import type { BatchPiece } from './pieces.js'
import { SegmentReader } from './read-segment.js'
import { crcHolds, type RecordBody, type RecordHead, readBody, readHead } from './record.js'
import { type Chain, checkSegment, type Problem, type SegmentCheck } from './segment-check.js'
import { judgeTail } from './tail.js'
import { findUuid } from './uuid.js'
import type { JournalView, OpenSegment } from './view.js'

/** One record and where it stands. */
export interface WalkedRecord {
  readonly segment: OpenSegment
  readonly batch: BatchPiece
  /** Its sequence number; SEAL has none. */
  readonly seq: number | undefined
  readonly head: RecordHead
  readonly body: RecordBody
  /** Nothing that stands before it is damaged. */
  readonly sound: boolean
}

interface WalkOptions {
  readonly system: JournalFs
  /** The process that has the journal, if any; only words depend on it. */
  readonly user: number | undefined
  /** Returns what is impossible about the record, if anything. */
  readonly onRecord: (record: WalkedRecord) => string | undefined
}

export class JournalWalk {
  readonly #view: JournalView
  readonly #options: WalkOptions
  readonly #reader: SegmentReader
  readonly findings: Finding[] = []
  batches = 0
  records = 0
  bytes = 0
  /** When the last batch was written; ms since 1970. */
  lastTime: number | undefined

  constructor(view: JournalView, options: WalkOptions) {
    this.#view = view
    this.#options = options
    this.#reader = new SegmentReader(options.system)
  }

  get damaged(): boolean {
    return this.findings.some(({ severity }) => severity === 'damage')
  }

  run(): void {
    this.#manifests()
    const { segments, manifest } = this.#view
    const uuid = manifest?.uuid ?? findUuid(this.#options.system, segments)
    if (uuid === undefined) return
    let before: { check: SegmentCheck; segment: OpenSegment } | undefined
    for (const [index, segment] of segments.entries()) {
      if (segment.segment === before?.segment.segment) {
        this.#report('twice', segment.path, 0, `segment ${segment.segment} is there twice`)
        continue
      }
      const check = this.#segment(segment, uuid, chainTo(segment, before), index === segments.length - 1)
      before = { check, segment }
    }
  }

  #segment(segment: OpenSegment, uuid: Uint8Array, chain: Chain | undefined, isLast: boolean): SegmentCheck {
    const seed = segmentSeed(uuid, segment.segment)
    const bytes = isLast ? this.#reader.readNewest(segment, seed) : this.#reader.read(segment)
    const before = !this.damaged
    const onBatch = (batch: BatchPiece, sound: boolean) => this.#batch(segment, bytes, batch, seed, before && sound)
    const check = checkSegment(bytes, segment, uuid, chain, onBatch)
    this.bytes += bytes.length
    this.#problems(segment, check.header)
    if (isLast) this.#tail(segment, bytes, seed, check)
    else {
      this.#problems(segment, check.batches)
      if (!check.sealed && check.batches.length === 0) {
        this.#report('batch', segment.path, check.end.offset, 'the segment has no end, but another one follows')
      }
    }
    return check
  }

  #report(kind: FindingKind, file: string, offset: number, what: string): void {
    this.findings.push(finding(kind, file, offset, what))
  }

  #problems({ path }: OpenSegment, problems: readonly Problem[]): void {
    for (const { kind, offset, what } of problems) this.#report(kind, path, offset, what)
  }

  #manifests(): void {
    const { folder, manifest, damagedManifests, segments, missing } = this.#view
    for (const name of manifest === undefined ? [] : damagedManifests) {
      this.#report('slot', `${folder}/${name}`, 0, 'this manifest is not valid')
    }
    if (manifest === undefined) {
      const kind = segments.length > 0 ? 'noManifest' : 'neverUsed'
      this.#report(kind, `${folder}/MANIFEST.a`, 0, 'no valid manifest, neither MANIFEST.a nor MANIFEST.b')
    }
    for (const segment of missing) this.#report('missing', folder, 0, `segment ${segment} is missing`)
  }

  #tail(segment: OpenSegment, bytes: Buffer, seed: number, check: SegmentCheck): void {
    const { damage, torn } = judgeTail(this.#view, segment, bytes, seed, check)
    this.#problems(segment, damage)
    if (torn === undefined) return
    const kind = this.#options.user === undefined ? 'torn' : 'writing'
    this.#report(kind, segment.path, torn.offset, `the last batch is not whole: ${torn.what}`)
  }

  /** The batch's CRC holds, so that a record that makes no sense was written like that. */
  #batch(segment: OpenSegment, bytes: Buffer, batch: BatchPiece, seed: number, sound: boolean): void {
    this.batches++
    this.lastTime = batch.header.wallMs
    let seq = batch.header.firstSeq
    for (let at = batch.bodyAt; at < batch.bodyEnd; ) {
      const head = readHead(bytes, at, batch.bodyEnd)
      if (head === undefined) {
        this.#report('record', segment.path, at, 'a record has an impossible length')
        return
      }
      this.records++
      const body = readBody(bytes, head)
      const numbered = head.type !== RecordType.SEAL
      const problem =
        recordProblem(bytes, head, body, seed) ??
        (body && this.#options.onRecord({ segment, batch, seq: numbered ? seq : undefined, head, body, sound }))
      if (problem !== undefined) this.#report('record', segment.path, at, problem)
      if (numbered) seq++
      at = head.end
    }
  }
}

function recordProblem(bytes: Buffer, head: RecordHead, body: RecordBody | undefined, seed: number) {
  if (!crcHolds(bytes, head, seed)) return 'the CRC of a record does not hold'
  if (body === undefined) return 'the parts of a record are longer than the record'
  if (body.type !== 'unknown' || body.ignorable) return undefined
  return `a record of type ${head.type}, version ${head.version}, was written by a newer offstage`
}

function chainTo(segment: OpenSegment, before: { check: SegmentCheck; segment: OpenSegment } | undefined) {
  if (before === undefined) return undefined
  const { chain } = before.check
  return before.segment.segment === segment.segment - 1 ? chain : { ...chain, headCrc: undefined, exact: false }
}
