import fc from 'fast-check'
import t from 'tap'
import { KeyHash } from '#offstage/persistence/queue/key-hash.js'

t.test('a key has the same hash as text and as the UTF-8 that a journal keeps', async (t) => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string(), fc.constant('käse 🧀'), fc.constant(''))
  const check = fc.property(text, fc.integer(), (text, seed) => {
    const bytes = Buffer.concat([Buffer.from('before'), Buffer.from(text), Buffer.from('after')])
    const { a, b } = new KeyHash(seed).ofText(text)
    const again = new KeyHash(seed).ofBytes(bytes, 6, bytes.length - 5)
    return a === again.a && b === again.b
  })
  fc.assert(check)
  t.pass()
})

t.test('another seed, or another key, gives another hash', async (t) => {
  const hash = ({ a, b }: KeyHash) => `${a} ${b}`
  const seen = new Set<string>()
  for (let seed = 0; seed < 100; seed++) {
    for (let key = 0; key < 100; key++) seen.add(hash(new KeyHash(seed).ofText(`key-${key}`)))
  }
  t.equal(seen.size, 10_000)
})
