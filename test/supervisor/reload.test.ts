/** `--watch`: a real server loads workers again whose files change. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Server } from '../support/server.js'

/** A worker's text; `version` is what its method of that name returns. */
function source(version: number, { statics = '', body = '', before = '' } = {}): string {
  return `import { existsSync } from 'node:fs'
    import { MetaWorker } from 'offstage'
    ${before}
    export default class extends MetaWorker {
      ${statics}
      version(n) { return [${version}, n] }
      /** Until there is such a file, or it is cancelled. */
      async hold(path) {
        this.cache.set('holds', 1)
        while (!existsSync(path) && !this.signal.aborted) await new Promise((next) => setTimeout(next, 10))
        return ${version}
      }
      ${body}
    }`
}

async function setUp(t: Test, files: Record<string, string>, env: Record<string, string> = {}) {
  const folder = t.testdir({ workers: files })
  const server = await Server.start({
    data: join(folder, 'data'),
    workers: join(folder, 'workers'),
    args: ['--watch'],
    env,
    cwd: folder,
  })
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(async () => {
    await middleMan.close()
    await server.kill()
  })
  const path = (name: string) => join(folder, 'workers', name)
  /** Whole at once, as an editor that saves safely does it. */
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, 'new'), text)
    renameSync(join(folder, 'new'), path(name))
  }
  let heard = 0
  /** The next line with this in it. */
  const says = async (text: string) => {
    const line = await server.line((entry) => server.lines.indexOf(entry) >= heard && entry.msg.includes(text))
    heard = server.lines.indexOf(line) + 1
    return line
  }
  const worker = (name: string) => middleMan.worker(name)
  const holds = async (name: string) => {
    while ((await worker(name).askResult('holds')) === null) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return { folder, server, middleMan, path, write, says, worker, holds }
}

for (const host of ['thread', 'process'] as const) {
  t.test(
    `a changed file in a ${host}: what runs ends in the old code, what waits runs in the new, in order`,
    async (t) => {
      const statics = `static host = '${host}'`
      const { folder, write, says, worker, holds } = await setUp(t, { 'w.mjs': source(1, { statics }) })
      t.same(await worker('w').version!({ arg: 0 }), [1, 0])
      const cancelling = new AbortController()
      const first = t.rejects(worker('w').hold!({ arg: '/never', signal: cancelling.signal }), { code: 'CANCELLED' })
      await holds('w')
      const order: number[] = []
      const waiting = Array.from({ length: 100 }, (_, i) =>
        worker('w').version!({ arg: i }).then((answer) => {
          order.push(i)
          return answer
        }),
      )
      const held = worker('w').hold!({ arg: join(folder, 'go on') })
      write('w.mjs', source(2, { statics }))
      await says('w.mjs was loaded again')
      // Its host hears this behind the order to stop: until then it might begin what had been sent ahead to it.
      cancelling.abort()
      await first
      t.same(
        await Promise.all(waiting),
        waiting.map((_, i) => [2, i]),
      )
      writeFileSync(join(folder, 'go on'), '')
      t.same(
        order,
        waiting.map((_, i) => i),
      )
      t.equal(await held, 2)
      t.match(await worker('w').workerInfo(), { status: 'running', restarts: 1 })
    },
  )

  t.test(
    `a method in a ${host} that runs beyond the stop timeout fails, and what waits runs in the new code`,
    async (t) => {
      const statics = `static host = '${host}'`
      const files = { 'w.mjs': source(1, { statics }) }
      const { write, worker, holds } = await setUp(t, files, { OFFSTAGE_STOP_TIMEOUT: '0.1' })
      const held = worker('w').hold!({ arg: '/never' })
      await holds('w')
      const waiting = worker('w').version!({ arg: 7 })
      const failed = t.rejects(held, { code: 'WORKER_CRASHED', message: /started again, because its file has changed/ })
      write('w.mjs', source(2, { statics }))
      await failed
      t.same(await waiting, [2, 7])
    },
  )
}

t.test('a file that does not load leaves the old code running, and the log says why', async (t) => {
  const { server, write, says, worker, path } = await setUp(t, { 'w.mjs': source(1) })
  for (const [text, why] of [
    ['export default class {', 'SyntaxError'],
    ["throw new Error('at import')", 'at import'],
    ['export default 1', 'its default export is a number'],
    [source(2, { statics: "static workerName = 'other'" }), 'was w and is now other'],
  ] as const) {
    write('w.mjs', text)
    const line = await says('was not loaded')
    t.match(line, { level: 50, file: path('w.mjs') })
    t.ok(line.msg.includes(`${path('w.mjs')} was not loaded, and the worker goes on with what it has`), line.msg)
    t.ok(line.msg.includes(why), line.msg)
    t.same(await worker('w').version!({ arg: 1 }), [1, 1])
  }
  const ended = server.lines.filter(({ msg }) => msg.includes('is not started again'))
  t.same(ended, [], 'nothing is said to have ended that runs')
  write('w.mjs', source(3, { body: 'added() { return 5 }' }))
  await says('w.mjs was loaded again')
  t.equal(await worker('w').added!(), 5, 'a new method is known')
})

t.test('helpers, new files and removed ones', async (t) => {
  const helped = source(1, {
    before: "import { answer } from './deep/_helper.mjs'",
    body: 'answer() { return answer }',
  })
  const deep = { '_helper.mjs': 'export const answer = 1' }
  const files = { 'w.mjs': helped, deep: deep as unknown as string }
  const { write, says, worker, path } = await setUp(t, files)
  t.equal(await worker('w').answer!(), 1)
  write('deep/_helper.mjs', 'export const answer = 42')
  const again = await says('was loaded again')
  t.match(again, { file: path('w.mjs'), because: path('deep/_helper.mjs') })
  t.equal(await worker('w').answer!(), 42)

  write('added.mjs', source(7))
  await says('added.mjs was loaded: it is new')
  t.same(await worker('added').version!({ arg: 1 }), [7, 1])

  write('twin.mjs', source(8, { statics: "static workerName = 'added'" }))
  await says('twin.mjs was not loaded, and it has no worker: two files hold a worker named "added"')

  rmSync(path('added.mjs'))
  await says('added.mjs was removed: its worker runs on until the supervisor is started again')
  t.same(await worker('added').version!({ arg: 2 }), [7, 2])
})

t.test('an inline worker cannot be loaded again, and the log says so', async (t) => {
  const statics = "static host = 'inline'"
  const { write, says, worker } = await setUp(t, { 'w.mjs': source(1, { statics }) })
  write('w.mjs', source(2, { statics }))
  await says("w runs inline, in the supervisor's own thread, which cannot load a file twice")
  t.same(await worker('w').version!({ arg: 1 }), [1, 1])
})

t.test('a worker that has failed for good starts again when its file changes', async (t) => {
  const broken = source(1, { statics: 'static maxRestarts = 0', body: "create() { throw new Error('broken') }" })
  const { write, says, worker } = await setUp(t, { 'w.mjs': broken })
  await says('worker w is not started again')
  await t.rejects(worker('w').version!({ arg: 1 }), { code: 'WORKER_STOPPED' })
  write('w.mjs', source(2))
  await says('w.mjs was loaded again')
  t.same(await worker('w').version!({ arg: 1 }), [2, 1])
})
