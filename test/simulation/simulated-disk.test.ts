import t from 'tap'
import { Prng } from './prng.js'
import { SimulatedDisk } from './simulated-disk.js'

const SEEDS = 300

/** What `path` holds after a power cut, over many seeds; undefined: there is no such file. */
function afterPowerCut(path: string, prepare: (disk: SimulatedDisk) => void): Map<string | undefined, number> {
  const found = new Map<string | undefined, number>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = new SimulatedDisk(new Prng(seed))
    prepare(disk)
    disk.crash()
    disk.restart('power')
    const text = contents(disk, path)
    found.set(text, (found.get(text) ?? 0) + 1)
  }
  return found
}

function contents(disk: SimulatedDisk, path: string): string | undefined {
  const name = path.slice(1)
  return disk.list('/')?.includes(name) ? disk.file(path).bytes.toString() : undefined
}

function put(disk: SimulatedDisk, path: string, text: string, sync: boolean): void {
  const file = disk.open(path, 'create')
  disk.write(file, [Buffer.from(text)], 0)
  if (sync) disk.sync(file)
  disk.close(file)
}

t.test('what is synced, bytes and name, survives every power cut', async (t) => {
  const found = afterPowerCut('/a', (disk) => {
    put(disk, '/a', 'whole', true)
    disk.syncFolder('/')
  })
  t.same([...found], [['whole', SEEDS]])
})

t.test('the sync of a new file does not make its name durable', async (t) => {
  const found = afterPowerCut('/a', (disk) => put(disk, '/a', 'whole', true))
  t.ok(found.get(undefined)! > 0)
  t.ok(found.get('whole')! > 0)
  t.equal(found.size, 2)
})

t.test('unsynced bytes are kept, lost, cut and mixed by sectors', async (t) => {
  const found = afterPowerCut('/a', (disk) => {
    put(disk, '/a', 'o'.repeat(2048), true)
    disk.syncFolder('/')
    const file = disk.open('/a', 'write')
    disk.write(file, [Buffer.from('n'.repeat(2048))], 0)
  })
  t.ok(found.has('o'.repeat(2048)))
  t.ok(found.has('n'.repeat(2048)))
  const reordered = 'o'.repeat(512) + 'n'.repeat(512)
  t.ok(
    [...found.keys()].some((text) => text?.startsWith(reordered)),
    'a later sector without the one before it',
  )
  for (const text of found.keys()) if (!/^[on]{2048}$/.test(text ?? '')) t.fail(`neither old nor new: ${text}`)
})

t.test('a file may have grown without its bytes, which are zeros then, or not have been cut', async (t) => {
  const grown = afterPowerCut('/a', (disk) => {
    put(disk, '/a', 'old', true)
    disk.syncFolder('/')
    disk.write(disk.open('/a', 'write'), [Buffer.from('x'.repeat(1024))], 512)
  })
  t.ok([...grown.keys()].some((text) => text?.length === 1536 && text.endsWith('\0'.repeat(512))))
  const cut = afterPowerCut('/a', (disk) => {
    put(disk, '/a', 'old', true)
    disk.syncFolder('/')
    disk.truncate(disk.open('/a', 'write'), 0)
  })
  t.same([...cut.keys()].sort(), ['', '\0\0\0', 'old'])
})

t.test('changes of names are kept in any subset; a rename over a file leaves the old one or the new one', async (t) => {
  const found = new Set<string>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = new SimulatedDisk(new Prng(seed))
    put(disk, '/a', 'old', true)
    put(disk, '/b', 'other', true)
    disk.syncFolder('/')
    put(disk, '/a.tmp', 'new', true)
    disk.rename('/a.tmp', '/a')
    disk.remove('/b')
    disk.crash()
    disk.restart('power')
    found.add(`${contents(disk, '/a')} ${contents(disk, '/b')}`)
  }
  t.same([...found].sort(), ['new other', 'new undefined', 'old other', 'old undefined'])
})

t.test('after a sync that failed the bytes read back well, and no later sync saves them', async (t) => {
  const found = afterPowerCut('/a', (disk) => {
    put(disk, '/a', '', true)
    disk.syncFolder('/')
    const file = disk.open('/a', 'write')
    disk.write(file, [Buffer.from('bytes')], 0)
    disk.failures.push({ call: 'sync', code: 'EIO', after: 0 })
    t.throws(() => disk.sync(file), { code: 'EIO' })
    t.equal(contents(disk, '/a'), 'bytes')
    disk.sync(file)
  })
  t.ok(found.get('')! > 0)
  t.ok(found.get('bytes')! > 0)
})

t.test('a killed process leaves everything it wrote, and its open files are closed', async (t) => {
  const disk = new SimulatedDisk(new Prng(1))
  const file = disk.open('/a', 'create')
  disk.write(file, [Buffer.from('written')], 0)
  disk.crash()
  t.throws(() => disk.list('/'), { message: 'the machine is down' })
  disk.restart('kill')
  t.equal(contents(disk, '/a'), 'written')
  t.throws(() => disk.sync(file), { code: 'EBADF' })
})

t.test('it crashes at the call that it is told to, before, after or within it', async (t) => {
  for (const [moment, expected] of [
    ['before', ''],
    ['after', 'written'],
  ] as const) {
    const disk = new SimulatedDisk(new Prng(1))
    const file = disk.open('/a', 'create')
    disk.crashAt = { kind: undefined, after: 0, moment }
    t.throws(() => disk.write(file, [Buffer.from('written')], 0), {
      message: `the machine crashed ${moment} #2 write /a 0+7`,
    })
    t.equal(disk.down, true)
    disk.restart('kill')
    t.equal(contents(disk, '/a'), expected)
  }
})

t.test('a full disk takes what fits and then nothing; removing makes room once the file is closed', async (t) => {
  const disk = new SimulatedDisk(new Prng(1))
  disk.capacity = 10
  const file = disk.open('/a', 'create')
  t.equal(disk.write(file, [Buffer.from('12345678'), Buffer.from('9abcdef')], 0), 10)
  t.throws(() => disk.write(file, [Buffer.from('x')], 10), { code: 'ENOSPC' })
  t.equal(disk.write(file, [Buffer.from('overwriting')], 0), 10)
  disk.remove('/a')
  t.equal(disk.free(), 0)
  disk.close(file)
  t.equal(disk.free(), 10)
})

t.test('two names of one file stay one after a power cut', async (t) => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = new SimulatedDisk(new Prng(seed))
    put(disk, '/a.tmp', 'one', true)
    disk.syncFolder('/')
    disk.rename('/a.tmp', '/a')
    disk.crash()
    disk.restart('power')
    const names = disk.list('/')!
    if (names.length < 2) continue
    t.same(names.sort(), ['a', 'a.tmp'])
    t.equal(disk.file('/a'), disk.file('/a.tmp'))
    return
  }
  t.fail('no seed leaves both names')
})
