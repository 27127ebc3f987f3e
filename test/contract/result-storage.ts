/** What holds for every storage of cached results. Each kind runs this suite against itself. */
import type { Test } from 'tap'
import type { ResultStorage } from '#offstage/persistence/results/storage.js'

/** `pass`: lets at least so many milliseconds go by for the storage; `largest`: bytes that a value may surely have. */
export interface StorageUnderTest {
  readonly storage: ResultStorage
  readonly largest: number
  pass(ms: number): Promise<void>
}

const bytes = (...values: number[]) => Uint8Array.of(...values)

export async function resultStorageContract(t: Test, make: (t: Test) => Promise<StorageUnderTest>): Promise<void> {
  t.test('gives back a copy of what was set last, per worker, worker key and key', async (t) => {
    const { storage } = await make(t)
    const value = bytes(1)
    await storage.set('w', '', 'k', value, 0)
    value[0] = 9
    await storage.set('w', 'a', 'k', bytes(2), 0)
    await storage.set('wa', '', 'k', bytes(3), 0)
    await storage.set('w', 'a:k', '', bytes(4), 0)
    await storage.set('w:a', 'k', '', bytes(5), 0)
    t.strictSame(plain(await storage.get('w', '', 'k')), [1])
    t.strictSame(plain(await storage.get('w', 'a', 'k')), [2])
    t.strictSame(plain(await storage.get('wa', '', 'k')), [3])
    t.strictSame(plain(await storage.get('w', 'a:k', '')), [4])
    t.strictSame(plain(await storage.get('w:a', 'k', '')), [5])
    await storage.set('w', '', 'k', bytes(6, 7), 0)
    t.strictSame(plain(await storage.get('w', '', 'k')), [6, 7])
  })

  t.test('has nothing under a key that was never set, or was deleted', async (t) => {
    const { storage } = await make(t)
    t.equal(await storage.get('w', '', 'absent'), undefined)
    await storage.set('w', '', 'k', bytes(1), 0)
    await storage.delete('w', '', 'k')
    await storage.delete('w', '', 'absent')
    t.equal(await storage.get('w', '', 'k'), undefined)
    await storage.set('w', '', 'k', bytes(2), 0)
    t.strictSame(plain(await storage.get('w', '', 'k')), [2])
  })

  t.test('takes any text as a key, and any bytes', async (t) => {
    const { storage, largest } = await make(t)
    const keys = [
      '',
      ' ',
      'with space',
      'line\nbreak',
      '\0',
      ':',
      '%3A',
      'ü',
      '🙂',
      'x'.repeat(1_024),
      'x'.repeat(1_023),
    ]
    for (const [i, key] of keys.entries()) await storage.set('w', key, key, bytes(i), 0)
    for (const [i, key] of keys.entries())
      t.strictSame(plain(await storage.get('w', key, key)), [i], JSON.stringify(key))
    await storage.set('w', '', 'nothing', bytes(), 0)
    t.strictSame(plain(await storage.get('w', '', 'nothing')), [])
    const large = Uint8Array.from({ length: largest }, (_, i) => i % 251)
    await storage.set('w', '', 'large', large, 0)
    t.ok(Buffer.from(large).equals((await storage.get('w', '', 'large'))!))
  })

  t.test('keeps a value for its time to live and not for longer, and that of the last one counts', async (t) => {
    const { storage, pass } = await make(t)
    await storage.set('w', '', 'short', bytes(1), 1_000)
    await storage.set('w', '', 'long', bytes(2), 40 * 86_400_000)
    await storage.set('w', '', 'then long', bytes(3), 1_000)
    await storage.set('w', '', 'then long', bytes(4), 0)
    await storage.set('w', '', 'again', bytes(5), 1_000)
    await pass(1_000)
    t.equal(await storage.get('w', '', 'short'), undefined)
    t.strictSame(plain(await storage.get('w', '', 'long')), [2])
    t.strictSame(plain(await storage.get('w', '', 'then long')), [4])
    t.equal(await storage.get('w', '', 'again'), undefined)
    await storage.set('w', '', 'again', bytes(6), 0)
    t.strictSame(plain(await storage.get('w', '', 'again')), [6])
  })

  t.test('refuses a value that is too large, and says how large it may be', async (t) => {
    const { storage, largest } = await make(t)
    await storage.set('w', '', 'k', bytes(1), 0)
    // Whether it throws or rejects is the kind's own affair.
    const setting = async () => storage.set('w', '', 'k', new Uint8Array(largest * 2), 0)
    await t.rejects(setting(), {
      name: 'ResultStorageError',
      code: 'RESULT_STORAGE_TOO_LARGE',
      retryable: false,
      message: new RegExp(`"k" has ${largest * 2} bytes`),
    })
    t.strictSame(plain(await storage.get('w', '', 'k')), [1], 'what was there is there')
  })
}

function plain(value: Uint8Array | undefined): number[] | undefined {
  return value === undefined ? undefined : [...value]
}
