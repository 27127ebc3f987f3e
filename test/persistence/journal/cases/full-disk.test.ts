/** Case 16 of docs/RELIABILITY.md, on a real file system that is full; reserve.test.ts has the rules one by one. */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import type { OffstageError } from '#offstage/errors.js'
import { openJournal } from '#offstage/persistence/journal/open.js'
import { readRecord } from '../../../support/record.js'
import { Server } from '../../../support/server.js'
import { mountTmpfs, noTmpfs } from '../../../support/tmpfs.js'
import type RecordingWorker from '../../../support/workers/recording_worker.js'
import { keys } from '../journals.js'

const MIB = 1024 * 1024
const FAR_AWAY = Date.UTC(2090, 0, 1)
const COMPLETIONS = 500

t.test(
  'case 16: on a full disk enqueues are refused, jobs end, and work resumes by itself',
  {
    skip: noTmpfs,
    timeout: 120_000,
  },
  async (t) => {
    const disk = mountTmpfs(t, 48 * MIB)
    const folder = t.testdir({ record: '', gate: '' })
    const [record, gate] = ['record', 'gate'].map((name) => join(folder, name)) as [string, string]
    const filler = join(disk, 'somebody else')
    writeFileSync(filler, Buffer.alloc(20 * MIB))
    const data = join(disk, 'data')
    const server = await Server.start({ data, env: { RECORD: record } })
    t.teardown(() => server.kill())
    const middleMan = await MiddleMan.connect({ client: server.address })
    t.teardown(() => middleMan.close({ timeout: 0 }))
    const worker = middleMan.worker<RecordingWorker>('recording_worker')
    await worker.enqRecordSlowly({ arg: { gate }, jobKey: 'holds the worker' })
    const waiting = Array.from({ length: COMPLETIONS }, (_, i) => `waits ${i}`)
    await middleMan.enqueueMany(waiting.map((jobKey) => ({ worker: 'recording_worker', method: 'record', jobKey })))

    const stored: string[] = []
    const enqueue = async (jobKey: string, bytes: number): Promise<Partial<OffstageError>> => {
      try {
        await worker.enqRecord({ arg: 'x'.repeat(bytes), jobKey, scheduledAt: FAR_AWAY })
        stored.push(jobKey)
        return {}
      } catch (error) {
        return error as OffstageError
      }
    }
    const full = { code: 'STORE_FULL', executed: 'no', retryable: true }
    let error: Partial<OffstageError> = {}
    for (let i = 0; error.code === undefined; i++) error = await enqueue(`fills ${i}`, 200_000)
    t.match(error, full)
    t.ok(stored.length > 50)
    t.match(await enqueue('small', 10), full, 'and so is a small one, which would need the reserve')

    writeFileSync(gate, 'open')
    while (new Set(readRecord(record).map(({ jobKey }) => jobKey)).size < COMPLETIONS + 1) {
      if (!server.running) throw new Error(`the supervisor ended: ${server.errors}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    t.equal(await worker.deqRecord({ jobKey: stored[0]! }), true, 'removals pass, too')
    t.match(await enqueue('still full', 200_000), full)
    const { bavail, bsize } = statfsSync(disk)
    t.ok(bavail * bsize < 16 * MIB)

    rmSync(filler)
    do error = await enqueue('after', 200_000)
    while (error.code === 'STORE_FULL')
    t.same(error, {})
    await middleMan.close()
    t.equal(await server.stop(), 0)
    const store = await openJournal({ dir: data })
    const found = await keys(store)
    await store.close()
    t.same(found, stored.slice(1), 'what was acknowledged and has not ended, and nothing else')
    t.equal(readRecord(record).length, COMPLETIONS + 1, 'each job ran once')
  },
)
