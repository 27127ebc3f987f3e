/**
 * The little of the peers' packages that the bench uses. They are no dependencies of this project, so there are no
 * types of theirs to compile against; they are loaded from the folder into which `installPackages` put them.
 */
import { createRequire } from 'node:module'
import path from 'node:path'

export interface BullJob {
  readonly name: string
  readonly data: string
  readonly opts: {
    readonly jobId: string
    readonly removeOnComplete: boolean
    /** ms since 1970. */
    readonly timestamp?: number
    /** ms after `timestamp`. */
    readonly delay?: number
  }
}

export interface BullQueue {
  add(name: BullJob['name'], data: BullJob['data'], options: BullJob['opts']): Promise<{ readonly id?: string }>
  addBulk(jobs: readonly BullJob[]): Promise<readonly unknown[]>
  getJobCounts(): Promise<Readonly<Record<string, number>>>
  close(): Promise<void>
}

export interface RedisAddress {
  readonly host: string
  readonly port: number
}

interface BullWorkerOptions {
  readonly connection: RedisAddress
  readonly concurrency: number
}

interface BullMq {
  readonly Queue: new (name: string, options: { readonly connection: RedisAddress }) => BullQueue
  readonly Worker: new (
    name: string,
    run: (job: { readonly data: string }) => Promise<void>,
    options: BullWorkerOptions,
  ) => { close(): Promise<void> }
}

export interface Redis {
  config(verb: 'GET', setting: string): Promise<readonly [string, string]>
  info(section: string): Promise<string>
  quit(): Promise<unknown>
}

export interface GraphileJob {
  readonly identifier: string
  readonly payload: string
  readonly jobKey: string
  readonly runAt?: Date
}

export interface GraphileUtils {
  migrate(): Promise<void>
  addJob(
    identifier: string,
    payload: string,
    spec: { readonly jobKey: string },
  ): Promise<{ readonly key: string | null }>
  addJobs(jobs: readonly GraphileJob[]): Promise<readonly { readonly key: string | null }[]>
  release(): Promise<void>
}

interface GraphileRunOptions {
  readonly preset: { readonly worker: Readonly<Record<string, unknown>> }
  readonly logger: unknown
  readonly noHandleSignals: boolean
  readonly taskList: Readonly<Record<string, (payload: string) => void>>
}

interface GraphileWorker {
  /** Its argument makes a function that logs, for a scope. */
  readonly Logger: new (
    scoped: () => () => void,
  ) => unknown
  makeWorkerUtils(options: { readonly connectionString: string; readonly maxPoolSize: number }): Promise<GraphileUtils>
  run(options: GraphileRunOptions): Promise<{ stop(): Promise<void> }>
}

export interface PostgresClient {
  connect(): Promise<void>
  query(sql: string): Promise<{ readonly rows: readonly Readonly<Record<string, string>>[] }>
  end(): Promise<void>
  on(event: 'error', heard: (error: Error) => void): void
}

interface Postgres {
  readonly Client: new (options: { readonly connectionString: string }) => PostgresClient
}

interface IoRedis {
  readonly Redis: new (address: RedisAddress) => Redis
}

/** Each is loaded when it is first asked for. */
export class PeerModules {
  readonly #require: NodeJS.Require

  constructor(folder: string) {
    this.#require = createRequire(path.resolve(folder, 'package.json'))
  }

  get bullmq(): BullMq {
    return this.#require('bullmq')
  }

  get ioredis(): IoRedis {
    return this.#require('ioredis')
  }

  get graphileWorker(): GraphileWorker {
    return this.#require('graphile-worker')
  }

  get pg(): Postgres {
    return this.#require('pg')
  }

  version(name: string): string {
    const { version }: { version: string } = this.#require(`./node_modules/${name}/package.json`)
    return version
  }
}
