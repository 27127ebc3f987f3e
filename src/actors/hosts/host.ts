/**
 * A host is a place where one actor lives: a thread, a process, or a corner of the supervisor's own. Whatever kind it
 * is, it takes batches of frames and gives batches back (messages.ts), and once it ends it says why.
 */
import type { Gauge } from '../gauge.js'
import type { Placement } from '../placement.js'

export interface HostEvents {
  batch(batch: Uint8Array): void
  /** A line that the worker's code wrote to stdout or stderr. */
  line(stream: 'stdout' | 'stderr', text: string): void
  /** Once, after the last batch; also when `end` was called. `normal`: by itself, with the exit code 0. */
  exit(reason: Error, normal: boolean): void
}

export interface HostOptions extends Placement {
  /** For stack traces and debuggers. */
  name: string
}

export interface Host {
  readonly gauge: Gauge
  /** Sends a batch, whose memory belongs to the host from now on. */
  post(batch: Uint8Array): void
  /** Ends the host at once, whatever it is doing. Resolves when it has ended. */
  end(): Promise<void>
}

export type Launch = (options: HostOptions, events: HostEvents) => Host
