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
  ProtocolError,
  type RemoteFailure,
  RemoteWorkerError,
  StoreError,
  WorkerCrashed,
  WorkerKeyInUse,
  WorkerStopped,
} from '../errors.js'
export type { TlsOptions } from './endpoint.js'
export type { IdentityOptions } from './identity.js'
export { type ConfigOptions, type ConnectOptions, MiddleMan } from './middleman.js'
export type {
  AnyOptions,
  AnyWorker,
  BulkJob,
  DequeueOptions,
  Enqueued,
  EnqueueOptions,
  InstanceMethods,
  JobOptions,
  MethodOptions,
  NewWorkerOptions,
  RequestOptions,
  UntypedWorkerProxy,
  WorkerInfo,
  WorkerProxy,
} from './types.js'
