import t from 'tap'
import { type GoneResult, ResultStore } from '#offstage/persistence/results/memory.js'
import { resultStorageContract } from '../../contract/result-storage.js'

const bytes = (...values: number[]) => Uint8Array.of(...values)

function make(entries: number, size: number) {
  let time = 12_345.6
  const gone: string[] = []
  const store = new ResultStore({
    limits: { entries, bytes: size },
    now: () => time,
    onGone: ({ worker, workerKey, key, number }: GoneResult) => gone.push(`${worker} ${workerKey} ${key} ${number}`),
  })
  const pass = (ms: number) => {
    time += ms
  }
  return { store, gone, pass }
}

t.test('contract', (t) =>
  resultStorageContract(t, async () => {
    const { store, pass } = make(1_000, 100_000)
    return { storage: store, largest: 60_000, pass: async (ms) => pass(ms) }
  }),
)

t.test('lists what an instance has, with what is left of its time, and forgets it all at once', async (t) => {
  const { store, pass } = make(100, 1_000)
  store.set('w', '', 'k', bytes(1), 0, 7)
  store.set('w', '', 'l', bytes(3), 1_000, 8)
  store.set('w', '', 'm', bytes(3), 10, 9)
  store.set('w', 'x', 'k', bytes(4))
  pass(400)
  t.strictSame(
    [...store.entries('w', '')],
    [
      { key: 'k', value: bytes(1), ttl: 0, number: 7 },
      { key: 'l', value: bytes(3), ttl: 600, number: 8 },
    ],
  )
  store.drop('w', '')
  t.strictSame([...store.entries('w', '')], [])
  t.equal(store.size, 1)
})

t.test('the least recently used goes when there are too many', async (t) => {
  const { store, gone } = make(2, 1_000)
  store.set('w', '', 'a', bytes(1), 0, 1)
  store.set('w', 'x', 'b', bytes(2), 0, 2)
  store.get('w', '', 'a')
  store.set('w', '', 'c', bytes(3), 0, 3)
  t.equal(store.get('w', 'x', 'b'), undefined)
  t.ok(store.get('w', '', 'a'))
  t.ok(store.get('w', '', 'c'))
  t.strictSame(gone, ['w x b 2'])
})

t.test('or when they are too large together; one that is too large alone takes nothing with it', async (t) => {
  const { store, gone } = make(100, 10)
  store.set('w', '', 'a', new Uint8Array(5))
  store.set('w', '', 'b', new Uint8Array(5))
  t.equal(store.size, 1)
  t.ok(store.get('w', '', 'b'))
  t.throws(() => store.set('w', '', 'c', new Uint8Array(10)), { code: 'RESULT_STORAGE_TOO_LARGE' })
  store.set('w', '', 'd', new Uint8Array(9))
  t.strictSame(gone, ['w  a 0', 'w  b 0'])
})

t.test('those whose time is over make room before any other has to go', async (t) => {
  const { store, gone, pass } = make(2, 1_000)
  store.set('w', '', 'old', bytes(1))
  store.set('w', '', 'short', bytes(2), 5)
  pass(5)
  store.set('w', '', 'new', bytes(3))
  t.strictSame(gone, ['w  short 0'])
  t.ok(store.get('w', '', 'old'))
})

t.test('a sweep takes out all whose time is over and no others, wherever it falls', async (t) => {
  const { store, gone, pass } = make(1_000, 100_000)
  const left = new Map<string, number>()
  for (let i = 0; i < 300; i++) {
    const ttl = 1 + ((i * 7_919) % 5_000)
    store.set('w', '', String(i), bytes(1), ttl)
    left.set(String(i), ttl)
  }
  // Overwritten, deleted: not to be met again.
  store.set('w', '', '0', bytes(1), 60_000)
  left.delete('0')
  store.delete('w', '', '1')
  left.delete('1')
  for (const step of [0, 1, 333, 666, 1, 2_000, 10, 1_990]) {
    pass(step)
    gone.length = 0
    store.sweep()
    const due = [...left].filter(([, ttl]) => ttl <= step).map(([key]) => `w  ${key} 0`)
    t.strictSame([...gone].sort(), due.sort())
    for (const [key, ttl] of left) {
      if (ttl <= step) left.delete(key)
      else left.set(key, ttl - step)
    }
  }
  t.equal(left.size, 0)
  t.equal(store.size, 1)
})

t.test('a value that is gone by time is told once, also when it is asked for before a sweep', async (t) => {
  const { store, gone, pass } = make(10, 1_000)
  store.set('w', '', 'k', bytes(1), 10, 4)
  pass(10)
  t.equal(store.get('w', '', 'k'), undefined)
  pass(2_000)
  store.sweep()
  t.strictSame(gone, ['w  k 4'])
})
