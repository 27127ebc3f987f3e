/**
 * Every error that offstage raises on purpose, in one hierarchy.
 *
 * Each carries a stable `code` and, where a call was involved, whether the worker's method ran:
 * `no` (certainly not: safe to send again), `maybe` (the outcome is unknown), `yes`.
 */

export type Executed = 'no' | 'maybe' | 'yes'

export interface ErrorFacts {
  /** Did the worker's method run? Default `no`. */
  executed?: Executed
  /** Would the same request have a chance later, unchanged? Default false. */
  retryable?: boolean
  /** Facts for a program to read: plain data only. */
  details?: Record<string, unknown>
  cause?: unknown
}

export class OffstageError extends Error {
  readonly code: string
  readonly executed: Executed
  readonly retryable: boolean
  readonly details: Record<string, unknown>

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = new.target.name
    this.code = code
    this.executed = facts.executed ?? 'no'
    this.retryable = facts.retryable ?? false
    this.details = facts.details ?? {}
  }
}

/** A connection could not be made, or broke before the request was written. */
export class ConnectionError extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}, code = 'CONNECTION') {
    super(code, message, { retryable: true, ...facts })
  }
}

/** None of the configured servers can be reached. */
export class NoServerAvailable extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('NO_SERVER_AVAILABLE', message, { retryable: true, ...facts })
  }
}

/** `enq…` and `deq…` need a job key; nothing was sent. */
export class NoJobKey extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('NO_JOB_KEY', message, facts)
  }
}

/** What the worker's method threw, as far as it can travel. */
export interface RemoteFailure {
  name: string
  message: string
  code?: string | number
  stack?: string
}

/**
 * The server or the worker refused or failed the call. `code` tells which:
 * `WORKER_ERROR` (the method threw; see `remote`), `NO_WORKER`, `NO_METHOD`, `RESULT_NOT_ENCODABLE`,
 * `RESULT_TOO_LARGE`, `CREATE_FAILED`, `BAD_ARGUMENT` (it cannot be read, or does not fit the method's schema:
 * `details.issues` has a `{ path, message }` for each thing that is wrong), `NO_SCHEDULE`, `NO_JOB`.
 */
export class RemoteWorkerError extends OffstageError {
  /** The error as it was in the worker; absent when no method ran. */
  readonly remote: RemoteFailure | undefined

  constructor(code: string, message: string, facts: ErrorFacts & { remote?: RemoteFailure } = {}) {
    super(code, message, facts)
    this.remote = facts.remote
  }
}

/** The worker's host ended while the call was running, so its outcome is unknown. */
export class WorkerCrashed extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('WORKER_CRASHED', message, { executed: 'maybe', ...facts })
  }
}

/** The worker instance is stopped or has failed for good, so the call was not taken. */
export class WorkerStopped extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('WORKER_STOPPED', message, facts)
  }
}

/** A mailbox or a connection has no room for one more call. */
export class Overloaded extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('OVERLOADED', message, { retryable: true, ...facts })
  }
}

/** The deadline of the call passed before an answer came. */
export class DeadlineExceeded extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('DEADLINE_EXCEEDED', message, facts)
  }
}

/** The caller's `AbortSignal` fired, or a worker's method was told to stop. */
export class Cancelled extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('CANCELLED', message, facts)
  }
}

/** The request was written, the answer never came: it may or may not have happened. */
export class OutcomeUnknown extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('OUTCOME_UNKNOWN', message, { executed: 'maybe', ...facts })
  }
}

/**
 * A call to several servers came to different things. `details.servers` has for each address null where it went well, else
 * `{ code, message, executed }`; `cause` is the first of the errors, and `executed` is `no` or `yes` only where all agree.
 */
export class PartialFailure extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('PARTIAL_FAILURE', message, facts)
  }
}

/** `newWorker` with a key that a running instance already has. */
export class WorkerKeyInUse extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('WORKER_KEY_IN_USE', message, facts)
  }
}

/** The other side broke a rule of docs/PROTOCOL.md. */
export class ProtocolError extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}, code = 'PROTOCOL') {
    super(code, message, facts)
  }
}

/** Who connects could not prove who it is, or the server could not. Nothing was sent. */
export class AuthenticationFailed extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('AUTH_FAILED', message, facts)
  }
}

/** The access rules of the server do not allow this call to this user. */
export class AccessDenied extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('ACCESS_DENIED', message, facts)
  }
}

/** A value cannot be sent; the message names the path to it. */
export class CannotEncode extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('CANNOT_ENCODE', message, facts)
  }
}

/** An option or an argument of the API is wrong; nothing was sent. */
export class InvalidArgument extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('INVALID_ARGUMENT', message, facts)
  }
}

/** The supervisor is shutting down and takes no new work. */
export class Draining extends OffstageError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super('DRAINING', message, { retryable: true, ...facts })
  }
}

/** The configuration or the environment of the supervisor is wrong; `exitCode` is its exit status. */
export class ConfigurationError extends OffstageError {
  /** `EX_CONFIG` of sysexits.h. */
  readonly exitCode = 78
  constructor(message: string, facts: ErrorFacts = {}) {
    super('CONFIGURATION', message, facts)
  }
}

/**
 * The job store refused. `code`: `STORE_FULL` (no room: nothing was stored), `STORE_LOCKED` (another
 * process has the folder), `JOURNAL_CORRUPT` (refuse to open; the offset is in the message),
 * `STORE_FAILED` (the disk failed: what was pending has an unknown outcome), `STORE_CLOSED`, `STORE_DISABLED` (the
 * server runs without a durable queue). From the journal's tools also `NO_JOURNAL` and `CANNOT_CREATE` (a folder).
 */
export class StoreError extends OffstageError {
  /**
   * Exit status of the program that this error ends (sysexits.h): 65 data, 66 no input, 73 cannot create,
   * 74 input/output, 75 locked.
   */
  readonly exitCode: number
  constructor(code: string, message: string, facts: ErrorFacts & { exitCode?: number } = {}) {
    super(code, message, facts)
    this.exitCode = facts.exitCode ?? 74
  }
}

/**
 * What keeps the results that workers cache failed. `code`: `RESULT_STORAGE_DOWN` (a memcached cannot be reached, or has not
 * answered in time), `RESULT_STORAGE_REFUSED` (it answered, but not with what was asked for),
 * `RESULT_STORAGE_TOO_LARGE` (it has no room for a value of this size).
 */
export class ResultStorageError extends OffstageError {}
