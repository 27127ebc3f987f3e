/**
 * The host in the supervisor's own thread: no thread to start, no hop. What it cannot do: end a method that
 * runs (it only stops listening to it), survive an uncaught error or `process.exit()`, limit memory, or tell
 * the worker's stdout from the supervisor's.
 */
import { type Clock, systemClock } from '../clock.js'
import { GAUGE_BYTES, Gauge, sharedMemory } from '../gauge.js'
import { loadWorker } from '../load.js'
import type { MakePool } from '../pool/task.js'
import { Runtime, type RuntimeOptions } from '../runtime.js'
import type { Host, HostEvents } from './host.js'

/** How the class is found, and what time it is: a test helper brings both. */
export interface InlineParts {
  clock: Clock
  load: RuntimeOptions['load']
  pool?: MakePool
}

const ordinary: InlineParts = {
  clock: systemClock,
  load: ({ file, overrides }) => loadWorker(file, overrides),
}

export interface InlineHost extends Host {
  readonly runtime: Runtime
}

export function inlineHost(events: HostEvents, parts: InlineParts = ordinary): InlineHost {
  const gauge = new Gauge(sharedMemory(new SharedArrayBuffer(GAUGE_BYTES)))
  let ended: Promise<void> | undefined
  const runtime = new Runtime({
    gauge,
    clock: parts.clock,
    load: parts.load,
    ...(parts.pool === undefined ? {} : { pool: parts.pool }),
    // Not at once: as with a thread, an answer never arrives inside the call that asked.
    post: (batch) => setImmediate(() => (ended === undefined ? events.batch(batch) : undefined)),
  })
  const end = (reason: Error): Promise<void> => {
    if (ended !== undefined) return ended
    ended = runtime.kill().then(() => new Promise((resolve) => setImmediate(resolve)))
    setImmediate(() => events.exit(reason, false))
    return ended
  }
  return {
    gauge,
    runtime,
    post(batch) {
      try {
        runtime.receive(batch)
      } catch (error) {
        void end(error instanceof Error ? error : new Error(String(error)))
      }
    },
    end() {
      return end(new Error('ended by the supervisor'))
    },
  }
}
