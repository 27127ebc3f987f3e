/** `middleMan.schedules` over several servers. */
import t from 'tap'
import { RemoteWorkerError } from '#offstage/errors.js'
import { Verb } from '#offstage/wire/envelope.js'
import { echo, type Script } from './scripted-server.js'
import { connect, received, start, stop } from './servers.js'

/** Some servers have `w[k.1].m`; the others have no schedule. */
const having =
  (has: (i: number) => boolean) =>
  (i: number): Script =>
  (call) => {
    if (call.verb === Verb.ALL_WORKER_INFO) echo(call)
    else if (call.verb === Verb.SCHEDULES) call.result(has(i) ? [{ name: 'w[k.1].m', next: [i] }] : [])
    else if (!has(i)) call.fail(new RemoteWorkerError('NO_SCHEDULE', 'there is no such schedule'))
    else call.result(call.verb === Verb.RUN_SCHEDULE ? 'started' : true)
  }

t.test('list has those of every server that is up, and says where each is', async (t) => {
  const servers = await start(
    t,
    3,
    having((i) => i > 0),
  )
  const middleMan = await connect(t, servers)
  const on = (...which: number[]) => which.map((i) => ({ name: 'w[k.1].m', next: [i], server: servers[i]!.address }))
  t.same(await middleMan.schedules.list(), on(1, 2))
  t.same(await middleMan.schedules.list({ host: servers[2]!.address }), on(2))
  await stop(middleMan, servers[1]!)
  t.same(await middleMan.schedules.list(), on(2))
})

t.test('run, pause and resume go by name to all, and those that do not have it do not count', async (t) => {
  const servers = await start(
    t,
    3,
    having((i) => i > 0),
  )
  const middleMan = await connect(t, servers)
  const { run, pause, resume } = middleMan.schedules
  t.equal(await run('w[k.1].m'), 'started')
  await pause('w[k.1].m')
  await resume('w[k.1].m', { host: servers[1]!.address })
  const expected = { worker: 'w', workerKey: 'k.1', method: 'm' }
  const came = servers.map((server) =>
    received(server).map(({ verb, worker, workerKey, method }) => ({ verb, worker, workerKey, method })),
  )
  const both = [Verb.RUN_SCHEDULE, Verb.PAUSE_SCHEDULE].map((verb) => ({ verb, ...expected }))
  t.same(came, [both, [...both, { verb: Verb.RESUME_SCHEDULE, ...expected }], both])
  await t.rejects(pause('w[k.1].m', { host: servers[0]!.address }), { code: 'NO_SCHEDULE', executed: 'no' })
  await stop(middleMan, servers[1]!)
  await stop(middleMan, servers[2]!)
  await t.rejects(run('w[k.1].m'), { code: 'NO_SCHEDULE', executed: 'no' }, 'when none has it, that is the outcome')
})

t.test('what fails on one of them is told, and a run is not sent again', async (t) => {
  const servers = await start(
    t,
    2,
    having(() => true),
  )
  const middleMan = await connect(t, servers)
  const denied = new RemoteWorkerError('ACCESS_DENIED', 'you may not')
  servers[1]!.script = (call) => call.fail(denied)
  await t.rejects(middleMan.schedules.run('w[k.1].m'), {
    name: 'PartialFailure',
    message: /^schedules\.run of w\[k\.1\]\.m failed on 1 of 2 servers: .*: you may not$/,
  })
  servers[1]!.script = () => servers[1]!.cut()
  await t.rejects(middleMan.schedules.run('w[k.1].m', { host: servers[1]!.address }), { code: 'OUTCOME_UNKNOWN' })
  t.equal(received(servers[1]!).filter(({ verb }) => verb === Verb.RUN_SCHEDULE).length, 2)
})
