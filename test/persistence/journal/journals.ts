/** Journals for tests: over files in memory, with a clock that moves with every look at it. */
import type { OffstageError } from '#offstage/errors.js'
import { type JournalOptions, openJournal } from '#offstage/persistence/journal/open.js'
import type { JobInfo, JobStore, NewJob } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import { FakeFs, systemError } from './fake-fs.js'

export const DIR = '/journal'
export const QUEUE = { worker: 'mailer', workerKey: '' }
export const FAILURE = { name: 'Error', message: 'it broke', stack: 'Error: it broke\n    at here' }

let now = 1_750_000_000_000

export function openFake(system: FakeFs, options: Partial<JournalOptions> = {}): Promise<JobStore> {
  return openJournal({ dir: DIR, clock: () => now++, random: () => 0.5, reserveBytes: 0, ...options, system })
}

export async function add(store: JobStore, ...keys: string[]): Promise<void> {
  for (const key of keys) await store.enqueue([newJob(key)])
}

export async function allJobs(store: JobStore): Promise<JobInfo[]> {
  return store.inspect({ limit: 1_000_000 })
}

export async function keys(store: JobStore): Promise<string[]> {
  return (await allJobs(store)).map((job) => job.jobKey)
}

/** A journal over small segments with one batch per job, as a killed process leaves it. */
export async function killedJournal(jobs: readonly NewJob[], segmentBytes = 64 * 1024 * 1024): Promise<FakeFs> {
  const system = new FakeFs()
  const store = await openFake(system, { segmentBytes })
  for (const job of jobs) await store.enqueue([job])
  return system.copy()
}

/** Where the batches of a segment begin. */
export function batchOffsets(bytes: Buffer): number[] {
  const offsets: number[] = []
  for (let at = 64; at + 48 <= bytes.length && bytes.readUInt32LE(at) !== 0; ) {
    offsets.push(at)
    at += 48 + ((bytes.readUInt32LE(at + 4) + 7) & ~7)
  }
  return offsets
}

/** For property tests, where an assertion per run would be too many. */
export function equal(found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found, sorted), JSON.stringify(expected, sorted)]
  if (a !== b) throw new Error(`found ${a}\nexpected ${b}`)
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Every call of this kind to such a path fails from now on. */
export function failing(system: FakeFs, call: string, code: string, path = '.seg'): void {
  system.before = (now, at) => {
    if (now === call && at.includes(path)) throw systemError(code, at)
  }
}

/** The error, or nothing of one. */
export function outcome(promise: Promise<unknown>): Promise<Partial<OffstageError>> {
  return promise.then(
    () => ({}),
    (error: OffstageError) => error,
  )
}
