import { types } from 'node:util'
import vm from 'node:vm'
import { Encoder, decode as plainDecode } from 'cbor-x'
import fc from 'fast-check'
import t from 'tap'
import { CannotEncode, ProtocolError } from '#offstage/errors.js'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { validate } from '#offstage/wire/validate.js'
import { sendable } from './arbitraries.js'

const hex = (value: unknown) => Buffer.from(encodeValue(value)).toString('hex')
const roundTrip = (value: unknown) => decodeValue(encodeValue(value))

t.test('what is decoded deep-equals what was encoded', async (t) => {
  fc.assert(
    fc.property(sendable, (value) => {
      const bytes = encodeValue(value)
      t.equal(validate(bytes), bytes.length)
      return deepEqual(decodeValue(bytes), value)
    }),
    { numRuns: 2000 },
  )
})

/** `Object.is` on primitives, prototypes and bytes compared; what `assert.deepStrictEqual` says about dates differs. */
function deepEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Date) return b instanceof Date && Object.is(a.getTime(), b.getTime())
  if (a instanceof ArrayBuffer) return b instanceof ArrayBuffer && Buffer.from(a).equals(Buffer.from(b))
  if (ArrayBuffer.isView(a)) {
    const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    return Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && bytes(a).equals(bytes(b as ArrayBufferView))
  }
  if (a instanceof Map) return b instanceof Map && deepEqual([...a], [...b])
  if (a instanceof Set) return b instanceof Set && deepEqual([...a], [...b])
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const keys = Object.keys(x)
  return (
    keys.length === Object.keys(y).length && keys.every((key) => Object.hasOwn(y, key) && deepEqual(x[key], y[key]))
  )
}

t.test('numbers take the form that the table says', async (t) => {
  const cases: [unknown, string][] = [
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [255, '18ff'],
    [256, '190100'],
    [65_535, '19ffff'],
    [65_536, '1a00010000'],
    [2 ** 32 - 1, '1affffffff'],
    [2 ** 32, '1b0000000100000000'],
    [Number.MAX_SAFE_INTEGER, '1b001fffffffffffff'],
    [-1, '20'],
    [-24, '37'],
    [-25, '3818'],
    [-(2 ** 32), '3affffffff'],
    [-(2 ** 32) - 1, '3b0000000100000000'],
    [Number.MIN_SAFE_INTEGER, '3b001ffffffffffffe'],
    [2 ** 53, 'fb4340000000000000'],
    [1.5, 'fb3ff8000000000000'],
    [-0, 'f98000'],
    [Number.NaN, 'f97e00'],
    [Number.POSITIVE_INFINITY, 'f97c00'],
    [Number.NEGATIVE_INFINITY, 'f9fc00'],
    [0n, 'c240'],
    [5n, 'c24105'],
    [256n, 'c2420100'],
    [-1n, 'c340'],
    [-257n, 'c3420100'],
  ]
  for (const [value, expected] of cases) {
    t.equal(hex(value), expected, String(value))
    t.ok(Object.is(roundTrip(value), value), `${String(value)} comes back as itself`)
  }
})

t.test('text is written as UTF-8 whatever its length, also around the widths of its head', async (t) => {
  for (const unit of ['a', 'é', '€', '😀', '\ufeff', '\0']) {
    for (const length of [
      0, 1, 5, 15, 16, 22, 23, 24, 31, 32, 47, 48, 49, 85, 86, 127, 128, 139, 140, 255, 256, 4095, 4097,
    ]) {
      for (const text of [unit.repeat(length), `x${unit.repeat(length)}`, `${unit.repeat(length)}y`]) {
        if (roundTrip(text) !== text) t.fail(`${JSON.stringify(unit)} × ${length}`)
        if ((roundTrip([text, { [text || 'k']: text }]) as string[])[0] !== text)
          t.fail(`in an array: ${unit} × ${length}`)
      }
    }
  }
  const long = '€'.repeat(30_000)
  t.equal(roundTrip(long), long)
})

t.test('bytes and typed arrays', async (t) => {
  t.equal(hex(Buffer.from([1, 2])), '420102')
  t.equal(hex(new Uint8Array([1, 2])), 'd840420102')
  t.equal(hex(new Uint16Array([0x0102])), 'd845420201', 'little-endian')
  t.equal(hex(new Float64Array([1])), 'd85648000000000000f03f')

  const memory = new ArrayBuffer(64)
  new Uint8Array(memory).forEach((_, i, all) => {
    all[i] = i
  })
  const slice = new Float32Array(memory, 4, 3)
  t.same(roundTrip(slice), slice, 'a view into the middle of a buffer brings its own part')
  for (let pad = 0; pad < 9; pad++) {
    const value = ['x'.repeat(pad), new Float64Array([1.5, -2.5]), new BigUint64Array([7n])]
    t.same(roundTrip(value), value, `elements of 8 bytes at an offset of ${pad} on the wire`)
  }
  for (const empty of [new Int32Array(0), Buffer.alloc(0), new ArrayBuffer(0), new Uint8ClampedArray(0)]) {
    t.same(roundTrip(empty), empty)
  }
  const big = new Float64Array(300_000).map((_, i) => i / 3)
  t.same(roundTrip({ big }), { big }, '2.4 MB')
})

