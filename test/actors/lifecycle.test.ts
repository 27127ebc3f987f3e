/** The machine behind a worker's state, with a clock that is moved by hand. */
import t from 'tap'
import { createActor } from 'xstate'
import { type LifecycleEvent, lifecycle, machineClock } from '#offstage/actors/lifecycle.js'
import { VirtualClock } from '#offstage/actors/virtual-clock.js'

function life(random = 0.999_999_999) {
  const clock = new VirtualClock()
  let launches = 0
  const machine = createActor(lifecycle.provide({ actions: { launch: () => launches++ } }), {
    input: { random: () => random },
    clock: machineClock(clock),
  }).start()
  const send = (event: LifecycleEvent) => machine.send(event)
  send({ type: 'described', maxRestarts: 5, restartPeriod: 60 })
  return {
    send,
    state: () => JSON.stringify(machine.getSnapshot().value).replaceAll(/["{}]/g, '').replace(':', '.'),
    context: () => machine.getSnapshot().context,
    launches: () => launches,
    pass: (ms: number) => clock.advance(ms, async () => undefined),
    created: () => send({ type: 'created', at: clock.now() }),
    failed: () => send({ type: 'failed', at: clock.now(), reason: 'why' }),
  }
}

t.test('from loading through running to stopped', async (t) => {
  const w = life()
  t.equal(w.state(), 'loading.starting')
  w.created()
  t.equal(w.state(), 'running.idle')
  w.send({ type: 'busy' })
  w.send({ type: 'busy' })
  t.equal(w.state(), 'running.busy')
  w.send({ type: 'idle' })
  w.send({ type: 'drain' })
  t.equal(w.state(), 'running.draining')
  w.send({ type: 'busy' })
  t.equal(w.state(), 'running.draining')
  w.send({ type: 'ended' })
  t.equal(w.state(), 'stopped.normal')
  w.created()
  w.failed()
  t.equal(w.state(), 'stopped.normal', 'for good')
})

t.test('pauses double up to ten seconds, with jitter between half and all', async (t) => {
  for (const [random, share] of [
    [0, 0.5],
    [0.999_999_999, 1],
  ] as const) {
    const w = life(random)
    w.send({ type: 'described', maxRestarts: 100, restartPeriod: 60 })
    for (const full of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
      w.failed()
      t.equal(w.state(), 'loading.backingOff')
      const launches = w.launches()
      await w.pass(full * share - 1)
      t.equal(w.launches(), launches, `not before ${full * share} ms`)
      await w.pass(1.1)
      t.equal(w.launches(), launches + 1)
      t.equal(w.state(), 'loading.starting')
    }
  }
})

t.test('the pause begins anew after ten stable seconds, and not before', async (t) => {
  const w = life()
  for (let i = 0; i < 3; i++) {
    w.created()
    w.failed()
    await w.pass(10_000)
  }
  t.equal(w.context().failures.streak, 3)
  w.created()
  await w.pass(9_999)
  w.failed()
  t.equal(w.context().failures.streak, 4)
  await w.pass(10_000)
  w.created()
  await w.pass(10_000)
  w.failed()
  t.equal(w.context().failures.streak, 1)
})

t.test('more failures than allowed within the period stop it as failed; spread out they do not', async (t) => {
  const w = life()
  for (let i = 0; i < 5; i++) {
    w.created()
    w.failed()
    t.equal(w.state(), 'loading.backingOff')
    await w.pass(2_000)
  }
  t.equal(w.context().restarts, 5)
  w.created()
  w.failed()
  t.equal(w.state(), 'stopped.failed')
  t.equal(w.context().failure, 'why')

  const slow = life()
  for (let i = 0; i < 50; i++) {
    slow.created()
    slow.failed()
    await slow.pass(12_001)
  }
  t.equal(slow.state(), 'loading.starting')
})

t.test('what gives up is not started again', async (t) => {
  const w = life()
  w.send({ type: 'gaveUp', at: 1, reason: 'no' })
  t.equal(w.state(), 'stopped.failed')
  await w.pass(60_000)
  t.equal(w.launches(), 0)
})

t.test('stopped while it waits, it does not start any more', async (t) => {
  const w = life()
  w.failed()
  w.send({ type: 'ended' })
  await w.pass(60_000)
  t.equal(w.launches(), 0)
  t.equal(w.state(), 'stopped.normal')
})
