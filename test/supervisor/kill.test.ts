import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'

const ROUNDS = 20
const IN_FLIGHT = 64
/** Acknowledgements after which a round ends: not the same each time, so that the kill falls differently. */
const enough = (round: number) => 40 + 37 * round

t.test('kill -9 with 64 enqueues in flight, 20 times: every acknowledged job is there and runs', async (t) => {
  const folder = t.testdir({ record: '' })
  const record = join(folder, 'record')
  const options = { data: join(folder, 'data'), env: { RECORD: record } }
  const acknowledged = new Set<string>()
  let server = await Server.start(options)
  t.teardown(() => server.kill())
  for (let round = 0; round < ROUNDS; round++) {
    const middleMan = await MiddleMan.connect({ client: server.address })
    const worker = middleMan.worker<RecordingWorker>('recording_worker')
    let inRound = 0
    let next = 0
    let killed: Promise<void> | undefined
    const lane = async () => {
      while (killed === undefined) {
        const jobKey = `${round}:${next++}`
        await worker.enqRecord({ arg: jobKey, jobKey })
        acknowledged.add(jobKey)
        inRound++
        if (inRound === enough(round)) killed = server.kill()
      }
    }
    // What was in flight when the server died has no answer: it may or may not be there.
    const lanes = Array.from({ length: IN_FLIGHT }, () => lane().catch(() => {}))
    while (killed === undefined) await Promise.race([...lanes, new Promise((resolve) => setImmediate(resolve))])
    await killed
    await middleMan.close()
    await Promise.all(lanes)
    server = await Server.start(options)
  }
  const ran = () => new Set(readRecord(record).map((run) => run.jobKey))
  const missing = () => {
    const seen = ran()
    return [...acknowledged].filter((key) => !seen.has(key))
  }
  while (missing().length > 0 && server.running) await new Promise((resolve) => setTimeout(resolve, 20))
  t.strictSame(missing(), [], `all ${acknowledged.size} acknowledged jobs ran`)
  t.ok(acknowledged.size >= ROUNDS * 40)
  for (const key of ran()) t.match(key, /^\d+:\d+$/, 'nothing ran that was never enqueued')
})
