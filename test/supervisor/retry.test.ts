/** When failed jobs are tried again, as `static retry` and `static retries` say it. */
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { OffstageError, RemoteWorkerError } from '#offstage/errors.js'
import { DEFAULT_BACKOFF } from '#offstage/persistence/backoff.js'
import { nextAttemptIn } from '#offstage/supervisor/next-attempt.js'
import { Server } from '../support/server.js'

const HOUR = 3_600_000
const even = () => 0.5

function thrown(name: string, details: Record<string, unknown> = {}, code?: string): OffstageError {
  const remote = code === undefined ? { name, message: 'no' } : { name, message: 'no', code }
  return new RemoteWorkerError('WORKER_ERROR', 'no', { executed: 'yes', remote, details })
}

t.test('what a policy leaves open is as the configuration has it', (t) => {
  const next = (policy: Parameters<typeof nextAttemptIn>[0], attempt: number, error = thrown('Error')) =>
    nextAttemptIn(policy, attempt, error, DEFAULT_BACKOFF, even)
  t.equal(next(undefined, 1), undefined)
  t.equal(next({ attempts: 9 }, 3), 4_000)
  t.equal(next({ delay: 100 }, 3), 400)
  t.equal(next({ delay: 100, backoff: 'fixed' }, 30), 100)
  t.equal(next({ delay: 100, maxDelay: 250 }, 3), 250)
  t.equal(next({ delay: 2 * HOUR, backoff: 'fixed' }, 1), 2 * HOUR, 'a pause that is asked for is not cut')
  t.equal(
    nextAttemptIn({ delay: 100, jitter: 0 }, 1, thrown('Error'), DEFAULT_BACKOFF, () => 0.99),
    100,
  )
  t.equal(
    nextAttemptIn({ delay: 100, jitter: 1 }, 1, thrown('Error'), DEFAULT_BACKOFF, () => 0),
    0,
  )
  t.end()
})

t.test('errors that are not tried again go by the name or the code that they have in the worker', (t) => {
  const next = (error: OffstageError) =>
    nextAttemptIn({ except: ['CardDeclined', 'E_GONE', 'WORKER_CRASHED'] }, 1, error, DEFAULT_BACKOFF, even)
  t.equal(next(thrown('CardDeclined')), false)
  t.equal(next(thrown('Error', {}, 'E_GONE')), false)
  t.equal(next(thrown('Error')), 1_000)
  t.equal(next(new OffstageError('WORKER_CRASHED', 'gone')), false)
  t.end()
})

t.test('a function of the worker says it, or the defaults do when it does not', (t) => {
  const next = (details: Record<string, unknown>) =>
    nextAttemptIn({ backoff: 'own', delay: 50 }, 1, thrown('Error', details), DEFAULT_BACKOFF, even)
  t.equal(next({ retryIn: 7 }), 7)
  t.equal(next({ retryIn: false }), false)
  t.equal(next({}), 50)
  t.equal(nextAttemptIn({}, 1, thrown('Error', { retryIn: 7 }), DEFAULT_BACKOFF, even), 1_000, 'only where it has one')
  t.end()
})

const WORKER = `import { MetaWorker } from 'offstage'
class CardDeclined extends Error { name = 'CardDeclined' }
export default class extends MetaWorker {
  static retry = { delay: 0, except: ['CardDeclined'] }
  static retries = {
    charge: { attempts: 2, backoff: 'fixed', delay: ${HOUR}, jitter: 0 },
    poll: { attempts: 9, backoff: (attempt, error) => (error.message === 'stop' ? false : attempt) },
    odd: { backoff: () => 'soon' },
    broken: { backoff: () => { throw new Error('no idea') } },
  }
  charge() { throw new Error('always') }
  decline() { throw new CardDeclined('always') }
  plain() { throw new Error('always') }
  poll(stop) { throw new Error(this.persistentJob.attempt === stop ? 'stop' : 'go on') }
  odd() { throw new Error('always') }
  broken() { throw new Error('always') }
}
`

