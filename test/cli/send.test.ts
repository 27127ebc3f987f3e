/** `offstage call`, `async` and `enqueue` against a real server. */
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { command, commandWith } from '../support/command.js'
import { Server } from '../support/server.js'

const server = await Server.start({ data: t.testdir() })
const here = ['--server', server.address]
const middleMan = await MiddleMan.connect({ client: server.address })
t.teardown(async () => {
  await middleMan.close()
  await server.kill()
})

t.test('call prints the result as JSON, with forms for what JSON cannot say', async (t) => {
  const argument = '{"when": {"$date": "2030-01-31T08:00:00.000Z"}, "bytes": {"$bytes": "aGVsbG8="}, "none": null}'
  const { out, status, errors } = await command('call', 'echo_worker', 'echo', argument, ...here)
  t.match({ status, errors }, { status: 0, errors: '' })
  t.strictSame(JSON.parse(out), JSON.parse(argument))
  const line = await command('call', 'echo_worker', 'echo', '{"$map": [["a", {"$bigint": "1"}]]}', '--json', ...here)
  t.equal(line.out, '{"$map":[["a",{"$bigint":"1"}]]}\n')
  t.match(await command('call', 'echo_worker', 'echo', ...here), { status: 0, out: '{\n  "$undefined": true\n}\n' })
  t.match(await command('call', 'echo_worker', 'echo', '-5', ...here), { status: 0, out: '-5\n' })
})

t.test('call with keys, on all servers, and an argument from standard input', async (t) => {
  await middleMan.newWorker({ worker: 'echo_worker', workerKey: 'berlin' })
  const keys = ['--worker-key', 'berlin', '--key', 'k']
  const one = await command('call', 'echo_worker', 'some_task', '1', ...keys, '--json', ...here)
  t.strictSame(JSON.parse(one.out), { arg: 1, jobKey: 'k', workerKey: 'berlin' })
  const all = await command('call', 'echo_worker', 'echo', '[]', '--host', 'all', '--json', ...here)
  t.equal(all.out, '[[]]\n')
  const piped = await commandWith({ input: '\n"grüße"\n' }, 'call', 'echo_worker', 'echo', '-', ...here)
  t.match(piped, { status: 0, out: '"grüße"\n' })
  const broken = await commandWith({ input: '[1,\n2,\n' }, 'call', 'echo_worker', 'echo', '-', ...here)
  const errors = 'offstage: standard input is no JSON: at line 3, column 1 it ends, where a value is expected\n'
  t.match(broken, { status: 65, out: '', errors })
  const latin1 = await commandWith({ input: Uint8Array.of(0x22, 0xfc, 0x22) }, 'call', 'w', 'm', '-', ...here)
  t.match(latin1, { status: 65, errors: /no text in UTF-8/ })
})

t.test('what the method throws, and how long it may take', async (t) => {
  const failed = await command('call', 'echo_worker', 'fail', '"told to"', ...here)
  t.strictSame(failed, { status: 1, out: '', errors: 'offstage: told to\n' })
  const late = await command('call', 'echo_worker', 'untilAborted', '--timeout', '200 milliseconds', ...here)
  t.match(late, { status: 75, errors: /no answer of echo_worker\.untilAborted within 200 ms/ })
})

t.test('names that a proxy has for itself are no methods', async (t) => {
  for (const method of ['workerInfo', 'delete', 'pauseQueue', 'asyncEcho', 'enq_echo', 'then', '_private']) {
    const { status, errors } = await command('call', 'echo_worker', method, ...here)
    t.equal(status, 64, method)
    t.match(errors, /is no method that a worker can have/, method)
  }
})

t.test('async ends when the call has been taken', async (t) => {
  const sent = await command('async', 'echo_worker', 'remember', '{"key": "cli", "value": [7]}', ...here)
  t.match(sent, { status: 0, out: 'echo_worker.remember has been called\n' })
  // Calls run in their order.
  await middleMan.worker('echo_worker').echo!()
  t.strictSame(await middleMan.worker('echo_worker').askResult('cli'), [7])
  t.match(await command('async', 'echo_worker', 'echo', '--json', ...here), { status: 0, out: '{"taken":true}\n' })
})

t.test('enqueue adds a job once, with all that a job can have', async (t) => {
  const options = [
    '--at',
    '2199-01-31T08:00:00+01:00',
    '--priority',
    '-3',
    '--attempts',
    '9',
    '--run-timeout',
    '2 minutes',
  ]
  const args = ['enqueue', 'echo_worker', 'echo', '--key', 'order-7', '{"order": 7}', ...options, ...here]
  t.match(await command(...args), { status: 0, out: /^job 1 on 127\.0\.0\.1:\d+\n$/ })
  t.match(await command(...args), {
    status: 0,
    out: /^job 1 on .*, which has the key "order-7" already .*nothing was added/,
  })
  const json = await command(...args, '--json')
  t.strictSame(JSON.parse(json.out), { id: 1, created: false, replaced: false, server: server.address })
  t.match(await command(...args, '--uniqueness', 'replace'), {
    status: 0,
    out: /^job 1 on .*, which had the key .* is what was given now/,
  })
  t.match(await middleMan.jobs({ jobKey: 'order-7' }), [
    { id: 1, runAt: Date.UTC(2199, 0, 31, 7), priority: -3, maxAttempts: 9, timeout: 120_000, state: 'scheduled' },
  ])
  const before = Date.now()
  await command('enqueue', 'echo_worker', 'echo', '--key', 'soon', '--at', 'in 5 hours', ...here)
  const [soon] = await middleMan.jobs({ jobKey: 'soon' })
  t.ok(soon!.runAt >= before + 5 * 3_600_000 && soon!.runAt <= Date.now() + 5 * 3_600_000)
})
