import { join } from 'node:path'
import t from 'tap'
import { findWorkerFiles, isFolder } from '#offstage/supervisor/worker-files.js'

t.test('every module below the folder is a worker file, but for helpers, tests and what was compiled', async (t) => {
  const root = t.testdir({
    elsewhere: { 'd_worker.js': '' },
    workers: {
      'b_worker.js': '',
      'a_worker.mjs': '',
      'typed_worker.ts': '',
      'built_worker.ts': '',
      'built_worker.js': '',
      'built_worker.d.ts': '',
      'built_worker.js.map': '',
      '_shared.js': '',
      'a_worker.test.js': '',
      'notes.txt': '',
      node_modules: { 'x.js': '' },
      '.hidden': { 'y.js': '' },
      deep: { er: { 'c_worker.js': '' }, _lib: { 'z.js': '' } },
      linked: t.fixture('symlink', '../elsewhere'),
    },
  })
  const folder = join(root, 'workers')
  t.strictSame(
    findWorkerFiles([folder]),
    [
      'a_worker.mjs',
      'b_worker.js',
      'built_worker.js',
      'deep/er/c_worker.js',
      'linked/d_worker.js',
      'typed_worker.ts',
    ].map((name) => join(folder, name)),
  )
})

t.test('one file is found once, also when the folders overlap', async (t) => {
  const folder = t.testdir({ deep: { 'a.js': '' } })
  t.strictSame(findWorkerFiles([folder, join(folder, 'deep')]), [join(folder, 'deep/a.js')])
})

t.test('a link back up is followed once', async (t) => {
  const folder = t.testdir({ 'a.js': '', up: t.fixture('symlink', '.') })
  t.strictSame(findWorkerFiles([folder]), [join(folder, 'a.js')])
})

t.test('a link that leads nowhere is named', async (t) => {
  const folder = t.testdir({ 'a_worker.js': t.fixture('symlink', 'gone.js') })
  t.throws(() => findWorkerFiles([folder]), {
    code: 'CONFIGURATION',
    message: /a_worker.js is a link that leads nowhere/,
  })
})

t.test('a folder that is missing or a file is named, with what to do', async (t) => {
  const folder = t.testdir({ file: '' })
  t.throws(() => findWorkerFiles([join(folder, 'nowhere')]), { message: /nowhere.*ENOENT.*--workers/ })
  t.throws(() => findWorkerFiles([join(folder, 'file')]), { message: /file.*ENOTDIR/ })
  t.throws(() => isFolder(join(folder, 'file')), { message: /is a file/ })
  t.equal(isFolder(join(folder, 'nowhere')), false)
})
