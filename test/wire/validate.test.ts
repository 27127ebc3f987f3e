import fc from 'fast-check'
import t from 'tap'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { validate } from '#offstage/wire/validate.js'
import { sendable } from './arbitraries.js'

const REFUSED = Symbol('refused')

/** Of this profile; the examples of RFC 8949 are in rfc8949.test.ts. */
const PROFILE: [string, unknown][] = [
  ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['1b0020000000000000', REFUSED],
  ['3b001ffffffffffffe', Number.MIN_SAFE_INTEGER],
  ['3b001fffffffffffff', REFUSED],
  ['1801', 1], // longer heads than needed are allowed for values
  ['a1695f5f70726f746f5f5f01', REFUSED], // {"__proto__": 1}
  ['a178095f5f70726f746f5f5f01', REFUSED], // the same with a longer head
  ['a16b636f6e7374727563746f7201', { constructor: 1 }],
  ['a2616101616102', REFUSED], // "a" twice
  ['a261610178016102', REFUSED], // the same, the second with a longer head
  ['a141aa01', REFUSED], // bytes as a key
  [
    'd90103a201020304',
    new Map([
      [1, 2],
      [3, 4],
    ]),
  ],
  ['d90103a201020104', REFUSED], // 1 twice
  ['d90103a20102180104', REFUSED], // and as 18 01
  ['d90103a10102', new Map([[1, 2]])],
  ['d90103a1f93c0002', REFUSED], // 1.0 as the key 1
  ['d90103a1fa3fc0000002', REFUSED], // 1.5 in 32 bits
  ['d90103a1fb3ff800000000000002', new Map([[1.5, 2]])],
  ['d90103a1fb3ff000000000000002', REFUSED], // 1.0 in 64 bits
  ['d90103a1f9800002', REFUSED], // -0
  ['d90103a1f97e0002', new Map([[Number.NaN, 2]])],
  ['d90103a1f97e0102', REFUSED], // another NaN
  ['d90103a1c2410502', new Map([[5n, 2]])],
  ['d90103a1c242000502', REFUSED], // a leading zero
  ['d90103a1c258010502', REFUSED], // a longer head
  ['d90103a18001', REFUSED], // an array as a key
  ['d90103a1695f5f70726f746f5f5f01', new Map([['__proto__', 1]])],
  ['d9010380', REFUSED], // tag 259 over an array
  ['d9010283010203', new Set([1, 2, 3])],
  ['d90102a0', REFUSED],
  ['c16161', REFUSED],
  ['c1c100', REFUSED],
  ['c2c240', REFUSED],
  ['c26161', REFUSED],
  ['c1', REFUSED],
  ['d8404101', new Uint8Array([1])],
  ['d841420001', REFUSED], // big-endian
  ['d845420201', new Uint16Array([0x0102])],
  ['d84543020100', REFUSED], // three bytes in elements of two
  ['d854420000', REFUSED], // float16
  ['d8458101', REFUSED],
  ['d81b826b417272617942756666657241ff', new Uint8Array([0xff]).buffer],
  ['d81b82665265674578706161', REFUSED], // ["RegExp", "a"]
  ['d81b82654572726f726161', REFUSED],
  ['d81b83654572726f72a0a0', REFUSED],
  ['d81b82654572726f72', REFUSED],
  ['d81b82', REFUSED],
  ['d81c80', REFUSED], // shared values
  ['d81d00', REFUSED],
  ['d8698301810100', REFUSED], // records of cbor-x
  ['d9dfff8300810101', REFUSED],
  ['d9d9f700', REFUSED],
  ['f7', undefined],
  ['e0', REFUSED],
  ['f800', REFUSED],
  ['f818', REFUSED],
  ['fc', REFUSED],
  ['ff', REFUSED],
  ['1c', REFUSED],
  ['1f', REFUSED],
  ['', REFUSED],
  ['18', REFUSED],
  ['1900', REFUSED],
  ['fb00', REFUSED],
  ['4201', REFUSED],
  ['6261', REFUSED],
  ['8201', REFUSED],
  ['a161', REFUSED],
  ['a16161', REFUSED],
  ['61ff', REFUSED],
  ['62c0af', REFUSED], // overlong
  ['63eda080', REFUSED], // a surrogate
  ['64f4908080', REFUSED], // over U+10FFFF
  ['61c3', REFUSED],
  ['9bffffffffffffffff', REFUSED],
  ['9affffffff', REFUSED],
  ['ba7fffffff', REFUSED],
  ['5bffffffffffffffff', REFUSED],
  ['7affffffff', REFUSED],
]

