/** What a schedule sends, in bytes. */
import { encodeValue } from '../../wire/codec.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '../../wire/envelope.js'
import type { Schedule } from './plan.js'

/** The argument in CBOR. Throws an `OffstageError` that names what in `data` cannot be sent. */
export function argumentOf({ data, name }: Pick<Schedule, 'data' | 'name'>): Uint8Array {
  return data === undefined ? new Uint8Array(0) : encodeValue(data, `the data of ${name}`)
}

/** The body of a CALL, which the actor owns. */
export function callOf(schedule: Schedule, workerKey: string): Buffer {
  const argument = argumentOf(schedule)
  const e = envelope(Verb.CALL, schedule.worker, workerKey, schedule.method)
  const body = Buffer.alloc(envelopeBound(e) + argument.length)
  const at = writeEnvelope(body, 0, e)
  body.set(argument, at)
  return body.subarray(0, at + argument.length)
}
