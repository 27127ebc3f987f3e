/** Starts a host of the wanted kind. */
import { GAUGE_BYTES, Gauge, sharedMemory } from '../gauge.js'
import type { Host, HostEvents, Launch } from './host.js'
import { inlineHost } from './inline.js'
import { ProcessHost } from './process.js'
import { ThreadHost } from './thread.js'

/** Never throws: a host that could not be started has ended, and its exit says why. */
export const launchHost: Launch = (options, events) => {
  const { host: kind } = options
  try {
    if (kind === 'inline') return inlineHost(events)
    return kind === 'process' ? new ProcessHost(options, events) : new ThreadHost(options, events)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    return neverStarted(new Error(`a ${kind} could not be started: ${why}`, { cause }), events)
  }
}

function neverStarted(reason: Error, events: HostEvents): Host {
  setImmediate(() => events.exit(reason, false))
  return {
    gauge: new Gauge(sharedMemory(new SharedArrayBuffer(GAUGE_BYTES))),
    post: () => undefined,
    end: () => Promise.resolve(),
  }
}
