/** What a schedule sends, in bytes. */
import { envelope, envelopeBound, Verb, writeEnvelope } from '../../wire/envelope.js'
import type { Schedule } from './plan.js'

/** The body of a CALL, which the actor owns. */
export function callOf({ worker, method, argument }: Schedule, workerKey: string): Buffer {
  const e = envelope(Verb.CALL, worker, workerKey, method)
  const body = Buffer.alloc(envelopeBound(e) + argument.length)
  const at = writeEnvelope(body, 0, e)
  body.set(argument, at)
  return body.subarray(0, at + argument.length)
}
