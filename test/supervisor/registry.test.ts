import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CachedResults } from '#offstage/supervisor/cached-results.js'
import { Registry } from '#offstage/supervisor/registry.js'
import { WORKERS } from '../support/server.js'

async function setUp(t: Test) {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const options = {
    overrides: new Map(),
    groups: [],
    results: new CachedResults(
      { result_ttl: 0, result_entries: 10, result_bytes: 1_000, memcache: undefined },
      () => undefined,
    ),
    log,
    stopTimeout: 1_000,
    onChange() {},
  }
  const registry = new Registry(options as never)
  t.teardown(() => registry.stop())
  await registry.load([join(WORKERS, 'echo_worker.js')])
  await registry.start()
  return registry
}

t.test('stop ends an instance that is only being started, and nothing starts after it', async (t) => {
  const registry = await setUp(t)
  const starting = t.rejects(registry.startNew('echo_worker', 'late', undefined), { code: 'WORKER_STOPPED' })
  await registry.stop()
  await starting
  await t.rejects(registry.startNew('echo_worker', 'later', undefined), { code: 'DRAINING' })
})

t.test('the instance without a key can be started again after it was deleted', async (t) => {
  const registry = await setUp(t)
  await t.rejects(registry.startNew('echo_worker', '', undefined), {
    code: 'WORKER_KEY_IN_USE',
    message: /without a key already/,
  })
  await registry.remove('echo_worker', '')
  t.equal(registry.find('echo_worker', ''), undefined)
  await registry.startNew('echo_worker', '', undefined)
  t.match(registry.info('echo_worker', ''), { status: 'running' })
})
