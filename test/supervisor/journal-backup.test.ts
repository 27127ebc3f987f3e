import { type ChildProcess, spawn } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { lockFolder } from '#offstage/persistence/journal/lock.js'
import { journalFolder } from '../persistence/journal/folder.js'
import { journalTool, makeJournal, recordsIn } from '../support/journal-tool.js'
import { Server } from '../support/server.js'

const ENQUEUER = join(import.meta.dirname, '../persistence/journal/enqueuer.js')
const HOUR = 3_600_000

/**
 * The program of the kill test: 64 callers that enqueue, and one that finishes. What it says goes to a file, because its
 * writes must not fail when nobody reads.
 */
class Enqueuer {
  readonly #child: ChildProcess
  readonly #said: string
  readonly #changes: EventEmitter & { close(): void }

  constructor(dir: string) {
    this.#said = `${dir}-said`
    const out = openSync(this.#said, 'w')
    this.#child = spawn(process.execPath, [ENQUEUER, dir, 'load'], { stdio: ['ignore', out, 'inherit'] })
    closeSync(out)
    this.#changes = watch(this.#said)
  }

  /** The keys of which it has said this so far. A line without its end is not said yet. */
  keys(what: 'enqueued' | 'finishing'): Set<string> {
    const lines = readFileSync(this.#said, 'utf8').split('\n').slice(0, -1)
    const words = lines.map((line) => line.split(' '))
    return new Set(words.filter(([said]) => said === what).map(([, key]) => key!))
  }

  async until(enqueued: number): Promise<Set<string>> {
    for (;;) {
      const keys = this.keys('enqueued')
      if (keys.size >= enqueued) return keys
      await once(this.#changes, 'change')
    }
  }

  async kill(): Promise<void> {
    this.#changes.close()
    if (this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}

t.test(
  'case 25: backups under load are whole, a beginning of history, and have all that was acknowledged before',
  async (t) => {
    const dir = journalFolder(t)
    const load = new Enqueuer(dir)
    t.teardown(() => load.kill())
    const backups: { to: string; before: Set<string> }[] = []
    for (let i = 1; i <= 2; i++) {
      const to = `${dir}-backup-${i}`
      const before = await load.until(i * 1000)
      const { status, out, errors } = await journalTool('backup', dir, to)
      t.equal(status, 0, errors)
      t.match(out, `Backed up ${dir} to ${to}, and checked it: it is whole.`)
      backups.push({ to, before })
    }
    await load.kill()
    const finishing = load.keys('finishing')
    const history = (await journalTool('inspect', dir)).out.split('\n')
    const lines = new Set(history)
    const oldest = recordsIn(history[0]!)[0]!.seq as number
    for (const { to, before } of backups) {
      t.match(await journalTool('fsck', to), { status: 0, out: /is whole, and was closed cleanly/ })
      const { status, out } = await journalTool('inspect', to)
      t.equal(status, 0)
      const found = new Set<unknown>()
      for (const line of out.split('\n')) {
        const [record] = recordsIn(line)
        if (record === undefined) continue
        found.add(record.jobKey)
        // What the journal has dropped since cannot be compared.
        if (typeof record.seq === 'number' && record.seq >= oldest && !lines.has(line))
          t.fail(`not in the history: ${line}`)
      }
      const lost = [...before].filter((key) => !found.has(key) && !finishing.has(key))
      t.same(lost, [], `of ${before.size} that were acknowledged before`)
    }
  },
)

t.test('a supervisor that is backed up while clients enqueue, and what is restored from it', async (t) => {
  const dir = journalFolder(t)
  const server = await Server.start({ data: dir })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  const worker = middleMan.worker('echo_worker')
  const acknowledged: string[] = []
  let going = true
  const callers = Array.from({ length: 4 }, async (_, caller) => {
    for (let i = 0; going; i++) {
      const jobKey = `${caller}-${i}`
      await worker.enqEcho!({ arg: { i }, jobKey, scheduledAt: new Date(Date.now() + HOUR) })
      acknowledged.push(jobKey)
    }
  })
  while (acknowledged.length < 100) await new Promise((resolve) => setImmediate(resolve))
  const before = [...acknowledged]
  t.match(await journalTool('backup', dir, `${dir}-backup`), { status: 0 })
  going = false
  await Promise.all(callers)
  await middleMan.close()
  await server.kill()
  const restored = await journalTool('restore', `${dir}-backup`, `${dir}-restored`)
  t.equal(restored.status, 0, restored.errors)
  t.match(restored.out, 'Jobs that finished after the backup was made run again.')
  t.match(restored.out, 'Jobs that were enqueued after the backup was made are gone.')
  const next = await Server.start({ data: `${dir}-restored` })
  t.teardown(() => next.kill())
  const again = await MiddleMan.connect({ client: next.address })
  const late = new Date(Date.now() + HOUR)
  for (const jobKey of before) {
    const { created } = (await again.worker('echo_worker').enqEcho!({ arg: {}, jobKey, scheduledAt: late })) as {
      created: boolean
    }
    if (created) t.fail(`job ${jobKey} was acknowledged before the backup, and is not in it`)
  }
  await again.close()
  t.equal(await next.stop(), 0)
})

t.test('a backup that finds damage ends with 65, names it, and leaves nothing', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 60)
  const name = readdirSync(dir).filter((each) => each.endsWith('.seg'))[0]!
  const bytes = readFileSync(join(dir, name))
  bytes[200]! ^= 1
  writeFileSync(join(dir, name), bytes)
  const { status, errors } = await journalTool('backup', dir, `${dir}-backup`)
  t.equal(status, 65)
  t.match(errors, `${dir} is damaged, so no backup of it was made.`)
  t.match(errors, `damage: ${join(dir, name)}, offset `)
  t.notOk(existsSync(`${dir}-backup`))
  t.notOk(existsSync(`${dir}-backup.partial`))
})

t.test('a destination that is there, or cannot be made, ends with 73', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 3)
  mkdirSync(`${dir}-full`)
  writeFileSync(`${dir}-full/file`, '')
  t.match(await journalTool('backup', dir, `${dir}-full`), { status: 73, errors: /there is something in it \(file\)/ })
  t.match(await journalTool('restore', dir, `${dir}-full`), { status: 73, errors: /there is something in it \(file\)/ })
  t.match(await journalTool('backup', dir, `${dir}-none/x`), { status: 73, errors: /make that first/ })
  t.match(await journalTool('backup', dir, `${dir}-full/file`), { status: 73, errors: /is a file/ })
  t.match(await journalTool('backup', `${dir}-none`, `${dir}-x`), { status: 66 })
  t.match(await journalTool('backup', dir), { status: 64, errors: /missing required argument 'destination'/ })
})

t.test('an empty folder is filled, and one that another backup fills is in use', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 60)
  mkdirSync(`${dir}-empty`)
  t.match(await journalTool('backup', dir, `${dir}-empty`), { status: 0, out: /[1-9]\d* linked, 1 copied/ })
  t.match(await journalTool('fsck', `${dir}-empty`), { status: 0, out: /60 ready/ })
  mkdirSync(`${dir}-busy.partial`)
  const unlock = lockFolder(`${dir}-busy.partial`)
  t.match(await journalTool('backup', dir, `${dir}-busy`), { status: 75, errors: new RegExp(`process ${process.pid}`) })
  unlock()
  t.match(await journalTool('backup', dir, `${dir}-busy`), { status: 0 })
})

const MEMORY = '/dev/shm'
const other = existsSync(MEMORY) && statSync(MEMORY).dev !== statSync(tmpdir()).dev
const skip = other ? false : `${MEMORY} is no file system of its own here`

t.test('a backup to another file system is copied', { skip }, async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 60)
  const folder = mkdtempSync(join(MEMORY, 'offstage-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  t.match(await journalTool('backup', dir, join(folder, 'backup')), { status: 0, out: / 0 linked, [1-9]/ })
  t.match(await journalTool('restore', join(folder, 'backup'), `${dir}-new`), { status: 0 })
  t.match(await journalTool('fsck', `${dir}-new`), { status: 0, out: /60 ready/ })
})
