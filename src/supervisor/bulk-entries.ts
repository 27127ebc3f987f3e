/** Takes the argument of a bulk enqueue apart: docs/PROTOCOL.md has its form. */
import { OffstageError, ProtocolError } from '../errors.js'
import type { Enqueued, NewJob } from '../persistence/store.js'
import { type Envelope, readEnvelope, Verb } from '../wire/envelope.js'
import { readU32 } from '../wire/frame.js'
import { asOffstageError } from './enqueuer.js'

/** An envelope, and where the argument behind it ends. */
export interface BulkEntry {
  readonly e: Envelope
  readonly end: number
}

/** Throws `ProtocolError` where the bytes are none. */
export function* bulkEntries(bytes: Buffer): Generator<BulkEntry> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const end = at + 4 > bytes.length ? Number.POSITIVE_INFINITY : at + 4 + readU32(bytes, at)
    if (end > bytes.length) throw new ProtocolError(`job ${index} of a bulk enqueue ends beyond the frame`)
    const e = readEnvelope(bytes, at + 4, end)
    if (e.verb !== Verb.ENQUEUE) throw new ProtocolError(`job ${index} of a bulk enqueue has verb ${e.verb}`)
    yield { e, end }
    at = end
  }
}

/** Stores the jobs that can be read, in one go; for each what was stored, or why it was not. */
export async function settleEach(
  bytes: Buffer,
  read: (entry: BulkEntry, index: number) => Promise<NewJob>,
  store: (jobs: readonly NewJob[]) => Promise<Enqueued[]>,
): Promise<(Enqueued | OffstageError)[]> {
  // What breaks the rules of the frame fails them all, before any is looked at.
  const entries = [...bulkEntries(bytes)]
  const outcomes = await Promise.all(entries.map((entry, index) => read(entry, index).catch(asOffstageError)))
  const jobs: NewJob[] = []
  for (const outcome of outcomes) if (!(outcome instanceof OffstageError)) jobs.push(outcome)
  const stored = (await store(jobs)).values()
  return outcomes.map((outcome) => (outcome instanceof OffstageError ? outcome : stored.next().value!))
}
