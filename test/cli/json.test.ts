/** Values as JSON and back, and where a text stops being JSON. */
import fc from 'fast-check'
import t from 'tap'
import { jsonFault } from '#offstage/cli/json-fault.js'
import { fromJson, toJson } from '#offstage/cli/value-json.js'

const throughJson = (value: unknown) => fromJson(JSON.parse(JSON.stringify(toJson(value))))

t.test('what JSON cannot say comes back as it was', async (t) => {
  const { value } = fc.letrec((tie) => ({
    key: fc.oneof(fc.string(), fc.constantFrom('$date', '$$date', '$', '__proto__', '$where')),
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constant(undefined),
      fc.constantFrom(null, true, false, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
      fc.double(),
      fc.string(),
      fc.bigInt(),
      fc.date({ noInvalidDate: false }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(tie('key') as fc.Arbitrary<string>, tie('value'), { maxKeys: 2, noNullPrototype: true }),
      fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
      fc.array(fc.string(), { maxLength: 3 }).map((items) => new Set(items)),
    ),
  }))
  fc.assert(fc.property(value, (one) => t.strictSame(throughJson(one), one)))
  const error = throughJson(new RangeError('too far')) as Error
  t.ok(error instanceof Error)
  t.match(error, { name: 'RangeError', message: 'too far' })
})

t.test('a form that there is not, or has no such content, is refused', async (t) => {
  const refused: [unknown, RegExp][] = [
    [{ deep: [{ $where: 1 }] }, /there is no form \$where: there are \$undefined, .*write "\$\$where"/],
    [{ $date: 'yesterday' }, /"yesterday" is no content for \$date/],
    [{ $date: 1 }, /1 is no content for \$date/],
    [{ $bytes: 'a b' }, /no content for \$bytes/],
    [{ $bigint: '1.5' }, /no content for \$bigint/],
    [{ $number: '7' }, /no content for \$number/],
    [{ $map: [['a']] }, /no content for \$map/],
    [{ $set: 1 }, /no content for \$set/],
    [{ $error: null }, /no content for \$error/],
  ]
  for (const [json, message] of refused) t.throws(() => fromJson(json), { code: 'INVALID_ARGUMENT', message })
})

t.test('the place of a fault, and what could stand there', async (t) => {
  const faults: [text: string, at: number, expected: string][] = [
    ['', 0, 'a value'],
    ['hello', 0, 'a value'],
    ["{'a': 1}", 1, 'a name in quotes or "}"'],
    ['{"a": 1,}', 8, 'a name in quotes'],
    ['{"a" 1}', 5, '":"'],
    ['{"a": }', 6, 'a value'],
    ['{"a": 1 "b": 2}', 8, '"," or "}"'],
    ['[1, 2', 5, '"," or "]"'],
    ['[1, 2}', 5, '"," or "]"'],
    ['[1,]', 3, 'a value'],
    ['[[], {}, {"a": [null]}] 7', 24, 'nothing more'],
    ['{"a": "b', 6, 'a text that ends'],
    ['01', 0, 'a value'],
    ['[1.]', 1, 'a value'],
    ['[NaN]', 1, 'a value'],
    ['["a\nb"]', 1, 'a text that ends'],
    ['{"a": [1, {"b": true}, "\\u00e9"], "c": nul}', 39, 'a value'],
  ]
  for (const [text, at, expected] of faults) {
    t.throws(() => JSON.parse(text), SyntaxError, text)
    t.strictSame(jsonFault(text), { at, expected }, text)
  }
})

t.test('JSON that is cut off is faulty in what was cut, and never before it', async (t) => {
  const cut = fc.tuple(fc.json(), fc.nat()).map(([text, at]) => text.slice(0, at % text.length))
  fc.assert(
    fc.property(cut, (text) => {
      try {
        JSON.parse(text)
      } catch {
        const { at } = jsonFault(text)
        t.ok(at === text.length || /^(?:"|-|\d|[tfn])/.test(text.slice(at)), `${text} at ${at}`)
        // Up to there it is the beginning of another text, whose end alone is missing.
        t.ok(jsonFault(text.slice(0, at)).at === at, text)
      }
    }),
  )
})
