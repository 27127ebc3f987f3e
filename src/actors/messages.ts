/**
 * What supervisor and worker host say to each other. Frames as on the wire (src/wire/frame.ts), many in one
 * batch: a batch is posted at most once per event-loop turn and direction, and arrives whole and in order.
 *
 * | type | name          | to         | corr    | body                                                          |
 * |------|---------------|------------|---------|---------------------------------------------------------------|
 * | 32   | LOAD          | host       | 0       | CBOR `LoadRequest`: import the file, look at its class        |
 * | 33   | CREATE        | host       | 0       | CBOR data for `create`: make the instance                     |
 * | 34   | TURN          | host       | message | body of a CALL; with flag TIMED a deadline (f64 BE) before it |
 * | 35   | CANCEL        | host       | message | `a0`; flag OVERDUE: its deadline has passed                   |
 * | 36   | SETTLED       | host       | token   | one byte: 1 the attempt was the current one, else 0           |
 * | 37   | CACHE         | both       | change  | CBOR key (text), then the value as CBOR; no value: removed;   |
 * |      |               |            |         | with flag TIMED milliseconds to live (f64 BE) before it       |
 * | 38   | STOP          | host       | 0       | `a0`: no more timers; answer STOPPED when no turn is running; |
 * |      |               |            |         | with flag LEAVE, forget the messages that have not started    |
 * | 39   | LOADED        | supervisor | 0       | CBOR `WorkerDescription`                                      |
 * | 40   | LOAD_FAILED   | supervisor | 0       | CBOR `LoadFailure`                                            |
 * | 41   | CREATED       | supervisor | 0       | `a0`                                                          |
 * | 42   | CREATE_FAILED | supervisor | 0       | body of an ERROR                                              |
 * | 43   | RESULT        | supervisor | message | the method's value in CBOR                                    |
 * | 44   | FAILED        | supervisor | message | body of an ERROR                                              |
 * | 45   | ENDED         | supervisor | message | `a0`: a turn whose caller was answered at its deadline is over |
 * | 46   | SETTLE        | supervisor | message | u32 token; flag RELEASE: put the job back, else it is done    |
 * | 47   | LOG           | supervisor | 0       | CBOR `LogLine`                                                |
 * | 48   | STOPPED       | supervisor | 0       | `a0`                                                          |
 * | 49   | TOLD          | supervisor | message | `a0`: a method that runs has been told of its CANCEL          |
 * | 50   | STORED        | host       | change  | `a0`: clients find it; or the body of an ERROR: they do not   |
 * | 51   | PROGRESS      | supervisor | message | the progress of a queued job in CBOR                           |
 *
 * Every TURN gets one RESULT, FAILED or ENDED. CACHE carries the number of the change: see cache-frame.ts. Deadlines are milliseconds of
 * `monotonic()`, one clock for all threads and processes of a machine.
 */
import type { RemoteFailure } from '../errors.js'
import type { WorkerSettings } from './settings.js'

export const HostFrame = {
  LOAD: 32,
  CREATE: 33,
  TURN: 34,
  CANCEL: 35,
  SETTLED: 36,
  CACHE: 37,
  STOP: 38,
  LOADED: 39,
  LOAD_FAILED: 40,
  CREATED: 41,
  CREATE_FAILED: 42,
  RESULT: 43,
  FAILED: 44,
  ENDED: 45,
  SETTLE: 46,
  LOG: 47,
  STOPPED: 48,
  TOLD: 49,
  STORED: 50,
  PROGRESS: 51,
} as const

export const LAST_HOST_FRAME = 51

/** Flags, one meaning per frame type. */
export const TIMED = 1
export const OVERDUE = 1
export const RELEASE = 1
export const LEAVE = 1

export const DEADLINE_BYTES = 8

/** A batch comes from our own code, so the bound is what the header can say. */
export const MAX_HOST_BODY = 0xffff_ffff

export interface LoadRequest {
  file: string
  workerKey: string
  overrides: Partial<WorkerSettings>
  cache: CacheRules
}

/** What holds for `this.cache`. */
export interface CacheRules {
  /** Milliseconds that an entry is kept for which the worker says nothing; 0: as long as there is room. */
  readonly ttl: number
  /** Bytes of the largest key and value that are kept; 0 for any. */
  readonly largest: number
  /** Each change is answered by STORED, and the turn that has made it waits for that before its caller has the result. */
  readonly awaited: boolean
}

export const ANY_CACHE: CacheRules = { ttl: 0, largest: 0, awaited: false }

export interface LoadFailure {
  message: string
  /** What the file threw at import. */
  cause?: RemoteFailure
}

export type Level = 'debug' | 'info' | 'warn' | 'error'

export interface LogLine {
  level: Level
  fields: Record<string, unknown>
  message?: string
  /** Of the running call; '' outside one. */
  method: string
  jobKey: string
}

/** `performance.now()` counts from the start of its own thread; this is what to add for the machine's clock. */
const sinceBoot = Number(process.hrtime.bigint()) / 1e6 - performance.now()

/** Milliseconds of the clock that all threads and processes share and that never jumps. */
export function monotonic(): number {
  return performance.now() + sinceBoot
}
