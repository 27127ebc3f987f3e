/** Cases 14, 15, 17 and 19 of docs/RELIABILITY.md: the disk refuses or fails, by strace and over files in memory. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { Verb } from '#offstage/wire/envelope.js'
import { newJob } from '../../../contract/job-store.js'
import { type Answer, body, RawClient } from '../../../support/raw-client.js'
import { Server } from '../../../support/server.js'
import { noStrace, straced } from '../../../support/strace.js'
import type RecordingWorker from '../../../support/workers/recording_worker.js'
import { SMALL } from '../damage.js'
import { FakeFs } from '../fake-fs.js'
import { add, failing, keys, openFake, outcome, QUEUE } from '../journals.js'

const FAR_AWAY = Date.UTC(2090, 0, 1)
const FIRST_SEGMENT = '0000000000000001-0000000000000001.seg'

const strace = { skip: noStrace, timeout: 120_000 }

/** A folder for a supervisor's journal. */
function dataFolder(t: Test): string {
  const folder = mkdtempSync(`${tmpdir()}/offstage-faults-`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return `${folder}/data`
}

/** Keys of what is in a journal that no supervisor has open. */
async function keysIn(dir: string): Promise<string[]> {
  const store = await openJournal({ dir })
  const found = await keys(store)
  await store.close()
  return found
}

function enqueueBody(jobKey: string, argument?: Uint8Array): Buffer {
  return body(Verb.ENQUEUE, { worker: 'recording_worker', method: 'record', jobKey, runAt: FAR_AWAY }, argument)
}

const FATAL = [
  { number: 14, call: 'fdatasync', fake: 'sync', code: 'EIO', what: 'an fdatasync that fails once' },
  { number: 15, call: 'pwritev', fake: 'write', code: 'EIO', what: 'a write that fails once with EIO' },
  { number: 17, call: 'fdatasync', fake: 'sync', code: 'ENOSPC', what: 'an fdatasync that fails with ENOSPC' },
] as const

for (const { number, call, fake, code, what } of FATAL) {
  t.test(`case ${number}: ${what} ends the supervisor with exit 74 and no acknowledgement`, strace, async (t) => {
    const data = dataFolder(t)
    const before = ['a', 'b', 'c']
    const first = await Server.start({ data })
    t.teardown(() => first.kill())
    const middleMan = await MiddleMan.connect({ client: first.address })
    const worker = middleMan.worker<RecordingWorker>('recording_worker')
    for (const jobKey of before) await worker.enqRecord({ arg: null, jobKey, scheduledAt: FAR_AWAY })
    await middleMan.close()
    await first.kill()

    const log = `${data}-strace`
    const injection = { call, how: `error=${code}:when=1`, paths: [`${data}/${FIRST_SEGMENT}`], log }
    const server = await Server.start({ data, wrap: (command) => straced(command, injection) })
    t.teardown(() => server.kill())
    const client = await RawClient.connect(server.port)
    const asked = Array.from({ length: 64 }, (_, i) => `lost ${i}`)
    const answers: Answer[] = []
    for (const jobKey of asked) void client.send(enqueueBody(jobKey)).then((answer) => answers.push(answer))
    t.equal(await server.ended(), 74, server.errors)
    await client.closed
    for (const answer of answers) t.match(answer.error, { code: /STORE_FAILED|OUTCOME_UNKNOWN/, executed: 'maybe' })
    t.match(server.errors + JSON.stringify(server.lines), new RegExp(code))
    const calls = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${call}(`))
    t.equal(calls.length, 1, `not another ${call} after the one that failed`)
    t.match(calls[0], /INJECTED/)

    const found = await keysIn(data)
    for (const key of before) t.ok(found.includes(key), `${key} is there`)
    for (const key of found) t.ok(before.includes(key) || asked.includes(key), `${key} was asked for`)
    const again = await Server.start({ data })
    t.teardown(() => again.kill())
    t.equal(await again.stop(), 0, 'and it can be started again')
  })

  t.test(`case ${number}: after ${what} nothing is acknowledged, tried again or written`, async (t) => {
    const system = new FakeFs()
    const store = await openFake(system)
    await add(store, 'before')
    const failed = new Promise<Error>((resolve) => store.on('failed', resolve))
    failing(system, fake, code)
    const pending = [store.enqueue([newJob('lost')]), store.claim(QUEUE, 1), store.remove(QUEUE, 'nothing')]
    const [enqueued, claimed] = await Promise.all(pending.map(outcome))
    t.match(enqueued, { code: 'STORE_FAILED', executed: 'maybe' })
    // A claim is answered once it is written, and this one may have been.
    if (fake === 'write') t.match(claimed, { code: 'STORE_FAILED', executed: 'maybe' })
    t.match(await failed, { code: 'STORE_FAILED', exitCode: 74 })
    let calls = 0
    system.before = () => calls++
    t.match(await outcome(store.enqueue([newJob('after')])), { code: 'STORE_FAILED', executed: 'no' })
    t.match(await outcome(store.finish([{ id: 1, attempt: 1 }])), { code: 'STORE_FAILED' })
    await store.close()
    t.equal(calls, 0, 'not even the manifest is touched')
    t.ok((await keys(await openFake(system.copy()))).includes('before'))
  })
}

for (const code of ['EMFILE', 'EROFS'] as const) {
  t.test(`case 19: ${code} at a rotation refuses the enqueue, and the supervisor goes on`, strace, async (t) => {
    const data = dataFolder(t)
    const paths = [`${data}/0000000000000002-0000000000000005.seg.tmp`]
    const injection = { call: 'openat', how: `error=${code}:when=1`, paths, log: `${data}-strace` }
    const server = await Server.start({
      data,
      env: { OFFSTAGE_MAX_BODY: String(16 * 1024 * 1024) },
      wrap: (command) => straced(command, injection),
    })
    t.teardown(() => server.kill())
    const client = await RawClient.connect(server.port)
    // Five of them do not fit into one segment of 64 MiB.
    const large = Buffer.alloc(15 * 1024 * 1024)
    large.set([0x5a, 0x00, 0xef, 0xff, 0xfb]) // CBOR: a byte string that fills the rest
    for (const jobKey of ['1', '2', '3', '4']) {
      t.match(await client.send(enqueueBody(jobKey, large)), { value: { created: true } })
    }
    const refused = await client.send(enqueueBody('5', large))
    t.match(refused.error, { code: 'STORE_FULL', executed: 'no', retryable: true, message: new RegExp(code) })
    t.ok(readFileSync(injection.log, 'utf8').includes('INJECTED'))
    t.match(await client.send(enqueueBody('small')), { value: { created: true } }, 'it fits into the old segment')
    t.match(await client.send(enqueueBody('5', large)), { value: { created: true } }, 'and now there is a new one')
    client.end()
    t.equal(await server.stop(), 0)
    t.equal(readdirSync(data).filter((name) => name.endsWith('.seg')).length, 2)
    t.notOk(existsSync(paths[0]!))
    t.same(await keysIn(data), ['1', '2', '3', '4', 'small', '5'])
  })
}

for (const code of ['EMFILE', 'EROFS', 'ENOSPC']) {
  t.test(`case 19: ${code} at a new segment refuses enqueues and leaves the old segment as it was`, async (t) => {
    const system = new FakeFs()
    const store = await openFake(system, { segmentBytes: SMALL })
    await add(store, ...Array.from({ length: 10 }, (_, i) => `job ${i}`))
    failing(system, 'create', code)
    const many = Array.from({ length: 12 }, (_, i) => newJob(`more ${i}`))
    t.match(await outcome(store.enqueue(many)), { code: 'STORE_FULL', executed: 'no' })
    t.equal((await keys(await openFake(system.copy(), { segmentBytes: SMALL }))).length, 10)
    system.before = () => {}
    await store.enqueue(many)
    t.equal((await keys(await openFake(system.copy(), { segmentBytes: SMALL }))).length, 22)
  })
}
