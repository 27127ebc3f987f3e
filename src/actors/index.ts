/** Public entry `offstage/actors`: what a worker file needs. */
export type { CacheOptions, ResultCache } from './cache.js'
export type { Cancelable } from './clock.js'
export type { WorkerLogger } from './logger.js'
export type { BackoffFunction, RetryPolicy } from './retry-policy.js'
export { TcpHandler, type TcpHandlerClass } from './sockets/handler.js'
export type { TcpServer } from './sockets/sockets.js'
export type { ThreadPool } from './thread-pool.js'
export { MetaWorker, type PersistentJob, type WorkerClass } from './worker.js'
