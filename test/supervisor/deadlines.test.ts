/** Limits of methods, dead letters and events, seen from outside: by clients, the queue, and a program that embeds. */
import { MiddleMan, type WorkerInfo } from 'offstage/middleman'
import { startSupervisor, type WorkerEvent } from 'offstage/supervisor'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { SEPARATE_HOSTS } from '../actors/support.js'

interface Line {
  msg: string
  [field: string]: unknown
}

const LIMITED = (host: string) => `import { MetaWorker } from 'offstage/actors'
export default class extends MetaWorker {
  static host = '${host}'
  static maxRestarts = 100
  static timeouts = { loop: 20, heed: 20, slow: 20 }
  static grace = 20
  loop() { for (;;); }
  async slow() { await new Promise(() => undefined) }
  async heed() {
    const { signal, persistentJob } = this
    if (persistentJob.attempt > 1) { this.cache.set('heeded', persistentJob.attempt); return }
    await new Promise((done) => signal.addEventListener('abort', done))
    throw signal.reason
  }
  note(n) { this.cache.set('note ' + n, n) }
}`

const NARROW = `import { MetaWorker } from 'offstage/actors'
export default class extends MetaWorker {
  static mailboxLimit = 1
  static noAutoLoad = true
  async wait() { await new Promise((done) => this.signal.addEventListener('abort', done)) }
  next() {}
}`

async function setUp(t: Test, files: Record<string, string>) {
  const cwd = t.testdir({ workers: files })
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  const logger = pino({ level: 'debug', base: null }, { write: (text: string) => written(JSON.parse(text) as Line) })
  const written = (line: Line) => {
    lines.push(line)
    for (const wake of waiting) wake()
  }
  const supervisor = await startSupervisor({ cwd, port: 0, logger, retry_delay: 0.01, stop_timeout: 1 })
  const middleMan = await MiddleMan.connect({ client: supervisor.address })
  /** Before the end of the test, which takes the folder of the journal away. */
  const end = async () => {
    await middleMan.close()
    await supervisor.stop()
  }
  /** The first line, past or future, that fits. */
  const line = async (fits: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      const found = lines.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => waiting.add(resolve))
    }
  }
  return { supervisor, middleMan, lines, line, end }
}

for (const host of SEPARATE_HOSTS) {
  t.test(`queued jobs beyond their limit in a host of kind ${host}`, async (t) => {
    const { supervisor, middleMan, lines, line, end } = await setUp(t, { 'limited_worker.mjs': LIMITED(host) })
    const events: WorkerEvent[] = []
    const leave = supervisor.events.subscribe((event) => events.push(event))
    const worker = middleMan.worker('limited_worker')
    await worker.enqLoop!({ jobKey: 'endless', attempts: 2 })
    await worker.enqSlow!({ jobKey: 'deaf', attempts: 2 })
    await worker.enqHeed!({ jobKey: 'polite' })
    for (let n = 0; n < 20; n++) await worker.enqNote!({ arg: n, jobKey: `note ${n}` })

    for (const [jobKey, method] of [
      ['endless', 'loop'],
      ['deaf', 'slow'],
    ] as const) {
      const dead = await line((entry) => entry.jobKey === jobKey && /for the last time/.test(entry.msg))
      t.match(dead, { code: 'WORKER_CRASHED', attempt: 2, method })
      t.match(dead.msg, `${method} (job key "${jobKey}") went on for 20 ms after its deadline`)
      const first = await line((entry) => entry.jobKey === jobKey && /is tried again/.test(entry.msg))
      t.match(first, { code: 'WORKER_CRASHED', attempt: 1 }, 'the first attempt counts, and the job goes back')
    }
    t.match(await line((entry) => entry.jobKey === 'polite'), { code: 'DEADLINE_EXCEEDED', attempt: 1 })
    while ((await worker.askResult('heeded')) !== 2) await line(() => true)
    for (let n = 0; n < 20; n++) {
      while ((await worker.askResult(`note ${n}`)) !== n) await line(() => true)
    }
    leave()
    const crashes = events.filter(({ type }) => type === 'crashed')
    t.equal(crashes.length, 4, 'each attempt of the two that are deaf')
    t.equal(events.filter(({ type }) => type === 'restarted').length, 4)
    t.notOk(lines.some(({ event }) => event === 'deadLetter'))
    await end()
  })
}

t.test('asynchronous calls that are not taken are dead letters, and their callers know', async (t) => {
  const { middleMan, line, end } = await setUp(t, { 'narrow_worker.mjs': NARROW })
  const nobody = middleMan.worker('narrow_worker', 'nobody')
  await t.rejects(nobody.asyncNext!({ jobKey: 'a' }), { code: 'NO_WORKER' })
  const fields = { event: 'deadLetter', worker: 'narrow_worker', method: 'next' }
  t.match(await line(({ jobKey }) => jobKey === 'a'), { ...fields, workerKey: 'nobody', why: 'NO_WORKER' })

  await middleMan.newWorker({ worker: 'narrow_worker', workerKey: 'one' })
  const one = middleMan.worker('narrow_worker', 'one')
  await one.asyncWait!({ jobKey: 'waits' })
  await t.rejects(one.asyncNext!({ jobKey: 'b' }), { code: 'OVERLOADED', executed: 'no' })
  t.match(await line(({ jobKey }) => jobKey === 'b'), { ...fields, workerKey: 'one', why: 'OVERLOADED' })
  const info: WorkerInfo = await one.workerInfo()
  t.match(info, { mailbox: 1, refused: 1, oldest: Number })
  await end()
})
