import fc from 'fast-check'
import t from 'tap'
import { BlockCache } from '#offstage/persistence/journal/block-cache.js'

const BLOCK = 64 * 1024

/** Segments of random bytes, read through a cache of two blocks. */
function setup(blocks = 2) {
  const files = [Buffer.alloc(0), Buffer.alloc(0)]
  const reads: string[] = []
  const cache = new BlockCache((segment, offset, target) => {
    reads.push(`${segment} ${offset}`)
    return files[segment]!.copy(target, 0, offset)
  }, blocks * BLOCK)
  const append = (segment: number, bytes: Buffer, gap = 0) => {
    const at = files[segment]!.length + gap
    files[segment] = Buffer.concat([files[segment]!, Buffer.alloc(gap, 0xee), bytes])
    cache.put(segment, at, bytes)
    return at
  }
  const find = (segment: number, at: number, length: number) => {
    const found = cache.find(segment, at, length)
    return found && Buffer.from(found.bytes.subarray(found.at, found.at + length))
  }
  return { files, reads, cache, append, find }
}

t.test('what was written last is found without reading; what was pushed out is read again', async (t) => {
  const { reads, append, find } = setup()
  for (let i = 0; i < 4; i++) append(0, Buffer.alloc(BLOCK, i))
  t.same(find(0, 3 * BLOCK + 10, 20), Buffer.alloc(20, 3))
  t.same(reads, [])
  t.same(find(0, 10, 20), Buffer.alloc(20, 0))
  t.same(find(0, 30, 20), Buffer.alloc(20, 0))
  t.same(reads, ['0 0'], 'once for a block')
  t.same(find(0, 2 * BLOCK, 20), Buffer.alloc(20, 2))
  t.same(find(0, 3 * BLOCK, 20), Buffer.alloc(20, 3))
  t.same(reads, ['0 0', '0 131072', '0 196608'], 'two blocks are all that it keeps')
})

t.test('says what was read back from the disk, and that a file is too short', async (t) => {
  const { cache, append } = setup(1)
  append(0, Buffer.alloc(BLOCK, 1))
  t.equal(cache.find(0, 0, 5)?.fromDisk, false)
  append(1, Buffer.alloc(10))
  t.equal(cache.find(0, 0, 5)?.fromDisk, true)
  t.equal(cache.find(0, BLOCK - 2, 4), undefined)
  t.equal(cache.find(1, 100, 5), undefined)
})

t.test('gives the bytes of the file, whatever was written and found before', async (t) => {
  const step = fc.record({
    segment: fc.nat(1),
    bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 3 * BLOCK })),
    gap: fc.constantFrom(0, 0, 48, 5000),
    look: fc.array(fc.nat(), { maxLength: 6 }),
  })
  const check = fc.property(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), (steps) => {
    const { append, find } = setup()
    const written: { segment: number; at: number; bytes: Buffer }[] = []
    for (const [index, { segment, bytes, gap, look }] of steps.entries()) {
      const content = Buffer.alloc(bytes, `${index} `)
      written.push({ segment, at: append(segment, content, gap), bytes: content })
      for (const pick of look) {
        const { segment, at, bytes } = written[pick % written.length]!
        if (!find(segment, at, bytes.length)?.equals(bytes)) throw new Error(`${segment} at ${at}`)
      }
    }
  })
  fc.assert(check, { numRuns: 60 })
  t.pass()
})
