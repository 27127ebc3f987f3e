/** Groups of workers that stand and fall together, in real threads and processes. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Group, type GroupPlan, type Member, type Strategy } from '#offstage/actors/group.js'
import { type WorkerEvent, WorkerEvents } from '#offstage/actors/worker-events.js'
import { impatient, Rig, SEPARATE_HOSTS, workerSource } from './support.js'

const BODY = `
  async create() {
    // The first takes longest, so that the order of the others' start is not what it happens to be.
    if (this.workerName === 'a') await new Promise((done) => setTimeout(done, 30))
    if (existsSync(this._file('broken'))) throw new Error('no create')
  }
  die() { process.exit(3) }
  hang() { this.cache.set('hangs', true); return new Promise(() => undefined) }
  async waitForFile() { while (!existsSync(this._file('open'))) await new Promise((done) => setTimeout(done, 5)) }
  echo(arg) { return arg }
  _file(what) { return new URL('./' + this.workerName + '.' + what, import.meta.url) }`

interface Options extends Partial<Omit<GroupPlan, 'name' | 'workers' | 'strategy'>> {
  /** Statics of single workers. */
  statics?: Record<string, string>
}

/** Workers a, b, c and d in one group, and a worker that is in none. */
async function setUp(t: Test, host: string, strategy: Strategy, { statics = {}, ...limits }: Options = {}) {
  const names = ['a', 'b', 'c', 'd', 'outside']
  const dir = t.testdir({})
  const { clock, pauses } = impatient()
  const seen: string[] = []
  const events = new WorkerEvents((error) => t.fail(String(error)))
  let heard: () => void = () => {}
  const all: WorkerEvent[] = []
  events.subscribe((event) => {
    all.push(event)
    seen.push(`${event.worker} ${event.type}`)
    heard()
  })
  const rigs: Record<string, Rig> = {}
  const plan: GroupPlan = {
    name: 'g',
    strategy,
    workers: ['a', 'b', 'c', 'd'],
    maxRestarts: 5,
    restartPeriod: 60,
    ...limits,
  }
  const group = new Group({ plan, find: (worker) => rigs[worker]?.actor, clock, random: () => 0 })
  for (const name of names) {
    const file = join(dir, `${name}.mjs`)
    const before = `import { existsSync } from 'node:fs'`
    writeFileSync(file, workerSource(`static host = '${host}'\n${statics[name] ?? ''}\n${BODY}`, before))
    rigs[name] = new Rig({ file, events, clock })
  }
  t.teardown(() => Promise.all(names.map((name) => rigs[name]!.actor.stop(0))))
  await Promise.all(names.map((name) => rigs[name]!.actor.load()))
  for (const name of plan.workers) rigs[name]!.actor.join(group)
  const until = async (so: () => boolean) => {
    while (!so()) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
  }
  const states = () => Object.fromEntries(names.map((name) => [name, rigs[name]!.actor.info().state.split('.')[0]]))
  const restarts = () => names.map((name) => rigs[name]!.actor.info().restarts)
  const openFor = (name: string) => writeFileSync(join(dir, `${name}.open`), '')
  const mendCreate = (name: string) => rmSync(join(dir, `${name}.broken`))
  const breakCreate = (name: string) => writeFileSync(join(dir, `${name}.broken`), '')
  /** What has been seen since the last time. */
  const take = () => seen.splice(0)
  return {
    rigs: rigs as Record<'a' | 'b' | 'c' | 'd' | 'outside', Rig>,
    group,
    until,
    seen,
    all,
    take,
    states,
    restarts,
    pauses,
    breakCreate,
    mendCreate,
    openFor,
  }
}

async function running(t: Test, host: string, strategy: Strategy, options: Options = {}) {
  const set = await setUp(t, host, strategy, options)
  await set.rigs.outside.actor.start('supervised')
  await set.group.start()
  t.same(set.take(), ['outside started', 'a started', 'b started', 'c started', 'd started'], 'started in order')
  return set
}

for (const host of SEPARATE_HOSTS) {
  t.test(`groups in a ${host} each`, (t) => groups(t, host))
}