async function setUp(t: Test, source: string, configuration = '') {
  const cwd = t.testdir({ workers: { 'w.mjs': source }, 'offstage.yml': configuration })
  const server = await Server.start({
    data: join(cwd, 'data'),
    workers: join(cwd, 'workers'),
    cwd,
    env: { OFFSTAGE_ATTEMPTS: '3' },
  })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close()
    await server.kill()
  })
  const worker = middleMan.worker('w')
  /** The lines about one job until it is dead, or waits for longer than a test. */
  const story = async (method: string, options: Record<string, unknown> = {}, key = method) => {
    const name = `enq${method[0]!.toUpperCase()}${method.slice(1)}`
    await worker[name]!({ jobKey: key, ...options })
    const long = (runAt: unknown) => Date.parse(String(runAt)) - Date.now() > HOUR / 2
    await server.line((line) => line.jobKey === key && (line.msg.includes('for the last time') || long(line.runAt)))
    return server.lines.filter((line) => line.jobKey === key)
  }
  return { server, worker, story }
}

t.test('each method by its own policy, on a real server', async (t) => {
  const { story } = await setUp(t, WORKER)
  t.same(
    (await story('plain')).map(({ attempt }) => attempt),
    [1, 2, 3],
    'as often as the configuration has it',
  )
  t.same(
    (await story('decline')).map(({ attempt }) => attempt),
    [1],
  )
  const [charge] = await story('charge')
  t.match(charge, { attempt: 1, level: 40 })
  t.ok(Math.abs(Date.parse(String(charge!.runAt)) - Number(charge!.time) - HOUR) < 60_000)
  t.same(
    (await story('poll', { arg: 4 })).map(({ attempt }) => attempt),
    [1, 2, 3, 4],
  )
  const own = await story('plain', { attempts: 2 }, 'own')
  t.equal(own.length, 2, 'an enqueue that says it itself wins')
})

t.test('a backoff that fails is told, and the defaults hold', async (t) => {
  const { server, worker } = await setUp(t, WORKER)
  await worker.enqOdd!({ jobKey: 'odd' })
  t.match(await server.line(({ msg }) => msg.startsWith('the backoff of w.odd failed')), { jobKey: 'odd', attempt: 1 })
  t.match(await server.line(({ msg, jobKey }) => jobKey === 'odd' && msg.includes('tried again')), { attempt: 1 })
  await worker.enqBroken!({ jobKey: 'broken' })
  t.match(await server.line(({ msg }) => msg.includes('w.broken failed: no idea')), { jobKey: 'broken' })
})

t.test('the configuration wins over the class', async (t) => {
  const { story } = await setUp(t, WORKER, 'workers: { w: { retry: { attempts: 1, max_delay: 5 }, retries: {} } }')
  t.same(
    (await story('charge')).map(({ attempt }) => attempt),
    [1],
  )
})

t.test('a policy that makes no sense is an error when the worker is loaded', async (t) => {
  const cases: [string, RegExp][] = [
    ['static retry = { attempt: 3 }', /static retry is an object: allowed is an object with any of attempts/],
    ['static retry = { attempts: 0 }', /static retry is/],
    ["static retry = { backoff: 'linear' }", /static retry is/],
    ['static retry = { delay: -1 }', /static retry is/],
    ['static retry = { jitter: 2 }', /static retry is/],
    ["static retry = { except: 'Error' }", /static retry is/],
    ['static retries = { rnu: {} }', /retries has "rnu", which clients cannot call; methods are: run/],
    ['static retries = { run: 5 }', /static retries is/],
  ]
  for (const [statics, message] of cases) {
    const folder = t.testdir({
      'w.mjs': `import { MetaWorker } from 'offstage'; export default class extends MetaWorker { ${statics}; run() {} }`,
    })
    const server = Server.spawn({ data: join(folder, 'data'), workers: folder })
    t.equal(await server.ended(), 78)
    t.match(server.errors, message)
  }
})
