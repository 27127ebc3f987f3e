import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readRecord } from '../../support/record.js'
import { Server } from '../../support/server.js'

/** Each round starts a server; KILLS=20 is for when this part was changed. */
const ROUNDS = Number(process.env.KILLS ?? 4)

t.test(`kill -9 at the second of a persistent firing, ${ROUNDS} times: one job for each firing`, async (t) => {
  const folder = t.testdir({
    record: '',
    'offstage.yml': 'schedules: { noting_worker: { first: { cron: "* * * * * *", persistent: true } } }',
  })
  const record = join(folder, 'record')
  const options = {
    data: join(folder, 'data'),
    workers: join(import.meta.dirname, 'workers'),
    args: ['--config', join(folder, 'offstage.yml')],
    env: { RECORD: record },
  }
  const queued = new Set<string>()
  let server = await Server.start(options)
  t.teardown(() => server.kill())
  for (let round = 0; round < ROUNDS; round++) {
    // The whole second, or a little after: before, while and after the job runs.
    await new Promise((resolve) => setTimeout(resolve, 1_000 - (Date.now() % 1_000) + (round % 5) * 2))
    await server.kill()
    const firings = JSON.parse(readFileSync(join(options.data, 'schedules.json'), 'utf8'))
    queued.add(`first@${new Date(firings['noting_worker.first'].at).toISOString()}`)
    server = await Server.start(options)
  }
  const ids = () => {
    const byKey = new Map<string, Set<number>>()
    for (const { jobKey, id } of readRecord(record)) byKey.set(jobKey, (byKey.get(jobKey) ?? new Set()).add(id))
    return byKey
  }
  while ([...queued].some((key) => !ids().has(key)) && server.running) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // It writes into the folder that goes with the test.
  await server.kill()
  const found = ids()
  t.strictSame(
    [...queued].filter((key) => !found.has(key)),
    [],
    'what was queued at a kill has run',
  )
  t.strictSame(
    [...found].filter(([, jobs]) => jobs.size !== 1).map(([key]) => key),
    [],
    'and no firing was two jobs',
  )
  t.ok(queued.size >= ROUNDS / 2, `${queued.size} firings were under way`)
  for (const { jobKey, at } of readRecord(record)) t.ok(at >= Date.parse(jobKey.slice(6)), 'none ran early')
})
