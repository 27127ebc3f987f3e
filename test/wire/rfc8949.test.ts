/** The examples of RFC 8949, appendix A: each is decoded to its value, or refused for the rule of the profile it breaks. */
import t from 'tap'
import { decodeValue } from '#offstage/wire/codec.js'

const VALUES: readonly (readonly [hex: string, value: unknown])[] = [
  ['00', 0],
  ['01', 1],
  ['0a', 10],
  ['17', 23],
  ['1818', 24],
  ['1819', 25],
  ['1864', 100],
  ['1903e8', 1000],
  ['1a000f4240', 1000000],
  ['1b000000e8d4a51000', 1000000000000],
  ['c249010000000000000000', 18446744073709551616n],
  ['c349010000000000000000', -18446744073709551617n],
  ['20', -1],
  ['29', -10],
  ['3863', -100],
  ['3903e7', -1000],
  ['f90000', 0],
  ['f98000', -0],
  ['f93c00', 1],
  ['fb3ff199999999999a', 1.1],
  ['f93e00', 1.5],
  ['f97bff', 65504],
  ['fa47c35000', 100000],
  ['fa7f7fffff', (2 - 2 ** -23) * 2 ** 127],
  ['fb7e37e43c8800759c', 1e300],
  ['f90001', 2 ** -24],
  ['f90400', 0.00006103515625],
  ['f9c400', -4],
  ['fbc010666666666666', -4.1],
  ['f97c00', Number.POSITIVE_INFINITY],
  ['f97e00', Number.NaN],
  ['f9fc00', Number.NEGATIVE_INFINITY],
  ['fa7f800000', Number.POSITIVE_INFINITY],
  ['fa7fc00000', Number.NaN],
  ['faff800000', Number.NEGATIVE_INFINITY],
  ['fb7ff0000000000000', Number.POSITIVE_INFINITY],
  ['fb7ff8000000000000', Number.NaN],
  ['fbfff0000000000000', Number.NEGATIVE_INFINITY],
  ['f4', false],
  ['f5', true],
  ['f6', null],
  ['f7', undefined],
  ['c11a514b67b0', new Date('2013-03-21T20:04:00Z')],
  ['c1fb41d452d9ec200000', new Date('2013-03-21T20:04:00.500Z')],
  ['40', Buffer.alloc(0)],
  ['4401020304', Buffer.of(1, 2, 3, 4)],
  ['60', ''],
  ['6161', 'a'],
  ['6449455446', 'IETF'],
  ['62225c', '"\\'],
  ['62c3bc', 'ü'],
  ['63e6b0b4', '水'],
  ['64f0908591', '\u{10151}'],
  ['80', []],
  ['83010203', [1, 2, 3]],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['98190102030405060708090a0b0c0d0e0f101112131415161718181819', Array.from({ length: 25 }, (_, i) => i + 1)],
  ['a0', {}],
  ['a26161016162820203', { a: 1, b: [2, 3] }],
  ['826161a161626163', ['a', { b: 'c' }]],
  ['a56161614161626142616361436164614461656145', { a: 'A', b: 'B', c: 'C', d: 'D', e: 'E' }],
]

const INDEFINITE = /indefinite/
const TAG = /tag/
const SIMPLE = /simple/

const REFUSED: readonly (readonly [hex: string, rule: RegExp, what: string])[] = [
  ['1bffffffffffffffff', /integer|2\^53/, '18446744073709551615'],
  ['3bffffffffffffffff', /integer|2\^53/, '-18446744073709551616'],
  ['f0', SIMPLE, 'simple(16)'],
  ['f818', SIMPLE, 'simple(24)'],
  ['f8ff', SIMPLE, 'simple(255)'],
  ['c074323031332d30332d32315432303a30343a30305a', TAG, 'tag 0'],
  ['d74401020304', TAG, 'tag 23'],
  ['d818456449455446', TAG, 'tag 24'],
  ['d82076687474703a2f2f7777772e6578616d706c652e636f6d', TAG, 'tag 32'],
  ['a201020304', /key/, '{1: 2, 3: 4}'],
  ['5f42010243030405ff', INDEFINITE, 'bytes in pieces'],
  ['7f657374726561646d696e67ff', INDEFINITE, 'text in pieces'],
  ['9fff', INDEFINITE, '[_ ]'],
  ['9f018202039f0405ffff', INDEFINITE, '[_ 1, [2, 3], [_ 4, 5]]'],
  ['9f01820203820405ff', INDEFINITE, '[_ 1, [2, 3], [4, 5]]'],
  ['83018202039f0405ff', INDEFINITE, '[1, [2, 3], [_ 4, 5]]'],
  ['83019f0203ff820405', INDEFINITE, '[1, [_ 2, 3], [4, 5]]'],
  ['9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff', INDEFINITE, '[_ 1 to 25]'],
  ['bf61610161629f0203ffff', INDEFINITE, '{_ "a": 1, "b": [_ 2, 3]}'],
  ['826161bf61626163ff', INDEFINITE, '["a", {_ "b": "c"}]'],
  ['bf6346756ef563416d7421ff', INDEFINITE, '{_ "Fun": true, "Amt": -2}'],
]

t.test('every example is decoded or refused', async (t) => {
  t.equal(VALUES.length + REFUSED.length, 82)
})

for (const [hex, value] of VALUES) {
  t.test(`${hex} is decoded`, async (t) => {
    const decoded = decodeValue(Buffer.from(hex, 'hex'))
    if (typeof value === 'number') t.ok(Object.is(decoded, value), `${String(decoded)} is ${value}`)
    else t.strictSame(decoded, value)
  })
}

for (const [hex, message, what] of REFUSED) {
  t.test(`${what} is refused for its rule`, async (t) => {
    t.throws(() => decodeValue(Buffer.from(hex, 'hex')), { code: 'PROTOCOL', message })
  })
}
