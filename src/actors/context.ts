/**
 * What a worker instance is given by the host that runs it. The host sets it aside, calls the constructor of
 * the class, and `MetaWorker` takes it from there: so it is there for field initializers too.
 */
import { InvalidArgument } from '../errors.js'
import type { ResultCache } from './cache.js'
import type { Call, CallOwner } from './call.js'
import type { WorkerLogger } from './logger.js'
import type { WorkerSockets } from './sockets/sockets.js'
import type { WorkerTimers } from './timers.js'

export interface WorkerContext extends CallOwner {
  readonly cache: ResultCache
  readonly logger: WorkerLogger
  readonly timers: Pick<WorkerTimers, 'add'>
  readonly sockets: Pick<WorkerSockets, 'connect' | 'startServer'>
  readonly pool: { defer(method: string, argument?: unknown): Promise<unknown> }
  /** Of the instance: fires when it is stopped. */
  readonly signal: AbortSignal
  settle(call: Call, release: boolean): Promise<boolean>
  /** Of a queued job; `value` is CBOR. */
  progress(call: Call, value: Uint8Array): void
}

let waiting: WorkerContext | undefined

/** Calls the constructor of a worker class with `context` at hand. */
export function construct<T extends object>(Class: new () => T, context: WorkerContext): T {
  const before = waiting
  waiting = context
  try {
    return new Class()
  } finally {
    waiting = before
  }
}

export function takeContext(className: string): WorkerContext {
  const context = waiting
  waiting = undefined
  if (context === undefined) {
    throw new InvalidArgument(
      `new ${className}() does not make a running worker: in a test use testWorker(${className}) of offstage/testing`,
    )
  }
  return context
}
