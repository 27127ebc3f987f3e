/** What is known of a job of the queue, as a client has it. */
import { decodeValue } from '../wire/codec.js'

/** The server does not know the job: it was removed, has ended and is kept no longer, or was never there. */
export interface UnknownJob {
  readonly state: 'unknown'
}

export interface KnownJob {
  /** `scheduled`: its time has not come; `ready`: it waits for its worker; `dead`: its attempts are used up. */
  readonly state: 'scheduled' | 'ready' | 'active' | 'finished' | 'dead'
  readonly id: number
  /** Address of the server that has it. */
  readonly server: string
  readonly worker: string
  /** '' for the instance without a key. */
  readonly workerKey: string
  readonly method: string
  readonly jobKey: string
  readonly priority: number
  /** Starts so far, and how many there may be. */
  readonly attempts: number
  readonly maxAttempts: number
  readonly enqueuedAt: Date
  /** When it is due, or was; undefined once it has ended. */
  readonly scheduledAt?: Date
  /** When it finished or died. */
  readonly endedAt?: Date
  /** Why its last attempt failed, when one did. */
  readonly failure?: { readonly name: string; readonly message: string; readonly stack?: string }
  /** What the worker told last with `this.progress`, as long as the server remembers. */
  readonly progress?: unknown
}

export type JobStatus = KnownJob | UnknownJob

/** The answer to a JOB, decoded. */
export interface SentStatus {
  readonly id: number
  readonly worker: string
  readonly workerKey: string
  readonly method: string
  readonly jobKey: string
  readonly state: KnownJob['state']
  readonly priority: number
  readonly runAt: number
  readonly enqueuedAt: number
  readonly attempts: number
  readonly maxAttempts: number
  readonly version: string
  readonly failure?: NonNullable<KnownJob['failure']>
  /** CBOR. */
  readonly progress?: Uint8Array
  /** Another one with each progress. */
  readonly progressNumber?: number
}

export function statusOf(sent: SentStatus | null, server: string): JobStatus {
  if (sent === null) return { state: 'unknown' }
  const { version: _, progressNumber: __, progress, failure, runAt, enqueuedAt, state, ...facts } = sent
  const ended = isOver(state)
  return {
    state,
    ...facts,
    server,
    enqueuedAt: new Date(enqueuedAt),
    ...(ended ? { endedAt: new Date(runAt) } : { scheduledAt: new Date(runAt === 0 ? enqueuedAt : runAt) }),
    ...(failure === undefined ? {} : { failure }),
    ...(progress === undefined ? {} : { progress: decodeValue(progress) }),
  }
}

export function isOver(state: KnownJob['state']): boolean {
  return state === 'finished' || state === 'dead'
}
