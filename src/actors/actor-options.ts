/** What the supervisor gives an actor, and what it is told about it. */
import type { Clock } from './clock.js'
import type { Log } from './log.js'
import type { WorkerSettings } from './settings.js'

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
  initialCache?: () => Iterable<readonly [string, Uint8Array]>
  /** A change that the worker made; undefined: the entry is gone. Comes before the result of that turn. */
  onCache: (key: string, value: Uint8Array | undefined) => void
  /** The state or the room has changed: at most once per event-loop turn. */
  onChange: () => void
  random?: () => number
  clock?: Clock
}

export interface WorkerInfo {
  worker: string
  workerKey: string
  status: 'loading' | 'running' | 'stopped'
  /** `loading.starting`, `loading.backingOff`, `running.idle`, `running.busy`, `running.draining`, `stopped.normal`, `stopped.failed`. */
  state: string
  /** Messages without an outcome. */
  mailbox: number
  /** Of these, how many the host has. */
  inFlight: number
  /** How often it was started again. */
  restarts: number
  /** Milliseconds since it last began to run; 0 when it does not run. */
  uptime: number
  /** Why it failed last. */
  failure?: string
}
