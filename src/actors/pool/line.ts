/**
 * What the host and a thread of the pool say to each other about one deferred call, on a port of its own: so
 * everything that the method has done is known before its outcome.
 */
import type { MessagePort } from 'node:worker_threads'
import type { RemoteFailure } from '../../errors.js'
import type { LoadRequest } from '../messages.js'
import type { DeferredTask } from './task.js'

/** To the thread, as piscina's task. */
export interface ThreadTask {
  readonly load: LoadRequest
  readonly task: DeferredTask
  readonly port: MessagePort
  /** One i32, which counts the answers to READ: a method waits here for its own, because `cache.get` is no promise. */
  readonly answers: SharedArrayBuffer
}

export type ToThread =
  | { type: 'cancel'; overdue: boolean }
  | { type: 'settled'; token: number; current: boolean }
  | { type: 'value'; value: Uint8Array | undefined }
  | { type: 'keys'; keys: string[] }

export type FromThread =
  /** The method is being called. */
  | { type: 'started' }
  | { type: 'returned'; value: unknown }
  | { type: 'threw'; failure: RemoteFailure }
  | { type: 'cannotRun'; message: string }
  | { type: 'log'; line: Uint8Array }
  | { type: 'progress'; value: Uint8Array }
  | { type: 'settle'; token: number; release: boolean }
  | { type: 'set'; key: string; value: Uint8Array | undefined; ttl: number | undefined }
  /** Answered by `value`. */
  | { type: 'get'; key: string }
  /** Answered by `keys`. */
  | { type: 'list' }
