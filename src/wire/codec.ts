/**
 * The codec for arguments, results and cached values: JavaScript values as CBOR (RFC 8949).
 *
 * | JavaScript                           | CBOR                                                        |
 * |--------------------------------------|-------------------------------------------------------------|
 * | undefined, null, true, false         | f7, f6, f5, f4                                              |
 * | whole number within ±(2^53 − 1)      | integer, in the shortest head                               |
 * | any other number                     | float64; NaN, ±Infinity and −0 as float16                   |
 * | bigint                               | tag 2 or 3 over at most 1 KiB                               |
 * | string                               | text, valid UTF-8                                           |
 * | array                                | array (holes become undefined)                              |
 * | plain object, null-prototype object  | map with text keys; comes back as a plain object            |
 * | Date                                 | tag 1 over seconds since 1970; NaN for an invalid date      |
 * | Map, Set                             | tag 259 over a map, tag 258 over an array                   |
 * | Buffer                               | byte string                                                 |
 * | typed array                          | RFC 8746, little-endian: tags 64, 68 to 72, 77 to 79, 85, 86 |
 * | ArrayBuffer                          | tag 27 over ["ArrayBuffer", bytes]                          |
 * | Error                                | tag 27 over ["Error", {name, message, code?, stack?, cause?}] |
 *
 * A Map's keys are texts, numbers, bigints, booleans, null and undefined. Nothing else can be sent.
 */
import { addExtension, Decoder } from 'cbor-x'
import { ProtocolError } from '../errors.js'
import { copyBytes } from './frame.js'
import { validate } from './validate.js'

export { encodeValue } from './codec-encode.js'

const options = { useRecords: false, mapsAsObjects: true, copyBuffers: true, int64AsNumber: true }
const decoder = new Decoder(options)

/** `decode(source, end)`: its second parameter is missing in the types of cbor-x. */
const decodeUpTo = decoder.decode as (this: Decoder, source: Uint8Array, end: number) => unknown

/**
 * Small values are read from here: cbor-x puts a DataView on whatever it reads from, which costs more than the copy
 * and has no business on a caller's bytes. It is a Buffer so that byte strings become Buffers.
 */
const SCRATCH_BYTES = 4096
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** Extensions of cbor-x hold for the whole process: ours must not change what the program's own use of it gives. */
let ours = false

/**
 * Checks the bytes by the strict profile, then builds the value; nothing in it aliases `bytes`.
 * Throws `ProtocolError` for anything that is not exactly one allowed item.
 */
export function decodeValue(bytes: Uint8Array, start = 0, end: number = bytes.length): unknown {
  const next = validate(bytes, start, end)
  if (next !== end) throw new ProtocolError(`${end - next} bytes are left over after a CBOR value`)
  const length = end - start
  ours = true
  try {
    if (length > SCRATCH_BYTES) {
      return decoder.decode(Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, length))
    }
    copyBytes(bytes, start, end, scratch, 0)
    return decodeUpTo.call(decoder, scratch, length)
  } catch (error) {
    throw new ProtocolError('a CBOR value that passed the check could not be built', { cause: error })
  } finally {
    ours = false
  }
}

addExtension<unknown, unknown[]>({
  tag: 27,
  Class: class NeverEncoded {} as new () => unknown,
  encode: () => new Uint8Array(),
  decode: (item) => (ours ? revive(item[0], item[1]) : genericObject(item)),
})

function revive(name: unknown, content: unknown): unknown {
  if (name === 'ArrayBuffer') return (content as Uint8Array).buffer
  const facts = content as Record<string, unknown>
  const error = new Error(typeof facts.message === 'string' ? facts.message : '')
  hide(error, 'name', typeof facts.name === 'string' ? facts.name : 'Error')
  hide(error, 'stack', typeof facts.stack === 'string' ? facts.stack : `${error.name}: ${error.message}`)
  if ('cause' in facts) hide(error, 'cause', facts.cause)
  const code = facts.code
  if (typeof code === 'string' || typeof code === 'number') Object.assign(error, { code })
  return error
}

/** As errors have them: there, but not listed. */
function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, configurable: true, enumerable: false })
}

/** What cbor-x does with tag 27 by itself. */
function genericObject(item: unknown[]): unknown {
  const make = item[0] === 'RegExp' ? RegExp : Error
  return make(item[1] as string, item[2] as string)
}
