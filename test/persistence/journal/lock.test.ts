import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { StoreError } from '#offstage/errors.js'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../../contract/job-store.js'
import { journalFolder } from './folder.js'
import { add, keys } from './journals.js'

async function refusal(dir: string): Promise<StoreError | undefined> {
  try {
    await (await openJournal({ dir })).close()
    return undefined
  } catch (error) {
    return error as StoreError
  }
}

t.test('case 20: a second opener is refused with the pid of the first, which is unharmed', async (t) => {
  const dir = journalFolder(t)
  const store = await openJournal({ dir })
  await add(store, 'a')
  const error = await refusal(dir)
  t.match(error, { code: 'STORE_LOCKED', exitCode: 75, details: { pid: process.pid } })
  t.match(error?.message, new RegExp(`in use by process ${process.pid}`))
  await add(store, 'b')
  await store.close()
  const again = await openJournal({ dir })
  t.same(await keys(again), ['a', 'b'])
  await again.close()
})

t.test('a process that was killed holds no lock', async (t) => {
  const dir = journalFolder(t)
  const child = spawn(process.execPath, [fileURLToPath(new URL('./enqueuer.js', import.meta.url)), dir, '1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const error = await refusal(dir)
  t.match(error, { code: 'STORE_LOCKED', details: { pid: child.pid } })
  child.kill('SIGKILL')
  await once(child, 'close')
  t.equal(await refusal(dir), undefined)
})

t.test('makes its folder with all parents, and keeps it to the owner', async (t) => {
  const dir = `${journalFolder(t)}/deep/er`
  const store = await openJournal({ dir })
  await store.enqueue([newJob('k')])
  await store.close()
  t.ok(existsSync(`${dir}/0000000000000001-0000000000000001.seg`))
  t.equal(readFileSync(`${dir}/LOCK`, 'utf8').trim(), String(process.pid))
})

t.test('a folder that is a file is an error of the file system, and takes no lock', async (t) => {
  const dir = journalFolder(t)
  await (await openJournal({ dir })).close()
  t.match(await refusal(`${dir}/LOCK`), { code: 'ENOTDIR' })
})