async function groups(t: Test, host: string) {
  t.test('one-for-all restarts all members in the order of their start, having ended them in reverse', async (t) => {
    const { rigs, until, seen, take, restarts } = await running(t, host, 'one-for-all')
    await t.rejects(rigs.b.call('die'), { code: 'WORKER_CRASHED' })
    await until(() => seen.includes('d restarted'))
    t.same(take(), [
      ...['b crashed', 'd halted', 'c halted', 'a halted'],
      ...['a backingOff', 'b backingOff', 'c backingOff', 'd backingOff'],
      ...['a restarted', 'b restarted', 'c restarted', 'd restarted'],
    ])
    t.same(restarts(), [1, 1, 1, 1, 0])
    t.match(rigs.a.actor.info(), {
      group: 'g',
      failure: /the host of a was ended, because b of its group g failed.*code 3/,
    })
    t.equal(rigs.outside.actor.info().group, undefined)
  })

  t.test('rest-for-one restarts exactly the one that failed and those after it', async (t) => {
    const { rigs, until, seen, take, restarts } = await running(t, host, 'rest-for-one')
    await t.rejects(rigs.b.call('die'), { code: 'WORKER_CRASHED' })
    await until(() => seen.includes('d restarted'))
    t.same(take(), [
      ...['b crashed', 'd halted', 'c halted'],
      ...['b backingOff', 'c backingOff', 'd backingOff'],
      ...['b restarted', 'c restarted', 'd restarted'],
    ])
    t.same(restarts(), [0, 1, 1, 1, 0])
  })

  t.test('a second failure while a group is being restarted widens what is restarted', async (t) => {
    const { rigs, until, seen, restarts } = await running(t, host, 'rest-for-one')
    const dead = [rigs.c.call('die'), rigs.b.call('die')]
    await Promise.all(dead.map((call) => t.rejects(call, { code: 'WORKER_CRASHED' })))
    await until(() => seen.filter((what) => what === 'd restarted').length > 0 && seen.at(-1) === 'd restarted')
    const [a, b, ...rest] = restarts()
    t.equal(a, 0)
    t.equal(b, 1)
    t.ok(rest.slice(0, 2).every((count) => count >= 1))
  })

  t.test('one that fails when it is started again takes nobody with it that runs again in front of it', async (t) => {
    const { rigs, until, seen, take, breakCreate, mendCreate } = await running(t, host, 'rest-for-one')
    breakCreate('c')
    await t.rejects(rigs.b.call('die'), { code: 'WORKER_CRASHED' })
    await until(() => seen.includes('c crashed'))
    mendCreate('c')
    await until(() => seen.includes('d restarted'))
    t.same(
      take().filter((what) => !what.includes('backingOff')),
      ['b crashed', 'd halted', 'c halted', 'b restarted', 'c crashed', 'c restarted', 'd restarted'],
    )
  })

  t.test('members that are ended for another keep what waits and lose what runs', async (t) => {
    const { rigs, all } = await running(t, host, 'one-for-all')
    const runs = rigs.d.call('hang')
    const waits = Array.from({ length: 100 }, (_, n) => rigs.d.call('echo', { arg: n }))
    await rigs.d.until(() => rigs.d.cache.has('hangs'))
    await t.rejects(rigs.a.call('die'), { code: 'WORKER_CRASHED' })
    await t.rejects(runs, {
      code: 'WORKER_CRASHED',
      executed: 'maybe',
      message: /d was ended, because a of its group g failed/,
    })
    t.same(
      await Promise.all(waits),
      Array.from({ length: 100 }, (_, n) => n),
    )
    t.match(
      all.find(({ type, worker }) => type === 'halted' && worker === 'd'),
      { lost: 1, kept: Number },
    )
  })

  t.test('crash on every start: the intensity of the group, then failed state, siblings alive', async (t) => {
    const { rigs, group, until, seen, take, states, restarts, pauses, breakCreate } = await setUp(
      t,
      host,
      'one-for-all',
      {
        maxRestarts: 2,
      },
    )
    breakCreate('c')
    await rigs.outside.actor.start('supervised')
    await group.start()
    const waits = rigs.d.call('echo', { arg: 1 })
    await Promise.all([
      until(() => seen.includes('d failed')),
      t.rejects(waits, { code: 'WORKER_STOPPED', executed: 'no' }),
    ])
    await until(() => seen.includes('a failed'))
    t.same(
      take().filter((what) => !what.includes('backingOff')),
      [
        ...['outside started', 'a started', 'b started', 'c crashed', 'b halted', 'a halted'],
        ...['a restarted', 'b restarted', 'c crashed', 'b halted', 'a halted'],
        ...['a restarted', 'b restarted', 'c crashed'],
        ...['d failed', 'c failed', 'b failed', 'a failed'],
      ],
    )
    t.same(
      pauses.filter((ms) => ms >= 50),
      [50, 100],
      'with growing pauses',
    )
    t.match(states(), { a: 'stopped', b: 'stopped', c: 'stopped', d: 'stopped', outside: 'running' })
    t.equal(rigs.a.actor.info().state, 'stopped.failed')
    t.match(rigs.a.actor.info().failure, /c of its group g failed: .*no create/)
    t.equal(await rigs.outside.call('echo', { arg: 'alive' }), 'alive')
    t.equal(restarts().at(-1), 0)
  })

  t.test('a transient member that is done stays so, a temporary one that was ended too', async (t) => {
    const statics = {
      b: `static restart = 'transient'\nleave() { process.exit(0) }`,
      d: `static restart = 'temporary'`,
    }
    const { rigs, until, seen, take, states } = await running(t, host, 'one-for-all', { statics })
    await t.rejects(rigs.b.call('leave'), { code: 'WORKER_CRASHED' })
    t.same(take(), ['b stopped'], 'which is no failure of the group')
    await t.rejects(rigs.a.call('die'), { code: 'WORKER_CRASHED' })
    await until(() => seen.includes('c restarted'))
    t.same(take(), [
      ...['a crashed', 'd halted', 'd failed', 'c halted'],
      ...['a backingOff', 'c backingOff', 'a restarted', 'c restarted'],
    ])
    t.match(states(), { a: 'running', b: 'stopped', c: 'running', d: 'stopped' })
  })

  t.test('a group is stopped in reverse, one after another; a failure meanwhile starts nothing', async (t) => {
    const { rigs, group, take, openFor } = await running(t, host, 'rest-for-one')
    const busy = rigs.d.call('waitForFile')
    const stopped = group.stop(60_000)
    await t.rejects(rigs.b.call('die'), { code: 'WORKER_CRASHED' })
    t.same(take(), ['b crashed'], 'd is not done, and the others go on')
    openFor('d')
    await busy
    await stopped
    t.same(take(), ['d stopped', 'c stopped', 'b stopped', 'a stopped'])
  })

  t.test('a member that was stopped by hand is left out of what its group does', async (t) => {
    const { rigs, until, seen, take } = await running(t, host, 'one-for-all')
    await rigs.c.actor.stop(1_000)
    await t.rejects(rigs.a.call('die'), { code: 'WORKER_CRASHED' })
    await until(() => seen.includes('d restarted'))
    t.same(
      take().filter((what) => what.startsWith('c')),
      ['c stopped'],
    )
  })
}

