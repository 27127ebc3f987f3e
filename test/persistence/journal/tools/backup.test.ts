import fc from 'fast-check'
import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import {
  type BackupOptions,
  type BackupResult,
  backupJournal,
  restoreJournal,
} from '#offstage/persistence/journal/tools/backup.js'
import type { ToolFs } from '#offstage/persistence/journal/tools/tool-fs.js'
import { newJob } from '../../../contract/job-store.js'
import { type FakeFs, systemError } from '../fake-fs.js'
import { add, allJobs, batchOffsets, DIR, keys, killedJournal, openFake } from '../journals.js'
import { busyJournal, check, closedJournal, contents, SMALL } from './journals.js'
import { LiveJournal } from './live-journal.js'
import { ToolFakeFs, watched } from './tool-fake-fs.js'

const BACKUP = '/backup'

function options(system: ToolFs, more: Partial<BackupOptions> = {}): BackupOptions {
  return { system, from: DIR, to: BACKUP, clock: () => 1_750_000_100_000, lock: () => () => {}, ...more }
}

function backup(system: ToolFs, more: Partial<BackupOptions> = {}): BackupResult {
  return backupJournal(options(system, more))
}

function failure(run: () => unknown): StoreError {
  try {
    run()
  } catch (error) {
    return error as StoreError
  }
  throw new Error('it did not fail')
}

/** The jobs of the journal in a folder, as a supervisor finds them. */
async function jobsIn(system: FakeFs, dir: string) {
  return allJobs(await openFake(system.copy(), { dir, segmentBytes: SMALL }))
}

t.test('a backup has the same jobs, is whole and closed, and the journal is as it was', async (t) => {
  for (const image of [await busyJournal(), await closedJournal()]) {
    const system = ToolFakeFs.of(image)
    const before = contents(system)
    const { check: checked, linked, copied } = backup(system)
    t.match(checked, {
      damaged: false,
      clean: true,
      folder: BACKUP,
      jobs: { ready: 22, scheduled: 1, active: 1, dead: 1 },
    })
    t.match({ linked, copied }, { linked: image.segments().length - 1, copied: 1 })
    for (const [path, bytes] of before) if (contents(system).get(path) !== bytes) t.fail(`${path} was changed`)
    t.same(await jobsIn(system, BACKUP), await jobsIn(system, DIR))
    t.notOk([...system.folders].some((folder) => folder.includes('partial')))
  }
})

t.test('across file systems every segment is copied', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  system.otherDisk = BACKUP
  t.match(backup(system), { linked: 0, copied: system.segments().length / 2, check: { damaged: false } })
  for (const path of system.segments().filter((name) => name.startsWith(BACKUP))) {
    t.not(system.files.get(path), system.files.get(path.replace(BACKUP, DIR)))
  }
  t.same(await jobsIn(system, BACKUP), await jobsIn(system, DIR))
})

t.test('a store that goes on changes nothing in the backup', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([], SMALL))
  const store = await openFake(system, { segmentBytes: SMALL })
  await add(store, ...Array.from({ length: 20 }, (_, i) => `before ${i}`))
  backup(system)
  const image = [...contents(system)].filter(([path]) => path.startsWith(BACKUP))
  await add(store, ...Array.from({ length: 20 }, (_, i) => `after ${i}`))
  await store.close()
  const now = contents(system)
  t.same(
    image.filter(([path, bytes]) => now.get(path) !== bytes),
    [],
  )
  t.equal((await jobsIn(system, BACKUP)).length, 20)
})

t.test('a journal that was never used can be backed up', async (t) => {
  const system = new ToolFakeFs()
  await openFake(system)
  t.match(backup(system), { linked: 0, copied: 0, check: { damaged: false, segments: 0 } })
  t.same(await jobsIn(system, BACKUP), [])
})

