import t from 'tap'
import { ResultStore } from '#offstage/persistence/results/memory.js'

const bytes = (...values: number[]) => Uint8Array.of(...values)

t.test('keeps a copy of what was set, per worker, worker key and key', async (t) => {
  const store = new ResultStore()
  const value = bytes(1)
  store.set('w', '', 'k', value)
  value[0] = 9
  store.set('w', 'a', 'k', bytes(2))
  store.set('wa', '', 'k', bytes(3))
  t.strictSame(store.get('w', '', 'k'), bytes(1))
  t.strictSame(store.get('w', 'a', 'k'), bytes(2))
  t.strictSame(store.get('wa', '', 'k'), bytes(3))
  t.equal(store.get('w', '', 'other'), undefined)
  t.equal(store.get('w', 'b', 'k'), undefined)
})

t.test('overwrites, deletes, lists and drops', async (t) => {
  const store = new ResultStore()
  store.set('w', '', 'k', bytes(1))
  store.set('w', '', 'k', bytes(2))
  store.set('w', '', 'l', bytes(3))
  store.set('w', 'x', 'k', bytes(4))
  t.strictSame(
    [...store.entries('w', '')],
    [
      ['k', bytes(2)],
      ['l', bytes(3)],
    ],
  )
  store.delete('w', '', 'k')
  store.delete('w', '', 'missing')
  t.equal(store.get('w', '', 'k'), undefined)
  store.drop('w', '')
  t.strictSame([...store.entries('w', '')], [])
  t.equal(store.size, 1)
})

t.test('the least recently used goes when there are too many', async (t) => {
  const store = new ResultStore({ entries: 2, bytes: 1_000 })
  store.set('w', '', 'a', bytes(1))
  store.set('w', '', 'b', bytes(2))
  store.get('w', '', 'a')
  store.set('w', '', 'c', bytes(3))
  t.equal(store.get('w', '', 'b'), undefined)
  t.ok(store.get('w', '', 'a'))
  t.ok(store.get('w', '', 'c'))
})

t.test('or when they are too large together; one that is too large alone takes nothing with it', async (t) => {
  const store = new ResultStore({ entries: 100, bytes: 10 })
  store.set('w', '', 'a', new Uint8Array(5))
  store.set('w', '', 'b', new Uint8Array(5))
  t.equal(store.size, 1)
  t.ok(store.get('w', '', 'b'))
  store.set('w', '', 'c', new Uint8Array(50))
  t.ok(store.get('w', '', 'b'))
  t.equal(store.get('w', '', 'c'), undefined)
})
