/** Damages journals that are in memory, and says what opening them then comes to. */
import type { Test } from 'tap'
import type { StoreError } from '#offstage/errors.js'
import type { NewJob } from '#offstage/persistence/store.js'
import { newJob } from '../../contract/job-store.js'
import type { FakeFs } from './fake-fs.js'
import { keys, openFake } from './journals.js'

/** A few jobs fill a segment of so many bytes. */
export const SMALL = 2048

export function jobs(count: number, payload?: Uint8Array): NewJob[] {
  return Array.from({ length: count }, (_, i) =>
    newJob(`job ${i}`, { payload: payload ?? Buffer.from(`argument ${i}`) }),
  )
}

export function flip(system: FakeFs, path: string, at: number, mask = 0x10): void {
  system.bytes(path)[at]! ^= mask
}

/** The path of the newest segment. */
export function tail(system: FakeFs): string {
  return system.segments().at(-1)!
}

/** What is in the folder, byte by byte. */
function contents(system: FakeFs): Map<string, string> {
  return new Map([...system.files].map(([path, { bytes }]) => [path, bytes.toString('latin1')]))
}

/** The keys of the jobs that the journal holds, or the error that refuses it. */
export async function opened(system: FakeFs): Promise<string[] | StoreError> {
  try {
    return await keys(await openFake(system, { segmentBytes: SMALL }))
  } catch (error) {
    return error as StoreError
  }
}

/** Opens and expects a refusal that names file and offset, and that changes nothing. */
export async function refused(
  t: Pick<Test, 'equal' | 'match' | 'same'>,
  system: FakeFs,
  expected: { file?: string; offset?: number; message?: RegExp } = {},
): Promise<void> {
  const before = contents(system)
  const error = await openFake(system, { segmentBytes: SMALL }).then(
    () => undefined,
    (error: StoreError) => error,
  )
  t.equal(error?.code, 'JOURNAL_CORRUPT')
  t.equal(error?.exitCode, 65)
  if (expected.file !== undefined) t.equal(error?.details.file, expected.file)
  if (expected.offset !== undefined) t.equal(error?.details.offset, expected.offset)
  if (expected.message !== undefined) t.match(error?.message, expected.message)
  t.same(contents(system), before, 'nothing was changed')
}