t.test('a batch that is being written is left out', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([newJob('a'), newJob('b')]))
  const path = system.segments()[0]!
  const last = batchOffsets(system.bytes(path))[1]!
  system.change(path, (bytes) => bytes.fill(0, last + 60))
  t.match(backup(system), { check: { damaged: false, findings: [], jobs: { ready: 1 } } })
  const store = await openFake(system, { dir: BACKUP })
  await add(store, 'c')
  t.same(await keys(store), ['a', 'c'])
})

t.test('a batch that a full disk refused after all is not in it', async (t) => {
  const system = ToolFakeFs.of(await killedJournal([newJob('a'), newJob('refused')]))
  const path = system.segments()[0]!
  const last = batchOffsets(system.bytes(path))[1]!
  let synced = false
  const later = watched(system, (call) => {
    // The zeros behind the batch did not fit: the writer cuts it off again.
    if (call === 'sync' && !synced) system.change(path, (bytes) => bytes.subarray(0, last))
    synced ||= call === 'sync'
  })
  t.match(backup(later), { check: { damaged: false, jobs: { ready: 1 } } })
  t.same(await keys(await openFake(system, { dir: BACKUP })), ['a'])
})

t.test('damage anywhere before the last batch: refused with 65, and nothing is left', async (t) => {
  const image = await busyJournal()
  for (const path of image.segments()) {
    const offsets = batchOffsets(image.bytes(path))
    const end = path === image.segments().at(-1) ? offsets.at(-1)! : image.bytes(path).length
    for (let at = 0; at < end; at += 7) {
      const system = ToolFakeFs.of(image)
      system.bytes(path)[at]! ^= 1
      const before = [...contents(system)]
      const { exitCode, message } = failure(() => backup(system))
      if (exitCode !== 65 || !message.includes('no backup of it was made')) t.fail(`${path}, ${at}: ${message}`)
      if (!message.includes(`${path}, offset `)) t.fail(`it does not name ${path}: ${message}`)
      if (JSON.stringify([...contents(system)]) !== JSON.stringify(before)) t.fail(`${path}, ${at}: something is left`)
      if (system.folders.size !== 2) t.fail(`${path}, ${at}: a folder is left`)
    }
  }
  t.pass()
})

t.test('a missing segment, or no manifest: refused', async (t) => {
  const missing = ToolFakeFs.of(await busyJournal())
  missing.remove(missing.segments()[1]!)
  t.match(
    failure(() => backup(missing)),
    { exitCode: 65, message: /offstage journal fsck \/journal/ },
  )
  const none = ToolFakeFs.of(await busyJournal())
  for (const slot of ['a', 'b']) none.remove(`${DIR}/MANIFEST.${slot}`)
  t.match(
    failure(() => backup(none)),
    { exitCode: 65 },
  )
  t.match(
    failure(() => backup(new ToolFakeFs())),
    { exitCode: 66 },
  )
})

t.test('a journal that was closed and is shorter now is refused, not taken for a torn one', async (t) => {
  const system = ToolFakeFs.of(await closedJournal())
  system.change(system.segments().at(-1)!, (bytes) => bytes.subarray(0, bytes.length - 100))
  t.match(
    failure(() => backup(system)),
    { exitCode: 65, message: /was closed at offset|body of the batch/ },
  )
})

t.test('the destination: must not exist or be empty, and not be inside', async (t) => {
  const image = ToolFakeFs.of(await busyJournal())
  const refused = (change: (system: ToolFakeFs) => void, to: string, message: RegExp) => {
    const system = ToolFakeFs.of(image)
    change(system)
    const before = [...contents(system)]
    t.match(
      failure(() => backup(system, { to })),
      { exitCode: 73, message },
    )
    t.same([...contents(system)], before)
  }
  refused(
    (system) => {
      system.folders.add(BACKUP)
      system.files.set(`${BACKUP}/x`, { bytes: Buffer.alloc(0) })
    },
    BACKUP,
    /there is something in it \(x\)/,
  )
  refused(() => {}, '/none/backup', /there is no \/none: make that first/)
  refused(() => {}, `${DIR}/backup`, /inside of \/journal/)
  refused(() => {}, DIR, /inside of \/journal/)
  refused(
    (system) => {
      system.folders.add(`${BACKUP}.partial`)
      system.files.set(`${BACKUP}.partial/photo.jpg`, { bytes: Buffer.alloc(0) })
    },
    BACKUP,
    /\/backup\.partial is in the way, with photo\.jpg in it/,
  )
})

