/** What the supervisor gives an actor, and what it is told about it. */
import type { CacheChange } from './cache-frame.js'
import type { Clock } from './clock.js'
import type { DeadLetters } from './dead-letters.js'
import type { Log } from './log.js'
import type { Blocked } from './loop-watch.js'
import type { CacheRules } from './messages.js'
import type { RestartType } from './restarts.js'
import type { WorkerSettings } from './settings.js'
import type { WorkerEvents } from './worker-events.js'

export interface ActorOptions {
  file: string
  workerKey: string
  /** CBOR, for `create`. */
  data?: Uint8Array
  /** Lines come with `worker` and `workerKey` among their fields. */
  log: Log
  /** For the lines that the worker's own code writes; by default `log`. */
  workerLog?: Log
  overrides?: Partial<WorkerSettings>
  /** What the worker finds in its cache when it is started, again too. */
  initialCache?: () => Iterable<CacheChange>
  /**
   * A change that the worker made. Comes before the result of that turn, which waits for the promise where `cache.awaited` is
   * set; it rejects with an `OffstageError`.
   */
  onCache: (change: CacheChange) => void | Promise<void>
  cache?: CacheRules
  /** The state or the room has changed: at most once per event-loop turn. */
  onChange: () => void
  /** Hears what happens to it. */
  events?: WorkerEvents
  /** Takes the messages that it leaves when it stops. */
  deadLetters?: DeadLetters
  random?: () => number
  clock?: Clock
}

export interface WorkerInfo {
  worker: string
  workerKey: string
  status: 'loading' | 'running' | 'stopped'
  /** `loading.starting`, `loading.backingOff`, `loading.waiting` (for its group), `running.idle`, `running.busy`, `running.draining`, `stopped.normal`, `stopped.failed`. */
  state: string
  /** Messages without an outcome. */
  mailbox: number
  /** Milliseconds since the oldest of them was accepted; 0 when there is none. */
  oldest: number
  /** Messages that were refused because the mailbox was full. */
  refused: number
  /** Of the messages, how many the host has. */
  inFlight: number
  /** How often it was started again. */
  restarts: number
  /** Milliseconds since it last began to run; 0 when it does not run. */
  uptime: number
  /** There when the event loop of its host has not turned for some seconds. */
  blocked?: Blocked
  /** Whether it is started again when its host ends. */
  restart: RestartType
  /** The group that it stands and falls with. */
  group?: string
  /** Why it failed last. */
  failure?: string
  /** Milliseconds since then. */
  sinceFailure?: number
}
