/** Values that the codec sends, for property tests. */
import fc from 'fast-check'

const text = fc
  .oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 300 }))
  .filter((s) => s.isWellFormed())
/** Beyond about the year 140,000 a date's seconds lose their thousandths in a float64. */
const date = fc.date({ min: new Date(-4e15), max: new Date(4e15), noInvalidDate: false })
const key = text.filter((name) => name !== '__proto__')
const primitive = fc.oneof(
  fc.constantFrom(undefined, null, true, false),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.bigInt(),
  text,
)
const bytes = fc.oneof(
  fc.uint8Array(),
  fc.uint8Array({ maxLength: 6000 }).map((array) => Buffer.from(array)),
  fc.uint8ClampedArray(),
  fc.int8Array(),
  fc.uint16Array(),
  fc.int16Array(),
  fc.uint32Array(),
  fc.int32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
  fc.uint8Array().map((array) => array.slice().buffer),
)

export const sendable: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    primitive,
    date,
    bytes,
    fc.array(tie('value'), { maxLength: 8 }),
    fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    fc.array(fc.tuple(primitive, tie('value')), { maxLength: 15 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 8 }).map((items) => new Set(items)),
  ),
})).value