t.test('an empty folder is filled, also one with lost+found', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  system.folders.add(BACKUP)
  system.folders.add(`${BACKUP}/lost+found`)
  backup(system)
  t.same(await jobsIn(system, BACKUP), await jobsIn(system, DIR))
  t.notOk(system.folders.has(`${BACKUP}/offstage-partial`))
})

for (const place of ['a new folder', 'an empty folder'] as const) {
  t.test(`killed at any call while it fills ${place}: nothing passes for a backup, or it is whole`, async (t) => {
    const image = ToolFakeFs.of(await busyJournal())
    if (place === 'an empty folder') image.folders.add(BACKUP)
    const expected = await jobsIn(image, DIR)
    let whole = 0
    for (let stop = 1; ; stop++) {
      const system = ToolFakeFs.of(image)
      let calls = 0
      let killed: ToolFakeFs | undefined
      system.before = () => {
        if (++calls === stop) killed = ToolFakeFs.of(system)
      }
      backup(system)
      if (killed === undefined) break
      // Both of the places where something may be.
      for (const dir of [BACKUP, `${BACKUP}.partial`, `${BACKUP}/offstage-partial`]) {
        if ((killed.list(dir) ?? []).every((name) => !name.startsWith('0000'))) continue
        const opened = await openFake(killed.copy(), { dir }).then(allJobs, (error: StoreError) => error.code)
        if (opened === 'JOURNAL_CORRUPT') continue
        whole++
        if (JSON.stringify(opened) !== JSON.stringify(expected)) t.fail(`killed at call ${stop}: ${dir} opens`)
      }
      if (killed.list(BACKUP)?.some((name) => name.startsWith('MANIFEST'))) continue
      // The next try takes over what was left, unless segments stand in the folder itself.
      if (killed.list(BACKUP)?.some((name) => name.endsWith('.seg'))) continue
      t.equal(backup(ToolFakeFs.of(killed)).check.damaged, false, `again after a kill at call ${stop}`)
    }
    t.ok(whole > 0)
  })

  t.test(`an error of any call while it fills ${place}: nothing is left, and the code says what it was`, async (t) => {
    const image = ToolFakeFs.of(await busyJournal())
    if (place === 'an empty folder') image.folders.add(BACKUP)
    for (const code of ['ENOSPC', 'EIO']) {
      for (let stop = 1; ; stop++) {
        const system = ToolFakeFs.of(image)
        let calls = 0
        let failed = ''
        system.before = (call, path) => {
          if (++calls !== stop) return
          failed = `${call} ${path}`
          throw systemError(code, path)
        }
        let error: StoreError | undefined
        try {
          backup(system)
        } catch (caught) {
          error = caught as StoreError
        }
        if (failed === '') break
        // A link that fails is made up for by a copy.
        if (failed.startsWith('link')) {
          t.equal(error, undefined)
          continue
        }
        const made = failed.startsWith('makeFolder')
        t.match(error, { exitCode: made ? 73 : 74, message: made ? /cannot make/ : /cannot write/ }, failed)
        if (code === 'ENOSPC' && !made) t.match(error?.message, /make room on that disk/)
        const left = [...system.files.keys()].filter((path) => path.startsWith(BACKUP))
        t.same(left, [], `${failed}: nothing is left`)
      }
    }
  })
}

t.test('what cannot be removed after an error is named', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  system.before = (call, path) => {
    const failing = (call === 'sync' && path.includes('MANIFEST')) || call === 'remove'
    if (failing) throw systemError('EIO', path)
  }
  t.match(
    failure(() => backup(system)),
    {
      exitCode: 74,
      message: /^EIO: .*MANIFEST.*is left in \/backup\.partial, because it cannot be removed: EIO.*by hand$/,
    },
  )
})