t.test('who fails while others are still being ended does not shorten what is started again', async (t) => {
  const plan: GroupPlan = {
    name: 'g',
    strategy: 'rest-for-one',
    workers: ['a', 'b', 'c', 'd'],
    maxRestarts: 5,
    restartPeriod: 60,
  }
  const seen: string[] = []
  const waiting = new Set<string>()
  let endD: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    endD = resolve
  })
  const member = (name: string): Member => ({
    alive: true,
    get waits() {
      return waiting.has(name)
    },
    async hold() {
      if (waiting.has(name)) return
      waiting.add(name)
      seen.push(`${name} held`)
      if (name === 'd') await gone
    },
    async start() {
      waiting.delete(name)
      seen.push(`${name} started`)
    },
    backOff() {},
    giveUp() {},
    async stop() {},
  })
  const members = new Map(plan.workers.map((name) => [name, member(name)]))
  const timers: (() => void)[] = []
  const clock = {
    now: () => 1,
    after(_ms: number, fn: () => void) {
      timers.push(fn)
      return { cancel: () => void timers.splice(timers.indexOf(fn), 1) }
    },
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const group = new Group({ plan, find: (name) => members.get(name), clock })
  await group.start()
  for (const name of ['b', 'c']) {
    waiting.add(name)
    group.failed(name, 'why')
  }
  endD()
  await turn()
  t.equal(timers.length, 1, 'the first round has been overtaken')
  timers[0]!()
  await turn()
  t.same(seen, ['d held', 'b started', 'c started', 'd started'])
})
