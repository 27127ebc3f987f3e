/** What runs in a worker process: one runtime, and the pipes to the supervisor (process-fds.ts has their list). */
import { writevSync } from 'node:fs'
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { systemClock } from '../clock.js'
import { Gauge } from '../gauge.js'
import { startHeartbeat } from '../heartbeat.js'
import { loadWorker } from '../load.js'
import { Runtime } from '../runtime.js'
import { BatchReader, batchHead } from './batches.js'
import { gaugeMemory, writeLastWords } from './gauge-file.js'
import { Fd } from './process-fds.js'

const [name = ''] = process.argv.splice(2)
process.title = `offstage: ${name}`

// It sees to it that this process ends with the supervisor, also while this thread is in a loop.
const watchdog = new Worker(new URL('./process-watchdog.js', import.meta.url), { execArgv: [], env: {} })
watchdog.unref()

// Signals for all processes of a service reach the supervisor too, and it decides when its workers end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)

const gauge = new Gauge(gaugeMemory(Fd.GAUGE))
startHeartbeat(gauge)
const runtime = new Runtime({
  gauge,
  clock: systemClock,
  post: (batch) => send([batchHead(batch), batch]),
  load: ({ file, overrides }) => loadWorker(file, overrides),
})
const reader = new BatchReader((batch) => runtime.receive(batch))
const input = new Socket({ fd: Fd.TO_HOST, readable: true, writable: false })
input.on('data', (chunk: Buffer) => reader.push(chunk))
input.on('error', die)
input.on('close', die)

process.on('uncaughtExceptionMonitor', (error: unknown) => {
  // With a handler of the worker's own, this is not the end.
  if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return
  const { name, message, stack } =
    error instanceof Error ? error : new Error(`the worker threw ${String(error)}, which is not an Error`)
  writeLastWords(Fd.GAUGE, { name: String(name), message: String(message), stack: String(stack) })
})
// `process.exit()` and uncaught errors come by here: turns that are done must not count as lost.
process.on('exit', () => runtime.flush())

/** Returns when the kernel has everything; waits for the supervisor to read when it has too much to read. */
function send(pieces: Uint8Array[]): void {
  try {
    for (let rest = pieces; rest.length > 0; ) rest = after(rest, writevSync(Fd.FROM_HOST, rest))
  } catch {
    // Nobody reads any more: there is no supervisor.
    die()
  }
}

/** What is left of the pieces without their first `bytes`. */
function after(pieces: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  return pieces.flatMap((piece) => {
    const from = Math.min(skip, piece.length)
    skip -= from
    return from === piece.length ? [] : [piece.subarray(from)]
  })
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
