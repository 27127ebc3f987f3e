/** Threads and processes behind a real supervisor: what a bad job and many instances do to it. */
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { holdings, NEEDS_PROC, ownMemory } from '../support/proc.js'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type EchoWorker from '../support/workers/echo_worker.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

const GOOD = 1000

/** A process costs about twice what a thread costs to start, and needs more memory: fewer of them, fewer at a time. */
const INSTANCES = { thread: { all: 200, atATime: 20 }, process: { all: 60, atATime: 10 } }

/**
 * MiB that the server may grow by in the second half of them, when all have gone: in the first one the allocator takes what
 * it keeps, up to 200. A thread takes 12, so one in eight that stayed would be seen.
 */
const GROWTH = { thread: 150, process: 60 }

for (const host of ['thread', 'process'] as const) {
  async function setUp(t: Test) {
    const yaml = `workers: { recording_worker: { host: ${host} }, echo_worker: { host: ${host} } }`
    const folder = t.testdir({ record: '', 'offstage.yml': yaml })
    const record = join(folder, 'record')
    const server = await Server.start({
      data: join(folder, 'data'),
      cwd: folder,
      env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01' },
    })
    const middleMan = await MiddleMan.connect({ client: server.address })
    t.teardown(async () => {
      await middleMan.close()
      await server.kill()
    })
    return { server, middleMan, runs: () => readRecord(record) }
  }

  t.test(`a poison job in a ${host} ends dead while ${GOOD} good ones finish`, async (t) => {
    const { server, middleMan, runs } = await setUp(t)
    const worker = middleMan.worker<RecordingWorker>('recording_worker')
    const good = Array.from({ length: GOOD }, (_, i) => worker.enqRecord({ arg: i, jobKey: `good ${i}` }))
    const poison = worker.enqDie({ arg: 'poison', jobKey: 'poison', attempts: 3, priority: 1 })
    await Promise.all([...good, poison])
    const dead = await server.line((entry) => entry.msg.includes('for the last time'))
    t.match(dead, { jobKey: 'poison', attempt: 3 })
    t.match(JSON.stringify(dead), /process\.exit, code 3/, 'with the reason')
    const ran = () => new Set(runs().flatMap(({ method, arg }) => (method === 'record' ? [arg] : [])))
    while (ran().size < GOOD) await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal(runs().filter(({ method }) => method === 'die').length, 3)
    t.equal(server.lines.filter((entry) => entry.msg.includes('for the last time')).length, 1, 'no other job is dead')
    // The good ones may have been done before the last crash.
    let info = await worker.workerInfo()
    while (info.status !== 'running') info = await worker.workerInfo()
    t.equal(info.restarts, 3)
  })

  const { all, atATime } = INSTANCES[host]
  t.test(`${all} keyed instances in a ${host} each come and go, and leave nothing behind`, NEEDS_PROC, async (t) => {
    const { server, middleMan } = await setUp(t)
    const pid = server.child.pid!
    const wave = async (first: number) => {
      const keys = Array.from({ length: atATime }, (_, i) => `key ${first + i}`)
      await Promise.all(keys.map((workerKey) => middleMan.newWorker({ worker: 'echo_worker', workerKey })))
      const workers = keys.map((key) => middleMan.worker<EchoWorker>('echo_worker', key))
      t.strictSame(await Promise.all(workers.map((worker, i) => worker.echo({ arg: keys[i]! }))), keys)
      const during = holdings(pid)
      await Promise.all(workers.map((worker) => worker.delete()))
      return during
    }
    // The first wave starts what stays: threads of libuv, memory that is used again.
    await middleMan.worker<EchoWorker>('echo_worker').echo({ arg: 'there' })
    const before = holdings(pid)
    const instances = async () =>
      (await middleMan.allWorkerInfo())[server.address]?.map(({ worker, workerKey }) => `${worker} ${workerKey}`)
    const alone = await instances()
    t.ok(alone?.includes('echo_worker '))
    const during = await wave(0)
    t.ok(host === 'thread' ? during.threads >= before.threads + atATime : during.children >= before.children + atATime)
    const back = async () => {
      for (;;) {
        const now = holdings(pid)
        if (now.threads <= before.threads && now.children <= before.children && now.descriptors <= before.descriptors)
          return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    for (let first = atATime; first < all / 2; first += atATime) await wave(first)
    await back()
    const memory = ownMemory(pid)
    for (let first = all / 2; first < all; first += atATime) await wave(first)
    await back()
    t.strictSame(holdings(pid), before)
    const grown = ownMemory(pid) - memory
    t.ok(grown < GROWTH[host], `${grown.toFixed(1)} MiB more than after the first ${all / 2}`)
    t.strictSame(await instances(), alone)
  })
}
