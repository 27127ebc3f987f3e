/** The answers to enqueues, those to ENQUEUE and ENQUEUE_MANY written as CBOR without an object in between: they are the hot ones. */
import { OffstageError } from '../errors.js'
import type { Enqueued } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import { encodeFailure } from '../wire/failure.js'
import { writeHead } from '../wire/heads.js'

const ID = Buffer.from('\xa2\x62id', 'latin1')
const CREATED = Buffer.from('\x67created', 'latin1')
const REPLACED = Buffer.from('\x68replaced\xf5', 'latin1')
const TRUE = 0xf5
const FALSE = 0xf4
const LONGEST_HEAD = 9

/** No answer to an ENQUEUE is longer. */
export const ENQUEUED_BYTES = ID.length + LONGEST_HEAD + CREATED.length + 1 + REPLACED.length

/** `{id, created}`, and `replaced` where it is so; returns the offset after it. */
export function writeEnqueued(to: Buffer, at: number, { id, created, replaced }: Enqueued): number {
  let end = writeHead(to, at + ID.copy(to, at), 0, id)
  end += CREATED.copy(to, end)
  to[end++] = created ? TRUE : FALSE
  if (replaced !== true) return end
  to[at]! += 1
  return end + REPLACED.copy(to, end)
}

/** `[[id, created], …]`; a job that replaced one has a third item, true. */
export function encodeEnqueuedMany(jobs: readonly Enqueued[]): Buffer {
  const to = Buffer.allocUnsafe(LONGEST_HEAD + jobs.length * (3 + LONGEST_HEAD))
  let end = writeHead(to, 0, 0x80, jobs.length)
  for (const { id, created, replaced } of jobs) {
    to[end] = replaced === true ? 0x83 : 0x82
    end = writeHead(to, end + 1, 0, id)
    to[end++] = created ? TRUE : FALSE
    if (replaced === true) to[end++] = TRUE
  }
  return to.subarray(0, end)
}

/** For each job an item as above, or the body of the ERROR that it would have alone, as a byte string. */
export function encodeEnqueuedEach(jobs: readonly (Enqueued | OffstageError)[]): Uint8Array {
  return encodeValue(
    jobs.map((job) => {
      if (job instanceof OffstageError) return Buffer.from(encodeFailure(job))
      const { id, created, replaced } = job
      return replaced === true ? [id, created, replaced] : [id, created]
    }),
  )
}
