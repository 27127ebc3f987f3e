/** `offstage workers`, `jobs`, `dead` and `queue` against a real server. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { command, PROGRAM } from '../support/command.js'
import { readRecord } from '../support/record.js'
import { Server } from '../support/server.js'
import type RecordingWorker from '../support/workers/recording_worker.js'
import type WatchedWorker from '../support/workers/watched_worker.js'

const folder = t.testdir({ record: '' })
const record = join(folder, 'record')
const server = await Server.start({ data: join(folder, 'data'), env: { RECORD: record, OFFSTAGE_RETRY_DELAY: '0.01' } })
const here = ['--server', server.address]
const middleMan = await MiddleMan.connect({ client: server.address })
t.teardown(async () => {
  await middleMan.close()
  await server.kill()
})
const worker = middleMan.worker<RecordingWorker>('recording_worker')
const watched = middleMan.worker<WatchedWorker>('watched_worker')
const offstage = (...args: string[]) => command(...args, ...here)
const LATER = { scheduledAt: Date.UTC(2199, 0, 1) }

async function dead(jobKey: string) {
  const job = await worker.enqFailUntil({ arg: { attempt: 99 }, jobKey, attempts: 1 })
  await job.result().catch(() => undefined)
  return job
}

t.test('workers: a line for each, and all that is known as JSON', async (t) => {
  await middleMan.newWorker({ worker: 'echo_worker', workerKey: 'berlin' })
  const job = await worker.enqRecord({ arg: 1, jobKey: 'later', ...LATER })
  const { out, status } = await offstage('workers')
  t.equal(status, 0)
  t.notOk(out.includes('\u001b'), 'no colours where nobody looks')
  const [head, ...lines] = out.trimEnd().split('\n')
  t.match(
    head,
    /^SERVER +WORKER +KEY +STATE +MAILBOX +IN FLIGHT +RESTARTS +UPTIME +SCHEDULED +READY +ACTIVE +DEAD +QUEUE$/,
  )
  t.match(
    lines.find((line) => line.includes('berlin')),
    new RegExp(`^${server.address} +echo_worker +berlin +running.idle +0 +0 +0 +[\\dms ]+ +0 +0 +0 +0$`),
  )
  t.match(
    lines.find((line) => line.includes('recording_worker')),
    /running\.idle +0 +0 +0 +[\dms ]+ +1 +0 +0 +0$/,
  )
  const json = JSON.parse((await offstage('workers', '--json')).out)
  t.match(
    json[server.address].find((info: { worker: string }) => info.worker === 'recording_worker'),
    {
      jobs: { scheduled: 1 },
      paused: false,
    },
  )
  await job.delete()
})

t.test('colours are for terminals, unless NO_COLOR is set', async (t) => {
  const onTerminal = (env: Record<string, string>) => {
    const { NO_COLOR: _, ...own } = process.env
    const line = [process.execPath, PROGRAM, 'workers', ...here].map((part) => `'${part}'`).join(' ')
    // Of util-linux: it runs the command on a terminal of its own.
    const { stdout, status } = spawnSync('script', ['-qec', line, '/dev/null'], {
      env: { ...own, TERM: 'xterm', ...env },
      encoding: 'utf8',
    })
    t.equal(status, 0)
    t.match(stdout, /echo_worker/)
    return stdout.includes('\u001b[1mSERVER\u001b[0m')
  }
  t.equal(onTerminal({}), true)
  t.equal(onTerminal({ NO_COLOR: '1' }), false)
  t.equal(onTerminal({ TERM: 'dumb' }), false)
})

t.test('queue pause and resume', async (t) => {
  t.match(await offstage('queue', 'pause', 'recording_worker'), { status: 0, out: /recording_worker is paused\n/ })
  t.match(await offstage('queue', 'pause', 'recording_worker'), { status: 0, out: /is paused, as it did before\n/ })
  t.match((await offstage('workers')).out, /recording_worker .* paused$/m)
  const job = await worker.enqRecord({ arg: 'held', jobKey: 'held' })
  t.match(await job.status(), { state: 'ready' })
  t.match(await offstage('queue', 'resume', 'recording_worker', '--json'), { status: 0, out: '{"changed":true}\n' })
  await job.result()
})

t.test('jobs list, with filters', async (t) => {
  const later = await worker.enqRecord({ arg: 1, jobKey: 'a\nb\u001b[2J', priority: 7, ...LATER })
  const failed = await dead('failed')
  const all = await offstage('jobs', 'list')
  t.match(all.out, /^SERVER +ID +WORKER +METHOD +KEY +STATE +PRIORITY +ATTEMPTS +DUE\n/)
  t.match(
    all.out,
    / record +a\\u\{a\}b\\u\{1b\}\[2J +scheduled +7 +0\/5 +2199-01-01T00:00:00\.000Z\n/,
    'no commands for a terminal',
  )
  t.equal(all.out.trimEnd().split('\n').length, 3)
  const json = JSON.parse(
    (await offstage('jobs', 'list', '--state', 'scheduled', '--worker', 'recording_worker', '--json')).out,
  )
  t.match(json, [{ id: later.id, server: server.address, runAt: '2199-01-01T00:00:00.000Z', priority: 7 }])
  t.equal(json.length, 1)
  const limited = JSON.parse((await offstage('jobs', 'list', '--limit', '1', '--json')).out)
  t.equal(limited.length, 1)
  t.match(await offstage('jobs', 'list', '--key', 'none'), { status: 0, out: 'there are no such jobs\n' })
  t.match(await offstage('jobs', 'list', '--state', 'lost'), {
    status: 64,
    errors: /Allowed choices are scheduled, ready, active, dead/,
  })
  await Promise.all([later.delete(), failed.delete()])
})

t.test('jobs show: one job, by its id or its keys', async (t) => {
  const job = await dead('order-7')
  const { out, status } = await offstage('jobs', 'show', String(job.id))
  t.equal(status, 0)
  t.match(
    out,
    new RegExp(`^job {7}${job.id} on ${server.address}\nstate {5}dead\nmethod {4}recording_worker\\.failUntil\n`),
  )
  t.match(out, /\nattempts {2}1 of 1\nfailure {3}Error: not before attempt 99\n {10}at /)
  const byKey = await offstage('jobs', 'show', '--worker', 'recording_worker', '--key', 'order-7', '--json')
  t.match(JSON.parse(byKey.out), { id: job.id, state: 'dead', failure: { message: /not before/ }, endedAt: /Z$/ })
  await job.delete()
  const gone = await offstage('jobs', 'show', String(job.id))
  t.match(gone, { status: 1, out: '', errors: /^offstage: there is no such job: .*\n$/ })
  for (const wrong of [[], ['7', '--key', 'k'], ['--worker', 'w'], ['--key', 'k'], ['seven']]) {
    t.match(await offstage('jobs', 'show', ...wrong), { status: 64, out: '' }, wrong.join(' '))
  }
})

t.test('jobs cancel, retry and delete say what became of the job', async (t) => {
  const later = await worker.enqRecord({ arg: 1, jobKey: 'k', ...LATER })
  const keys = ['--worker', 'recording_worker', '--key', 'k']
  t.match(await offstage('jobs', 'reschedule', ...keys, '--at', 'tomorrow'), { status: 64 })
  t.match(await offstage('jobs', 'reschedule', ...keys, '--at', 'in 3 hours'), {
    status: 0,
    out: 'the job is due at that time\n',
  })
  t.match(await offstage('jobs', 'retry', ...keys), {
    status: 1,
    out: '',
    errors: /is not dead: it waits for its time/,
  })
  t.match(await offstage('jobs', 'cancel', ...keys), { status: 0, out: 'the job was removed before it started\n' })
  t.match(await later.status(), { state: 'unknown' })
  t.match(await offstage('jobs', 'cancel', ...keys), { status: 1, errors: /there is no such job/ })

  const running = await watched.enqReturnsAnyway({ jobKey: 'r' })
  for await (const _ of running.progress()) break
  t.match(await offstage('jobs', 'delete', String(running.id)), { status: 1, errors: /offstage jobs cancel stops it/ })
  t.match(await offstage('jobs', 'cancel', String(running.id)), { status: 1, errors: /has finished already/ })

  const failed = await dead('f')
  t.match(await offstage('jobs', 'cancel', String(failed.id)), {
    status: 1,
    errors: /dead already: offstage jobs delete/,
  })
  const before = readRecord(record).length
  t.match(await offstage('jobs', 'retry', String(failed.id)), { status: 0, out: 'the job runs again\n' })
  await failed.result().catch(() => undefined)
  t.equal(readRecord(record).length, before + 1)
  const deleted = await offstage('jobs', 'delete', String(failed.id), '--json')
  t.match(deleted, { status: 0, out: '{"outcome":"removed"}\n' })
})

t.test('dead: the list with failures; one or all of a worker retried and deleted', async (t) => {
  const jobs = await Promise.all(Array.from({ length: 7 }, (_, i) => dead(`d${i}`)))
  const other = await watched.enqFail({ arg: 'told to', jobKey: 'other', attempts: 1 })
  await other.result().catch(() => undefined)
  const list = await offstage('dead', '--worker', 'recording_worker')
  t.match(list.out, /^SERVER +ID +WORKER +METHOD +KEY +ATTEMPTS +DIED +FAILURE\n/)
  t.equal(list.out.trimEnd().split('\n').length, 8)
  t.match(list.out, / d0 +1\/1 +\S+Z +Error: not before attempt 99$/m)

  const holder = await worker.enqRecord({ arg: 1, jobKey: 'd3', ...LATER })
  const before = readRecord(record).length
  const retried = await offstage('dead', 'retry', '--all', '--worker', 'recording_worker')
  t.match(retried, { status: 1, out: '6 jobs retried\n', errors: /1 job not retried: another job, .*, has the key/ })
  await Promise.all(jobs.map((job) => job.result().catch(() => undefined)))
  t.equal(readRecord(record).length, before + 6)
  await holder.delete()

  t.match(await offstage('dead', 'delete', String(jobs[0]!.id)), { status: 0, out: '1 job removed\n' })
  const deleted = await offstage('dead', 'delete', '--all', '--worker', 'recording_worker', '--json')
  t.match(deleted, { status: 0, out: '{"removed":6}\n' })
  t.match(await middleMan.jobs({ state: 'dead' }), [{ id: other.id }])
  t.match(await offstage('dead', 'delete'), { status: 64, errors: /give the id of a job, or --all/ })
  t.match(await offstage('dead', 'delete', '1', '--all'), { status: 64 })
})
