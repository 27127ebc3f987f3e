import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { newJob } from '../contract/job-store.js'
import { journalFolder } from '../persistence/journal/folder.js'
import { FAILURE, QUEUE } from '../persistence/journal/journals.js'
import { journalTool, makeJournal, recordsIn } from '../support/journal-tool.js'
import { Server } from '../support/server.js'

function segmentsOf(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.seg'))
    .sort()
    .map((name) => join(dir, name))
}

function changeByte(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at]! ^= 1
  writeFileSync(path, bytes)
}

t.test('fsck of a whole journal says what is in it, and ends with 0', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 50)
  const { status, out, errors } = await journalTool('fsck', dir)
  t.equal(status, 0, errors)
  t.match(out, `${dir} is whole, and was closed cleanly.`)
  t.match(out, /jobs +50: 0 scheduled, 50 ready, 0 active, 0 dead/)
  const { out: json } = await journalTool('fsck', dir, '--json')
  t.match(JSON.parse(json), { damaged: false, clean: true, findings: [], jobs: { ready: 50 } })
})

t.test('fsck of a damaged journal names each place and what to do, and ends with 65', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 50)
  const [, second] = segmentsOf(dir)
  changeByte(second!, 10)
  const { status, out } = await journalTool('fsck', dir)
  t.equal(status, 65)
  t.match(out, `${dir} is damaged in 1 place. Nothing was changed. A supervisor refuses to open it, or will miss`)
  t.match(out, `damage: ${second}, offset 0: no valid segment header of this journal`)
  t.match(out, 'What it means:')
  t.match(out, /What to do: .*offstage journal restore.*offstage journal salvage.*docs\/OPERATIONS.md/)
})

t.test('fsck after a crash says that the torn end is no damage', async (t) => {
  const dir = journalFolder(t)
  const store = await openJournal({ dir })
  await store.enqueue([newJob('a')])
  await store.enqueue([newJob('b')])
  t.teardown(() => store.close())
  const [path] = segmentsOf(dir)
  const { out: lines } = await journalTool('inspect', dir)
  const last = recordsIn(lines).at(-1)!
  const image = `${dir}-copy`
  mkdirSync(image)
  for (const name of readdirSync(dir)) writeFileSync(join(image, name), readFileSync(join(dir, name)))
  const copy = path!.replace(dir, image)
  truncateSync(copy, (last.batch as number) + 60)
  const { status, out } = await journalTool('fsck', image)
  t.equal(status, 0)
  t.match(out, 'though it was not closed: the supervisor was killed')
  t.match(out, `note: ${copy}, offset ${last.batch}: the last batch is not whole`)
  t.match(out, 'quarantine/')
})

t.test('fsck and inspect of what is no journal end with 66 and say what to give', async (t) => {
  const dir = journalFolder(t)
  for (const [make, message] of [
    [() => {}, `${dir} does not exist: give the folder that the supervisor was started with`],
    [() => mkdirSync(dir), `${dir} has no journal in it`],
  ] as const) {
    make()
    for (const tool of ['fsck', 'inspect']) {
      const { status, out, errors } = await journalTool(tool, dir)
      t.equal(status, 66)
      t.equal(out, '')
      t.match(errors, message)
    }
  }
  const file = `${dir}/file`
  writeFileSync(file, '')
  t.match(await journalTool('fsck', file), { status: 66, errors: /is a file, not a folder/ })
})

t.test('wrong usage ends with 64', async (t) => {
  t.match(await journalTool('fsck'), { status: 64, errors: /missing required argument 'folder'/ })
  t.match(await journalTool(), { status: 64, errors: /Usage: offstage journal/ })
  t.match(await journalTool('defrag', 'data'), { status: 64, errors: /unknown command 'defrag'/ })
  t.match(await journalTool('inspect', 'data', '--type', 'NONE'), {
    status: 64,
    errors: /There is no NONE; there are ENQ/,
  })
  t.match(await journalTool('inspect', 'data', '--job', 'x'), { status: 64, errors: /Give a whole number/ })
  const help = await journalTool('fsck', '--help')
  t.equal(help.status, 0)
  t.match(help.out, 'Exit status: 0 all is well')
})

t.test('inspect prints each record with its place, its time and its fields', async (t) => {
  const dir = journalFolder(t)
  const store = await openJournal({ dir })
  await store.enqueue([newJob('key', { payload: Buffer.from('83f501f6', 'hex'), maxAttempts: 1, priority: -3 })])
  await store.enqueue([
    newJob('other', { payload: Buffer.from('not CBOR'), atMostOnce: true, runAt: 1_900_000_000_000 }),
  ])
  const [job] = await store.claim(QUEUE, 1)
  await store.fail(job!, FAILURE)
  await store.remove(QUEUE, 'other')
  await store.close()
  const { status, out } = await journalTool('inspect', dir)
  t.equal(status, 0)
  const [enq, other, claim, dead, deq] = recordsIn(out)
  const file = '0000000000000001-0000000000000001.seg'
  t.match(enq, { file, offset: 112, seq: 1, batch: 64, type: 'ENQ', jobId: 1, jobKey: 'key', worker: 'mailer' })
  t.match(enq, { method: 'send', maxAttempts: 1, priority: -3, atMostOnce: false, argument: [true, 1, null] })
  t.match(enq, { time: /^\d{4}-.*Z$/, enqueuedAt: /^\d{4}-.*Z$/, runAt: '1970-01-01T00:00:00.000Z' })
  t.match(other, {
    seq: 2,
    argumentBase64: Buffer.from('not CBOR').toString('base64'),
    runAt: '2030-03-17T17:46:40.000Z',
  })
  t.match(claim, { seq: 3, type: 'CLAIM', jobId: 1, attempt: 1 })
  t.match(dead, { seq: 4, type: 'DEAD', attempt: 1, attempts: 1, failure: FAILURE })
  t.match(deq, { seq: 5, type: 'DEQ', jobId: 2 })
})

