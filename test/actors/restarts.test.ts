/** Which ends of a host its worker is started again after, and a `create` that takes too long. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '#offstage/actors/clock.js'
import { callBody, impatient, loadable, rig, SEPARATE_HOSTS, workerSource } from './support.js'

for (const host of SEPARATE_HOSTS) {
  t.test(`a worker in a host of kind ${host}`, (t) => restarts(t, host))
}

async function restarts(t: Test, host: 'thread' | 'process') {
  const source = (body: string, before = '') => workerSource(`static host = '${host}'\n${body}`, before)

  t.test('a transient worker that ends with the exit code 0 is done; any other end is a crash', async (t) => {
    const { clock } = impatient()
    const text = source(`static restart = 'transient'
      exit(code) { process.exit(code) }
      fine() { return 'fine' }`)
    const r = await rig(t, text, { clock })
    await t.rejects(r.call('exit', { arg: 1 }), { code: 'WORKER_CRASHED' })
    t.equal(await r.call('fine'), 'fine')
    t.match(r.actor.info(), { status: 'running', restarts: 1, restart: 'transient', sinceFailure: Number })
    const last = r.call('exit', { arg: 0 })
    const behind = r.call('fine')
    await t.rejects(last, { code: 'WORKER_CRASHED', executed: 'maybe' })
    await t.rejects(behind, { code: 'WORKER_STOPPED', executed: 'no', message: 'worker w has been stopped' })
    t.match(r.actor.info(), { state: 'stopped.normal', restarts: 1 })
    t.match(r.lines.at(-1), { level: 'info', fields: { event: 'stopped' }, message: /is done: .*code 0/ })
  })

  t.test('a temporary worker is never started again, and has failed unless its exit code was 0', async (t) => {
    for (const [code, state] of [
      [0, 'stopped.normal'],
      [1, 'stopped.failed'],
    ] as const) {
      const dir = { testdir: () => t.testdir({ 'w.mjs': text }), teardown: (fn: () => unknown) => t.teardown(fn) }
      const text = source(`static restart = 'temporary'
        exit(code) { process.exit(code) }`)
      const r = await rig(dir, text)
      await t.rejects(r.call('exit', { arg: code }), { code: 'WORKER_CRASHED' })
      t.match(r.actor.info(), { state, restarts: 0 })
      t.throws(() => r.actor.send(callBody('exit'), 'exit', -1, r.sink, 1), { code: 'WORKER_STOPPED' })
    }
  })

  for (const [what, code] of [
    ['never ends', 'return new Promise(() => undefined)'],
    ['blocks its event loop', 'for (;;);'],
  ] as const) {
    t.test(`a create that ${what} is a crash when its time is up, and the next may do better`, async (t) => {
      const limits = new Set<() => void>()
      const clock: Clock = {
        now: () => performance.now(),
        after(ms, fn) {
          if (ms !== 77_777) return systemClock.after(ms, fn)
          limits.add(fn)
          return { cancel: () => void limits.delete(fn) }
        },
      }
      const dir = t.testdir({ 'w.mjs': '' })
      const text = source(
        `static createTimeout = 77_777
        create() { if (existsSync('${dir}/tried')) return; writeFileSync('${dir}/tried', ''); ${code} }
        fine() { return 'fine' }`,
        `import { existsSync, writeFileSync } from 'node:fs'`,
      )
      writeFileSync(join(dir, 'w.mjs'), text)
      const r = loadable(t, text, { file: join(dir, 'w.mjs'), clock })
      await r.actor.load()
      const started = r.actor.start('supervised')
      while (!existsSync(join(dir, 'tried'))) await new Promise((done) => setImmediate(done))
      for (const ring of limits) ring()
      await t.rejects(started, {
        code: 'WORKER_CRASHED',
        message: 'create of w has not ended within 77777 ms (createTimeout), so its host was ended',
      })
      t.equal(await r.call('fine'), 'fine')
      t.equal(limits.size, 0, 'and what has started has no limit any more')
    })
  }
}
