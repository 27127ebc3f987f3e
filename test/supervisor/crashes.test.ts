/** Workers in threads and processes that crash behind a real supervisor: what it means for them, and for the others. */
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Server } from '../support/server.js'

/** More than a mailbox sends ahead at a time would make no difference: so many wait in the supervisor and in the host. */
const WAITING = 1_000

function source(statics: string, body: string): string {
  return `import { existsSync, writeFileSync } from 'node:fs'
    import { MetaWorker } from 'offstage'
    export default class extends MetaWorker {
      ${statics}
      ${body}
      echo(value) { return value }
    }`
}

async function setUp(t: Test, workers: Record<string, string>) {
  const folder = t.testdir({ workers })
  const server = await Server.start({ data: join(folder, 'data'), workers: join(folder, 'workers'), cwd: folder })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close()
    await server.kill()
  })
  return { server, middleMan }
}

for (const host of ['thread', 'process'] as const) {
  const statics = `static host = '${host}'`
  const sibling = source(statics, '')

  for (const [how, code] of [
    ['throws', "throw new Error('broken create')"],
    ['crashes', 'setImmediate(() => process.exit(3)); return new Promise(() => undefined)'],
  ] as const) {
    t.test(`a create that ${how} on every start in a ${host}: it stops as failed, its siblings live`, async (t) => {
      const bad = source(`${statics}; static maxRestarts = 2`, `create() { ${code} }`)
      const { server, middleMan } = await setUp(t, { 'bad.mjs': bad, 'good.mjs': sibling })
      const reason = how === 'throws' ? /broken create/ : /code 3/
      const line = await server.line(({ event, worker }) => event === 'failed' && worker === 'bad')
      t.match(line, { reason })
      t.match(await middleMan.worker('bad').workerInfo(), { status: 'stopped', state: 'stopped.failed', restarts: 2 })
      await t.rejects(middleMan.worker('bad').echo!({ arg: 1 }), { code: 'WORKER_STOPPED', message: reason })
      t.equal(await middleMan.worker('good').echo!({ arg: 1 }), 1)
      t.match(await middleMan.worker('good').workerInfo(), { status: 'running', restarts: 0 })
    })

    t.test(`a create that ${how} once in a ${host}: it is started again, and takes what waits`, async (t) => {
      const mark = join(t.testdir(), 'mark')
      const create = `create() { if (existsSync('${mark}')) return; writeFileSync('${mark}', ''); ${code} }`
      const { middleMan } = await setUp(t, { 'late.mjs': source(statics, create) })
      t.equal(await middleMan.worker('late').echo!({ arg: 7 }), 7)
      t.match(await middleMan.worker('late').workerInfo(), { status: 'running', restarts: 1 })
    })
  }

  t.test(`a crash in a ${host} with ${WAITING} messages waiting: all of them run afterwards, in order`, async (t) => {
    const body = `die() { process.exit(1) }
      ran = []
      note(n) { this.ran.push(n) }
      all() { return this.ran }`
    const { middleMan } = await setUp(t, { 'w.mjs': source(statics, body) })
    const worker = middleMan.worker('w')
    const dead = worker.die!()
    // What is sent together arrives together.
    const notes = Array.from({ length: WAITING }, (_, arg) => worker.note!({ arg }))
    await t.rejects(dead, { code: 'WORKER_CRASHED', executed: 'maybe' })
    await Promise.all(notes)
    t.same(
      await worker.all!(),
      notes.map((_, n) => n),
    )
    t.match(await worker.workerInfo(), { status: 'running', restarts: 1 })
  })
}