t.test('a folder that somebody else fills at the moment is in use', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  const taken = Object.assign(new Error('in use'), { code: 'STORE_LOCKED' })
  const lock = () => {
    throw taken
  }
  t.throws(() => backup(system, { lock }))
  t.same(
    [...system.files.keys()].filter((path) => path.startsWith(BACKUP)),
    [],
  )
})

t.test(
  'segments dropped, begun and rewritten between any two calls: a beginning of history, and all that was acknowledged before',
  async (t) => {
    const keysIn = async (system: FakeFs) => {
      const found = await keys(await openFake(system.copy(), { dir: BACKUP }))
      return found.sort().join()
    }
    let runs = 0
    let restarted = 0
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(13)), fc.nat(60), fc.nat(3), async (choices, stepsBefore, perCall) => {
        const system = new ToolFakeFs()
        const live = new LiveJournal(system)
        let jobs = 0
        const step = () => {
          const choice = choices.next().value
          if (choice < 4) live.enqueue(`job ${jobs++}`)
          else if (choice < 7) live.finish(live.oldest() ?? '')
          else if (choice === 7) live.migrate()
          else if (choice === 8) live.drop()
          else if (choice === 13) live.dropInPart()
          else if (choice === 9) live.unlink()
          else if (choice === 10) live.idle()
          else if (choice === 11) live.restart()
          else live.crash()
        }
        for (let i = 0; i < stepsBefore; i++) step()
        const from = live.history.length - 1
        let calls = 0
        const between = watched(system, () => {
          calls++
          for (let i = 0; i < perCall; i++) step()
        })
        backup(between)
        runs++
        if (calls > 60) restarted++
        const to = live.history.length
        const found = await keysIn(system)
        if (!live.history.slice(from, to).includes(found)) {
          throw new Error(`${found} is none of ${live.history.slice(from, to).join(' | ')}`)
        }
      }),
      { numRuns: 300 },
    )
    t.ok(runs >= 300)
    t.ok(restarted > 0)
  },
)

t.test(
  'a restore has the jobs of the backup, shares no file with it, and is told apart from a damaged one',
  async (t) => {
    const system = ToolFakeFs.of(await busyJournal())
    backup(system)
    const jobs = await jobsIn(system, BACKUP)
    const { linked, check: checked } = restoreJournal(options(system, { from: BACKUP, to: '/new' }))
    t.equal(linked, 0)
    t.equal(checked.folder, '/new')
    t.same(await jobsIn(system, '/new'), jobs)
    const before = contents(system)
    const store = await openFake(system, { dir: '/new', segmentBytes: SMALL })
    await add(store, 'new')
    await store.close()
    for (const [path, bytes] of contents(system)) {
      if (path.startsWith(BACKUP) && before.get(path) !== bytes) t.fail(`${path} was changed`)
    }
    const path = system.segments().find((name) => name.startsWith(BACKUP))!
    for (let at = 0; at < system.bytes(path).length; at += 11) {
      const damaged = ToolFakeFs.of(system)
      damaged.bytes(path)[at]! ^= 1
      const { exitCode, message } = failure(() => restoreJournal(options(damaged, { from: BACKUP, to: '/third' })))
      if (exitCode !== 65 || !message.includes('take an older backup')) t.fail(`${at}: ${message}`)
      if ([...damaged.files.keys()].some((name) => name.startsWith('/third'))) t.fail(`${at}: something is left`)
    }
    t.equal(check(system, undefined, BACKUP).damaged, false)
  },
)

t.test('a backup cut anywhere is refused: it was closed where it ended', async (t) => {
  const system = ToolFakeFs.of(await busyJournal())
  backup(system)
  const path = system
    .segments()
    .filter((name) => name.startsWith(BACKUP))
    .at(-1)!
  for (let end = 0; end < system.bytes(path).length; end++) {
    const cut = ToolFakeFs.of(system)
    cut.change(path, (bytes) => bytes.subarray(0, end))
    if (!check(cut, undefined, BACKUP).damaged) t.fail(`cut at ${end}`)
  }
  t.pass()
})
