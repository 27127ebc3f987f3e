/** What runs in a worker thread: one runtime, and the port to the supervisor. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../clock.js'
import { Gauge, sharedMemory } from '../gauge.js'
import { startHeartbeat } from '../heartbeat.js'
import { loadWorker } from '../load.js'
import { Runtime } from '../runtime.js'
import { postBatch, type ThreadData } from './thread.js'

const port = parentPort!
const gauge = new Gauge(sharedMemory((workerData as ThreadData).gauge))
startHeartbeat(gauge)
const runtime = new Runtime({
  gauge,
  clock: systemClock,
  post: (batch) => postBatch(port, batch),
  load: ({ file, overrides }) => loadWorker(file, overrides),
})
port.on('message', (batch: Uint8Array) => runtime.receive(batch))
// `process.exit()` and uncaught errors come by here: turns that are done must not count as lost.
process.on('exit', () => runtime.flush())