t.test('inspect chooses by sequence number, job, key and type', async (t) => {
  const dir = journalFolder(t)
  const store = await openJournal({ dir })
  await store.enqueue([newJob('a'), newJob('b')])
  await store.finish(await store.claim(QUEUE, 2))
  await store.close()
  const found = async (...flags: string[]) =>
    recordsIn((await journalTool('inspect', dir, ...flags)).out).map(({ seq, type }) => `${seq} ${type}`)
  t.same(await found('--from-seq', '5'), ['5 DONE', '6 DONE'])
  t.same(await found('--job', '2'), ['2 ENQ', '4 CLAIM', '6 DONE'])
  t.same(await found('--key', 'a'), ['1 ENQ', '3 CLAIM', '5 DONE'])
  t.same(await found('--type', 'enq,done', '--job', '1'), ['1 ENQ', '5 DONE'])
  t.same(await found('--key', 'none'), [])
})

t.test('inspect shows what JSON has no word for', async (t) => {
  const dir = journalFolder(t)
  const store = await openJournal({ dir })
  const { encodeValue } = await import('#offstage/wire/codec.js')
  const value = [
    new Date(0),
    new Map([['a', 1n]]),
    new Set([1]),
    Buffer.from('x'),
    undefined,
    Number.NaN,
    new Error('e'),
  ]
  await store.enqueue([newJob('all', { payload: Buffer.from(encodeValue(value)) })])
  await store.close()
  const [record] = recordsIn((await journalTool('inspect', dir)).out)
  t.match(record?.argument, [
    { $date: '1970-01-01T00:00:00.000Z' },
    { $map: [['a', { $bigint: '1' }]] },
    { $set: [1] },
    { $bytes: 'eA==' },
    { $undefined: true },
    { $number: 'NaN' },
    { $error: { name: 'Error', message: 'e' } },
  ])
})

t.test(
  'inspect of a damaged journal prints what stands before the damage, says where it is, and ends with 65',
  async (t) => {
    const dir = journalFolder(t)
    await makeJournal(dir, 50)
    const [, second] = segmentsOf(dir)
    const all = recordsIn((await journalTool('inspect', dir)).out)
    const damaged = all.findIndex(({ file, type }) => second!.endsWith(String(file)) && type === 'ENQ') + 2
    changeByte(second!, (all[damaged]!.offset as number) + 25)
    const { status, out, errors } = await journalTool('inspect', dir)
    t.equal(status, 65)
    t.same(recordsIn(out), all.slice(0, damaged))
    t.match(errors, `damage: ${second}, offset ${all[damaged]!.batch}: the body of the batch does not match its CRC`)
  },
)

t.test('inspect ends quietly when its reader has left', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 2000, 1024 * 1024)
  const program = join(import.meta.dirname, '../../../dist/cli/main.js')
  const child = spawn(process.execPath, [program, 'journal', 'inspect', dir], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  child.stdout.once('data', () => child.stdout.destroy())
  const [status] = (await once(child, 'close')) as [number | null]
  t.equal(status, 0)
  t.equal(errors, '')
})

t.test('while a supervisor runs: fsck names it, inspect shows its jobs, and neither disturbs it', async (t) => {
  const dir = journalFolder(t)
  const server = await Server.start({ data: dir })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(() => middleMan.close())
  const worker = middleMan.worker('echo_worker')
  for (let i = 0; i < 20; i++) {
    await worker.enqEcho!({ arg: { i }, jobKey: `later ${i}`, scheduledAt: new Date(Date.now() + 3_600_000) })
  }
  const { status, out } = await journalTool('fsck', dir)
  t.equal(status, 0)
  t.match(out, `Process ${server.child.pid} uses it`)
  t.match(out, /20 scheduled/)
  const inspected = await journalTool('inspect', dir, '--type', 'ENQ')
  t.equal(inspected.status, 0)
  t.same(
    recordsIn(inspected.out).map(({ argument }) => argument),
    Array.from({ length: 20 }, (_, i) => ({ i })),
  )
  t.match(await worker.enqEcho!({ arg: {}, jobKey: 'after', scheduledAt: new Date(Date.now() + 3_600_000) }), {
    created: true,
  })
  await middleMan.close()
  t.equal(await server.stop(), 0)
  const after = await journalTool('fsck', dir)
  t.match(after, { status: 0, out: /closed cleanly/ })
  t.notMatch(after.out, /uses it/)
})

t.test('a file that was put back longer than it was closed is damage', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 3)
  appendFileSync(segmentsOf(dir)[0]!, 'more')
  const { status, out } = await journalTool('fsck', dir)
  t.equal(status, 65)
  t.match(out, /bytes follow/)
})
