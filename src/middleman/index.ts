/** The public entry `offstage/middleman`. */
export {
  AccessDenied,
  AuthenticationFailed,
  Cancelled,
  CannotEncode,
  ConfigurationError,
  ConnectionError,
  DeadlineExceeded,
  Draining,
  type Executed,
  InvalidArgument,
  NoJobKey,
  NoServerAvailable,
  OffstageError,
  OutcomeUnknown,
  Overloaded,
  PartialFailure,
  ProtocolError,
  type RemoteFailure,
  RemoteWorkerError,
  ResultStorageError,
  StoreError,
  WorkerCrashed,
  WorkerKeyInUse,
  WorkerStopped,
} from '../errors.js'
export type { MemcacheOptions } from '../persistence/results/memcached/options.js'
export type { ConfigOptions, ConnectOptions, LazyOptions } from './connect-options.js'
export type { TlsOptions } from './endpoint.js'
export type { JobName } from './find-job.js'
export type { IdentityOptions } from './identity.js'
export {
  type CancelOutcome,
  type DeleteOutcome,
  type Job,
  JobHandle,
  type RescheduleOutcome,
  type RetryOutcome,
} from './job.js'
export type { JobStatus, KnownJob, UnknownJob } from './job-status.js'
export { MiddleMan } from './middleman.js'
export type { RequestOptions } from './request-options.js'
export { type ResponseLike, signalOf } from './request-signal.js'
export { middleMan, type SharedMiddleMan } from './shared.js'
export type {
  AnyOptions,
  AnyWorker,
  BulkJob,
  DequeueOptions,
  EnqueueOptions,
  InstanceMethods,
  JobInfo,
  JobOptions,
  JobState,
  JobsOptions,
  MethodOptions,
  NewWorkerOptions,
  ScheduleInfo,
  SchedulePlan,
  ScheduleRun,
  ScheduleSpan,
  SchedulesApi,
  ServerOptions,
  UntypedWorkerProxy,
  WorkerInfo,
  WorkerProxy,
} from './types.js'
