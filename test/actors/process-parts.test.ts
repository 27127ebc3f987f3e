/** The parts of a process host that need no process: batches on a stream, the gauge's file, why it ended. */
import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { GAUGE_BYTES, Gauge } from '#offstage/actors/gauge.js'
import { BatchReader, batchHead } from '#offstage/actors/hosts/batches.js'
import { GaugeFile, gaugeMemory, writeLastWords } from '#offstage/actors/hosts/gauge-file.js'
import { exitReason, isFatal, type ProcessEnd } from '#offstage/actors/hosts/process-exit.js'

t.test('batches come out of a stream as they went in, however it is cut', async (t) => {
  const batches = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 })
  const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 })
  fc.assert(
    fc.property(batches, cuts, (sent, lengths) => {
      const stream = Buffer.concat(sent.flatMap((batch) => [batchHead(batch), batch]))
      const received: Uint8Array[] = []
      const reader = new BatchReader((batch) => received.push(batch))
      for (let at = 0, i = 0; at < stream.length; i++) {
        const next = at + lengths[i % lengths.length]!
        // A copy, as each chunk of a socket is memory of its own.
        reader.push(Buffer.from(stream.subarray(at, next)))
        at = next
      }
      return Buffer.concat(received).equals(Buffer.concat(sent)) && received.length === sent.length
    }),
  )
  t.pass()
})

t.test('the supervisor sees at once what a process has counted, and still when the file is closed', async (t) => {
  const file = new GaugeFile()
  const seen = new Gauge(file)
  const counting = new Gauge(gaugeMemory(file.fd))
  t.equal(seen.taken, 0)
  t.equal(seen.meanTurn, 0)
  for (let n = 1; n <= 300; n++) {
    counting.take(7, n / 2, true)
    const { taken, running, runningSince, takenAt } = seen.look()
    if (taken !== n || running !== 8 || runningSince !== n / 2) t.fail(`${taken} after ${n}`)
    if (takenAt(n - 1) !== n / 2) t.fail(`message ${n - 1} was taken at ${takenAt(n - 1)}`)
  }
  counting.beat(1_000, 30, 10)
  t.match(seen.look(), { running: 0, lastBeat: 1_000 })
  t.equal(seen.meanTurn, 3)
  t.equal(seen.taken, 300)
  file.close()
  t.equal(seen.taken, 300)
  t.equal(seen.meanTurn, 3)
  file.close()
})

t.test('last words come back, cut when they are long, and are nothing when they make no sense', async (t) => {
  const file = new GaugeFile()
  t.teardown(() => closeSync(file.fd))
  t.equal(file.lastWords(), undefined)
  const words = { name: 'TypeError', message: 'näh', stack: 'TypeError: näh\n    at here' }
  writeLastWords(file.fd, words)
  t.same(file.lastWords(), words)
  writeLastWords(file.fd, { ...words, stack: 'x'.repeat(100_000) })
  t.same(file.lastWords(), { name: 'TypeError', message: 'näh' })
  for (const text of ['null', '7', '{"name":1}', '{', 'x'.repeat(100)]) {
    const bytes = Buffer.from(`    ${text}`)
    bytes.writeUInt32LE(text.length)
    writeSync(file.fd, bytes, 0, bytes.length, GAUGE_BYTES)
    t.equal(file.lastWords(), undefined, text)
  }
  ftruncateSync(file.fd, GAUGE_BYTES)
  t.equal(file.lastWords(), undefined, 'nothing there')
})

const END: ProcessEnd = {
  code: null,
  signal: null,
  lastWords: undefined,
  fatal: undefined,
  ended: false,
  memoryLimit: 0,
}
const HEAP = 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory'
const lastWords = { name: 'RangeError', message: 'too far', stack: 'RangeError: too far\n    at w' }

for (const [what, end, expected] of [
  ['an exit', { code: 3 }, 'the process ended by itself (process.exit, code 3)'],
  ['the supervisor', { signal: 'SIGKILL', ended: true }, 'ended by the supervisor'],
  ['an uncaught error', { code: 1, lastWords }, 'too far'],
  [
    'a full heap',
    { signal: 'SIGABRT', fatal: HEAP, lastWords },
    `the process ran out of memory for its JavaScript heap (${HEAP})`,
  ],
  ['a limited heap', { signal: 'SIGABRT', fatal: HEAP, memoryLimit: 64 }, /limited to 64 MiB by memoryLimit/],
  [
    'a heap that ends with an exit code',
    { code: 134, fatal: 'Fatal process out of memory: Zone' },
    /ran out of memory/,
  ],
  [
    'an abort',
    { signal: 'SIGABRT' },
    'the process was aborted by its own code (process.abort, or native code; SIGABRT)',
  ],
  [
    'an abort with a reason',
    { signal: 'SIGABRT', fatal: '# Fatal error in , line 0' },
    /SIGABRT\): # Fatal error in , line 0/,
  ],
  ['native code', { signal: 'SIGBUS' }, 'the process crashed in native code (SIGBUS)'],
  ['kill -9', { signal: 'SIGKILL' }, /killed by SIGKILL from outside.*out of memory/],
  ['another signal', { signal: 'SIGUSR2' }, 'the process was ended by SIGUSR2 from outside'],
] as const satisfies readonly (readonly [string, Partial<ProcessEnd>, string | RegExp])[]) {
  t.test(`why a process ended: ${what}`, async (t) => {
    t.match(exitReason({ ...END, ...end }).message, expected)
  })
}

t.test('an uncaught error keeps its name and stack', async (t) => {
  t.match(exitReason({ ...END, code: 1, lastWords }), lastWords)
})

t.test('ordinary lines of stderr are not fatal', async (t) => {
  t.notOk(isFatal('an error that is not fatal'))
  t.ok(isFatal(`[123:0x55] ${HEAP}`))
  t.ok(isFatal('FATAL ERROR: invalid table size Allocation failed - JavaScript heap out of memory'))
})