t.test('every row of the profile is accepted or refused by the rules', async (t) => {
  for (const [hex, expected] of PROFILE) {
    const bytes = Buffer.from(hex, 'hex')
    if (expected === REFUSED) {
      t.throws(() => decodeValue(bytes), { code: 'PROTOCOL' }, `${hex} is refused`)
      continue
    }
    const value = decodeValue(bytes)
    t.same(value, expected, hex)
    if (typeof expected === 'number') t.ok(Object.is(value, expected), `${hex} is exactly ${expected}`)
  }
})

t.test('the refusal says the rule and the offset', async (t) => {
  t.throws(() => decodeValue(Buffer.from('83010218ff1bffffffffffffffff'.replace('18ff', ''), 'hex')), {
    message: /at byte 3 .*whole number beyond ±\(2\^53 - 1\).*send it as a big number, tag 2/,
    details: { offset: 3 },
  })
})

t.test('the longest, deepest and most numerous values pass, the next ones do not', async (t) => {
  const nested = (levels: number) => Buffer.from(`${'81'.repeat(levels)}00`, 'hex')
  t.equal(validate(nested(64)), 65)
  t.throws(() => validate(nested(65)), /more than 64/)
  const many = (items: number) => Buffer.concat([Buffer.from([0x9a, 0, 0, 0, 0]), Buffer.alloc(items)])
  const counted = (items: number) => {
    const bytes = many(items)
    bytes.writeUInt32BE(items, 1)
    return bytes
  }
  t.equal(validate(counted(99_999)), 100_004)
  t.throws(() => validate(counted(100_000)), /more than 100000 items/)
  const bignum = (length: number) =>
    Buffer.concat([Buffer.from([0xc2, 0x59, length >> 8, length & 255]), Buffer.alloc(length, 1)])
  t.equal(validate(bignum(1024)), 1028)
  t.throws(() => validate(bignum(1025)), /more than 1024 bytes/)
})

t.test('hostile bytes are refused at once', async (t) => {
  const keys = (make: (i: number) => Buffer, count: number) => {
    const head = Buffer.from([0xba, 0, 0, 0, 0])
    head.writeUInt32BE(count, 1)
    return Buffer.concat([head, ...Array.from({ length: count }, (_, i) => Buffer.concat([make(i), Buffer.from([0])]))])
  }
  const text = (s: string) => Buffer.from(encodeValue(s))
  const cases: Record<string, [Buffer, boolean]> = {
    'an array a million deep': [Buffer.alloc(1_000_000, 0x81), false],
    'a tag a million deep': [Buffer.alloc(1_000_000, 0xc1), false],
    'maps a million deep': [Buffer.alloc(1_000_000, 0xa1), false],
    'a declared array of 2^32 - 1': [Buffer.concat([Buffer.from('9affffffff', 'hex'), Buffer.alloc(100)]), false],
    'a big number of a megabyte': [
      Buffer.concat([Buffer.from('c25a00100000', 'hex'), Buffer.alloc(1 << 20, 1)]),
      false,
    ],
    'a megabyte of empty arrays': [
      Buffer.concat([Buffer.from('9a00100000', 'hex'), Buffer.alloc(1 << 20, 0x80)]),
      false,
    ],
    'a megabyte of text that ends wrong': [
      Buffer.concat([Buffer.from('7a00100000', 'hex'), Buffer.alloc((1 << 20) - 1, 0x61), Buffer.from([0xff])]),
      false,
    ],
    '45,000 distinct keys': [keys((i) => text(`key${i}`), 45_000), true],
    '45,000 keys that differ in their last byte of 22': [
      keys((i) => text(`aaaaaaaaaaaaaaaaa${String(i).padStart(5, '0')}`), 45_000),
      true,
    ],
    '12 keys of 80 kB each, alike but for the end': [keys((i) => text(`${'x'.repeat(80_000)}${i}`), 12), true],
  }
  for (const [name, [bytes, accepted]] of Object.entries(cases)) {
    const began = performance.now()
    if (accepted) t.equal(validate(bytes), bytes.length, name)
    else t.throws(() => validate(bytes), { code: 'PROTOCOL' }, name)
    const took = performance.now() - began
    t.ok(took < 250, `${name} took ${took.toFixed(1)} ms`)
  }
})

t.test('random and damaged bytes are refused or decoded, and never do anything else', async (t) => {
  const attempt = (bytes: Uint8Array) => {
    try {
      decodeValue(bytes)
    } catch (error) {
      if ((error as { code?: string }).code !== 'PROTOCOL' || (error as Error).cause !== undefined) throw error
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), attempt), { numRuns: 20_000 })
  fc.assert(
    fc.property(
      sendable,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (value, changes) => {
        const bytes = Buffer.from(encodeValue(value))
        for (const [at, to] of changes) bytes[at % bytes.length] = to
        attempt(bytes)
        attempt(bytes.subarray(0, changes[0]![0] % bytes.length))
      },
    ),
    { numRuns: 5000 },
  )
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})
