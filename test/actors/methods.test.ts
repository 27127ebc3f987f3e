/** What clients can call, and how a worker file is found to be one. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { callBody, loadable, type Rig, rig, workerSource } from './support.js'

t.test('only own functions of the exported class can be called', async (t) => {
  const source = workerSource(
    `static staticMethod() { ran('staticMethod') }
    field = () => ran('field')
    constructor() { super() }
    create() {}
    ok() { return 'ok' }
    async okLater() { return 'later' }
    _private() { ran('_private') }
    __proto() { ran('__proto') }
    #hidden() { ran('hidden') }
    get getter() { ran('getter'); return () => ran('getter') }
    set setter(v) { ran('setter') }
    [Symbol.iterator]() { ran('symbol') }
    then() { ran('then') }
    catch() { ran('catch') }
    finally() { ran('finally') }
    toJSON() { ran('toJSON') }
    valueOf() { return this }
    toString() { return 'text' }
    hasOwnProperty() { ran('hasOwnProperty') }
    *generator() { ran('generator') }
    async *stream() { ran('stream') }
    workerInfo() { ran('workerInfo') }
    askResult() { ran('askResult') }
    resetResult() { ran('resetResult') }
    delete() { ran('delete') }
    inspect() { ran('inspect') }
    asymmetricMatch() { ran('asymmetricMatch') }
    asyncFoo() { ran('asyncFoo') }
    enq_foo() { ran('enq_foo') }
    deqFoo() { ran('deqFoo') }
    asynchronous() { return 'asynchronous' }
    enqueue() { return 'enqueue' }
    addTimer() { ran('addTimer') }`,
    `import { MetaWorker as Base0 } from 'offstage/actors'
    function ran(name) { throw new Error('ran ' + name) }
    class Base extends Base0 { inherited() { ran('inherited') } }`,
  ).replace('extends MetaWorker', 'extends Base')
  const r = await rig(t, source)
  const description = await loadable(t, source).actor.load()
  t.same(description.methods, ['ok', 'okLater', 'asynchronous', 'enqueue'])
  const refused = new Map(description.refused.map(({ name, why }) => [name, why]))
  t.same(
    [...refused.keys()].sort(),
    [
      'addTimer',
      'askResult',
      'asymmetricMatch',
      'asyncFoo',
      'catch',
      'delete',
      'deqFoo',
      'enq_foo',
      'finally',
      'generator',
      'hasOwnProperty',
      'inspect',
      'resetResult',
      'stream',
      'then',
      'toJSON',
      'toString',
      'valueOf',
      'workerInfo',
    ].sort(),
  )
  t.match(refused.get('asyncFoo'), /"async" before a name/)
  t.match(refused.get('generator'), /generator/)
  for (const name of ['ok', 'okLater', 'asynchronous', 'enqueue']) t.ok(await r.call(name), name)
  for (const name of [
    ...refused.keys(),
    ...['constructor', 'create', '_private', '__proto', '#hidden', 'hidden', 'getter', 'setter', 'field'],
    ...['inherited', 'staticMethod', '__proto__', 'isPrototypeOf', 'logger', 'cache', 'jobKey', '', 'Symbol.iterator'],
    ...['Symbol(Symbol.iterator)', 'Ok', 'ok ', 'unknown'],
  ]) {
    await t.rejects(r.call(name), { name: 'RemoteWorkerError', code: 'NO_METHOD', executed: 'no' }, `refuses ${name}`)
  }
  await t.rejects(r.call('then'), { message: /has no method "then" to call: JavaScript itself/ })
  t.equal(await r.call('ok'), 'ok', 'and none of them ran or broke anything')
})

t.test('the host itself also refuses a name that is not in its table', async (t) => {
  const r = await rig(t, workerSource('ok() {}\n_no() { process.exit(1) }'))
  for (const name of ['__proto__', 'hasOwnProperty', 'constructor', '_no']) {
    const code = await new Promise((resolve) => {
      // A body that names another method than the one that `send` was told: the envelope counts.
      r.actor.send(
        callBody(name),
        'ok',
        -1,
        {
          result: () => resolve('it ran'),
          failed: (_tag, bytes, start, end) => resolve(bytes.toString('latin1', start, end)),
          settle: () => undefined,
        },
        1,
      )
    })
    t.match(code, /NO_METHOD/, name)
  }
})

const BAD_FILES: Record<string, [source: string, message: RegExp, cause?: object]> = {
  'no default export': ['export class W {}', /w\.mjs.*no default export.*export default class/s],
  'an object as default export': ['export default {}', /default export is an object, not a class/],
  'a function as default export': ['export default function work() {}', /work, does not extend MetaWorker/],
  'MetaWorker itself': [`export { MetaWorker as default } from 'offstage/actors'`, /MetaWorker itself/],
  'a class that extends nothing': ['export default class Foo {}', /Foo, does not extend MetaWorker/],
  'a class of a second copy': [
    `class Other { static [Symbol.for('offstage.MetaWorker')] = 'file:///elsewhere/worker.js' }
    export default class Foo extends Other {}`,
    /Foo extends the MetaWorker of a second copy of offstage, file:\/\/\/elsewhere\/worker\.js/,
  ],
  'an error at import': [
    `throw Object.assign(new TypeError('no config'), { code: 'E_CONF' })`,
    /w\.mjs cannot be imported: it threw TypeError: no config/,
    { name: 'TypeError', message: 'no config', code: 'E_CONF', stack: /w\.mjs:1/ },
  ],
  'a syntax error': ['export default class {', /cannot be imported: it threw SyntaxError/, { name: 'SyntaxError' }],
  'a package that is missing': [`import 'no-such-package-at-all'`, /Cannot find package 'no-such-package-at-all'/],
  'process.exit at import': ['process.exit(4)', /host of w ended.*code 4/],
  'a concurrency of 0': [workerSource('static concurrency = 0'), /static concurrency is 0.*whole number from 1/],
  'a concurrency that is text': [workerSource(`static concurrency = '2'`), /static concurrency is "2"/],
  'an unknown host': [workerSource(`static host = 'moon'`), /static host is "moon".*'thread', 'process' or 'inline'/],
  'a name with a space': [workerSource(`static workerName = 'a b'`), /static workerName is "a b".*letters/],
  'an empty name': [workerSource(`static workerName = ''`), /static workerName is ""/],
  'noAutoLoad that is a number': [workerSource('static noAutoLoad = 1'), /noAutoLoad is 1.*true or false/],
  'an endless restart period': [workerSource('static restartPeriod = Infinity'), /restartPeriod is Infinity/],
  'an environment that is a list': [
    workerSource(`static env = ['A=1']`),
    /static env is an object.*text of each variable/,
  ],
  'an environment with a number': [workerSource('static env = { PORT: 80 }'), /static env is an object.*text of each/],
  'an environment of its own, inline': [
    workerSource(`static host = 'inline'\nstatic env = { A: '1' }`),
    /w\.mjs cannot be used: env is set.*'inline'.*'thread' or 'process'/,
  ],
  'flags for Node that are text': [workerSource(`static execArgv = '--expose-gc'`), /execArgv is "--expose-gc".*list/],
  'flags for Node in a thread': [workerSource(`static execArgv = ['--expose-gc']`), /'thread'.*choose 'process'/],
  'a mailbox of none': [workerSource('static mailboxLimit = 0'), /mailboxLimit is 0/],
}

for (const [what, [source, message, cause]] of Object.entries(BAD_FILES)) {
  t.test(`a worker file with ${what} says so when it is loaded`, async (t) => {
    const r = loadable(t, source)
    const error: unknown = await r.actor.load().catch((thrown: unknown) => thrown)
    t.match(error, { name: 'ConfigurationError', code: 'CONFIGURATION', message })
    if (cause !== undefined) t.match((error as Error).cause, cause)
    t.match(r.actor.info(), { state: 'stopped.failed', failure: message })
  })
}

t.test('a file that is not there', async (t) => {
  const r = loadable(t, '', { file: '/no/such/file.mjs' })
  await t.rejects(r.actor.load(), { code: 'CONFIGURATION', message: /\/no\/such\/file\.mjs/ })
})

t.test('a TypeScript file runs where Node takes it, and else the error says what to do', async (t) => {
  const dir = t.testdir({
    'w.ts': `import { MetaWorker } from 'offstage/actors'\nexport default class W extends MetaWorker { add(n: number): number { return n + 1 } }`,
    'package.json': '{"type":"module","name":"offstage-test"}',
  })
  const r = loadable(t, '', { file: join(dir, 'w.ts') })
  if ('typescript' in process.features && process.features.typescript) {
    await r.run()
    t.equal(await r.call('add', { arg: 1 }), 2)
  } else {
    await t.rejects(r.actor.load(), { message: /w\.ts.*does not run TypeScript by itself.*Node 22\.18/s })
  }
})

t.test('statics hold, and the configuration overrides them', async (t) => {
  const source = workerSource(
    `static workerName = 'named'
    static noAutoLoad = true
    static concurrency = 7
    static maxRestarts = 1
    static restartPeriod = 0.5
    static mailboxLimit = 9`,
  )
  t.match(await loadable(t, source).actor.load(), {
    name: 'named',
    autoLoad: false,
    concurrency: 7,
    host: 'thread',
    maxRestarts: 1,
    restartPeriod: 0.5,
    mailboxLimit: 9,
  })
  const overrides = { concurrency: 2, noAutoLoad: false, host: 'inline' } as const
  t.match(await loadable(t, source, { overrides }).actor.load(), {
    name: 'named',
    autoLoad: true,
    concurrency: 2,
    host: 'inline',
    mailboxLimit: 9,
  })
  const bad = loadable(t, source, { overrides: { concurrency: 1.5 } })
  await t.rejects(bad.actor.load(), { message: /the setting concurrency is 1\.5/ })
})

t.test('without statics the name is that of the file, and the defaults hold', async (t) => {
  const description = await loadable(t, workerSource('')).actor.load()
  t.same(description, {
    name: 'w',
    methods: [],
    refused: [],
    autoLoad: true,
    reloadOnSchedule: false,
    concurrency: 1,
    host: 'thread',
    createTimeout: 60_000,
    restart: 'permanent',
    maxRestarts: 5,
    restartPeriod: 60,
    mailboxLimit: 10_000,
    memoryLimit: 0,
    env: {},
    execArgv: [],
    poolSize: 20,
    timeout: 0,
    timeouts: {},
    schemas: [],
    rateLimit: null,
    retry: {},
    retries: {},
    grace: 5_000,
  })
})

t.test('a worker file in a folder without node_modules finds the running installation', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'offstage-far-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const file = join(dir, 'far_worker.mjs')
  await writeFile(file, workerSource('hello(n) { return [n, this.workerName] }'))
  for (const host of ['thread', 'process', 'inline'] as const) {
    const r: Rig = await rig(t, '', { file, overrides: { host } })
    t.same(await r.call('hello', { arg: host }), [host, 'far_worker'])
  }
})

t.test('a compiled CommonJS worker with its class in exports.default', async (t) => {
  const dir = t.testdir({
    'w.cjs': `const { MetaWorker } = require('offstage/actors')
    Object.defineProperty(exports, '__esModule', { value: true })
    exports.default = class extends MetaWorker { hello() { return 'cjs' } }`,
  })
  const r = await rig(t, '', { file: join(dir, 'w.cjs') })
  t.equal(await r.call('hello'), 'cjs')
})

t.test('a worker that wants to live inline is moved there; it shares this thread', async (t) => {
  const r = await rig(t, workerSource(`static host = 'inline'\nwhere() { return globalThis.offstageTestMark ?? null }`))
  Object.assign(globalThis, { offstageTestMark: 42 })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'offstageTestMark'))
  t.equal(await r.call('where'), 42)
})

t.test('changes are told of at most once per turn of the event loop', async (t) => {
  const r = await rig(t, workerSource('echo(a) { return a }'))
  const before = r.changes
  await Promise.all(Array.from({ length: 1000 }, (_, i) => r.call('echo', { arg: i })))
  t.ok(r.changes - before < 200, `${r.changes - before} changes for 1000 calls`)
})