t.test('nothing that is decoded shares memory with the bytes it came from', async (t) => {
  for (const size of [4, 10_000]) {
    const bytes = Buffer.from(encodeValue({ a: Buffer.alloc(size, 1), b: new Uint8Array(size).fill(1), c: 'text' }))
    const value = decodeValue(bytes) as { a: Buffer; b: Uint8Array; c: string }
    bytes.fill(0)
    decodeValue(encodeValue({ a: Buffer.alloc(size), b: new Uint8Array(size), c: 'else' }))
    t.ok(value.a.every((byte) => byte === 1) && value.b.every((byte) => byte === 1))
    t.equal(value.c, 'text')
    t.ok(Buffer.isBuffer(value.a), 'a byte string comes back as a Buffer')
    t.equal(value.b.constructor, Uint8Array)
    t.notOk('dataView' in bytes, 'the input is left as it was')
  }
})

t.test('what was encoded before does not change by what is encoded later', async (t) => {
  const kept = Array.from({ length: 2000 }, (_, i) => ({ i, bytes: encodeValue({ i, text: 'x'.repeat(i % 300) }) }))
  for (const { i, bytes } of kept) t.same(decodeValue(bytes), { i, text: 'x'.repeat(i % 300) }) || t.bailout()
})

t.test('a part of a buffer is decoded by its bounds', async (t) => {
  const bytes = Buffer.concat([Buffer.from('ff', 'hex'), encodeValue([1, 'two']), Buffer.from('ff', 'hex')])
  t.same(decodeValue(bytes, 1, bytes.length - 1), [1, 'two'])
  t.throws(() => decodeValue(bytes, 1), { code: 'PROTOCOL', message: /1 bytes are left over/ })
  t.throws(() => decodeValue(bytes, 1, bytes.length - 2), ProtocolError)
  t.throws(() => decodeValue(bytes, 1, 1), ProtocolError)
})

t.test('dates keep their milliseconds, and an invalid one stays invalid', async (t) => {
  for (const at of [0, 1, -1, 999, 1_700_000_000_123, -62_135_596_800_001, 4_000_000_000_000_123]) {
    t.equal((roundTrip(new Date(at)) as Date).getTime(), at)
  }
  t.ok(Number.isNaN((roundTrip(new Date(Number.NaN)) as Date).getTime()))
})

t.test('errors keep name, message, code, stack and cause', async (t) => {
  const error = Object.assign(new TypeError('outer', { cause: { reason: new RangeError('inner') } }), { code: 'E_X' })
  const back = roundTrip(error) as TypeError & { code: string; cause: { reason: Error } }
  t.ok(types.isNativeError(back))
  t.match(back, { name: 'TypeError', message: 'outer', code: 'E_X', stack: error.stack! })
  t.match(back.cause.reason, { name: 'RangeError', message: 'inner' })
  t.same(Object.keys(back), ['code'], 'only the code is enumerable')
  t.notOk('cause' in (roundTrip(new Error('alone')) as Error))
  t.equal((roundTrip(new Error('half \ud800')) as Error).message, 'half �', 'a message is made valid text')
})

t.test('objects of another realm are what they are there', async (t) => {
  const foreign = vm.runInNewContext(`({ plain: { a: 1 }, list: [1], map: new Map([[1, 2]]), set: new Set([1]),
    date: new Date(5), bytes: new Uint8Array([1, 2]), error: new Error('far') })`)
  const back = roundTrip(foreign) as Record<string, unknown>
  t.same(back.plain, { a: 1 })
  t.same(back.list, [1])
  t.same(back.map, new Map([[1, 2]]))
  t.same(back.set, new Set([1]))
  t.same(back.date, new Date(5))
  t.same(back.bytes, new Uint8Array([1, 2]))
  t.match(back.error, { message: 'far' })
})

t.test('a null-prototype object travels as a plain one, holes as undefined', async (t) => {
  t.same(roundTrip(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
  const holes = roundTrip(new Array(2)) as unknown[]
  t.same(holes, [undefined, undefined])
  t.ok(1 in holes)
})

t.test('what cannot be sent is refused with the path to it', async (t) => {
  class Account {}
  const cycle: { user: { items: unknown[] } } = { user: { items: [1] } }
  cycle.user.items.push({ back: cycle.user })
  const selfMap = new Map<string, unknown>()
  selfMap.set('me', selfMap)
  const deep = (levels: number) => {
    let value: unknown = 1
    for (let i = 0; i < levels; i++) value = [value]
    return value
  }
  t.doesNotThrow(() => encodeValue(deep(64)))

  const cases: [unknown, RegExp][] = [
    [() => 1, /^argument is a function, which cannot be sent$/],
    [Account, /^argument is a class, which/],
    [{ user: { items: [1, 2, 3, { callback() {} }] } }, /^argument\.user\.items\[3\]\.callback is a function/],
    [{ 'two words': Symbol('x') }, /^argument\["two words"\] is a symbol/],
    [[new Account()], /^argument\[0\] is an object of class Account, which has no rule/],
    [new WeakMap(), /^argument is an object of class WeakMap/],
    [Promise.resolve(1), /class Promise/],
    [/x/, /class RegExp/],
    [new DataView(new ArrayBuffer(1)), /class DataView/],
    [new Map([['a', new Map([[1, () => 1]])]]), /^argument\.get\("a"\)\.get\(1\) is a function/],
    [new Map([[{}, 1]]), /has an object as its key in a Map/],
    [new Map([[Symbol('k'), 1]]), /is a symbol/],
    [new Set([1, () => 1]), /^argument\[1\] is a function/],
    [cycle, /^argument\.user\.items\[1\]\.back is argument\.user again/],
    [selfMap, /^argument\.get\("me"\) is argument again/],
    [deep(65), /lies deeper than 64 objects/],
    ['half \ud83d', /^argument is text with half a surrogate pair/],
    [{ '\udc00': 1 }, /is text with half a surrogate pair/],
    [`${'x'.repeat(10_000)}\udc00`, /is text with half a surrogate pair/],
    [JSON.parse('{"a":{"__proto__":1}}'), /^argument\.a\.__proto__ is a key that could change the prototype/],
    [new Array(100_000), /over 100000 items/],
    [{ a: new Array(60_000), b: new Array(60_000) }, /^argument\.b brings the value over 100000 items/],
    [2n ** 9000n, /is a bigint of more than 1024 bytes/],
    [new Error('x', { cause: { deeper: () => 1 } }), /^argument\.cause\.deeper is a function/],
  ]
  for (const [value, message] of cases) {
    t.throws(
      () => encodeValue(value, 'argument'),
      { name: 'CannotEncode', code: 'CANNOT_ENCODE', message },
      String(message),
    )
  }
  t.doesNotThrow(() => encodeValue(new Array(99_999)))
  t.equal((encodeAndCatch({ a: [Symbol('s')] }) as CannotEncode).details.path, 'value.a[0]')
})

function encodeAndCatch(value: unknown): unknown {
  try {
    encodeValue(value)
  } catch (error) {
    return error
  }
  return undefined
}

t.test('a getter is read once; one that throws is named', async (t) => {
  let reads = 0
  const value = {
    get once() {
      return ++reads
    },
  }
  t.same(roundTrip(value), { once: 1 })
  const boom = new Error('no luck')
  const bad = {
    inner: {
      get price(): number {
        throw boom
      },
    },
  }
  const error = encodeAndCatch(bad) as CannotEncode
  t.match(error, { name: 'CannotEncode', message: /^value\.inner\.price cannot be read: no luck$/ })
  t.equal(error.cause, boom)
  t.same(roundTrip({ fine: 1 }), { fine: 1 }, 'and the next value is not disturbed')
})

t.test('a getter may encode and decode values itself', async (t) => {
  const value = {
    before: 'b'.repeat(2000),
    get inside() {
      t.throws(() => encodeValue({ f: () => 1 }), CannotEncode)
      return roundTrip({ own: [1, 2, 'x'.repeat(5000)] })
    },
    after: { list: [1, 2, 3] },
  }
  t.same(roundTrip(value), {
    before: 'b'.repeat(2000),
    inside: { own: [1, 2, 'x'.repeat(5000)] },
    after: { list: [1, 2, 3] },
  })
  const bad = {
    get first() {
      encodeValue({ deep: { deeper: { deepest: 1 } } })
      return 1
    },
    second: { third: () => 1 },
  }
  t.throws(() => encodeValue(bad), { message: /^value\.second\.third is a function/ })
})

t.test('a container that changes while it is written is written as it was', async (t) => {
  const map = new Map<string, unknown>()
  map.set('a', {
    get x() {
      map.clear()
      return 1
    },
  })
  map.set('b', 2)
  t.same(
    roundTrip(map),
    new Map<string, unknown>([
      ['a', { x: 1 }],
      ['b', 2],
    ]),
  )
  const list: unknown[] = [
    {
      get x() {
        list.length = 1
        return 1
      },
    },
    2,
  ]
  t.same(roundTrip(list), [{ x: 1 }, undefined])
})

t.test("a program's own use of cbor-x is not changed by ours", async (t) => {
  const theirs = new Encoder({ structuredClone: true })
  const error = theirs.decode(theirs.encode(new RangeError('theirs'))) as Error
  t.match(error, { message: 'theirs' })
  t.match(plainDecode(Buffer.from('d81b8265457272 6f72 6178'.replaceAll(' ', ''), 'hex')), { message: 'x' })
  const regexp = theirs.decode(theirs.encode(/a+/g)) as RegExp
  t.equal(String(regexp), '/a+/g')
})
