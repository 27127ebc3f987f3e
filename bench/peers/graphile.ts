/** graphile-worker on PostgreSQL, tuned as its documentation tells for many small jobs. */
import { argumentFor } from '../argument.js'
import type { Observed } from '../lateness.js'
import { DrainProcess } from './drain_process.js'
import { LOCAL_QUEUE, POLL_MS, POOL } from './graphile_settings.js'
import { type GraphileJob, type GraphileUtils, PeerModules } from './modules.js'
import { inBatches, type Peer, type PeerFolders } from './peer.js'
import { PostgresServer } from './postgres.js'

const BATCH = 500

export class Graphile implements Peer {
  readonly name = 'graphile-worker'
  readonly bulkInFlight = 4
  readonly drainJobsPerMs = 40
  readonly #modules: PeerModules
  readonly #server: PostgresServer
  readonly #utils: GraphileUtils
  readonly #worker: DrainProcess

  private constructor(installed: string, modules: PeerModules, server: PostgresServer, utils: GraphileUtils) {
    this.#modules = modules
    this.#server = server
    this.#utils = utils
    this.#worker = new DrainProcess('graphile.js', [installed, server.connectionString, 'drain'])
  }

  static async start(folders: PeerFolders): Promise<Graphile> {
    const modules = new PeerModules(folders.installed)
    const server = await PostgresServer.start(folders, modules)
    const { connectionString } = server
    const utils = await modules.graphileWorker.makeWorkerUtils({ connectionString, maxPoolSize: POOL })
    await utils.migrate()
    return new Graphile(folders.installed, modules, server, utils)
  }

  async describe(): Promise<string> {
    const version = `graphile-worker ${this.#modules.version('graphile-worker')}`
    const worker = `${POOL} connections, local queue ${LOCAL_QUEUE}, for scheduled jobs a look each ${POLL_MS} ms, completions in batches`
    return `${version} (${worker}) on ${await this.#server.describe()}`
  }

  async enqueue(n: number): Promise<void> {
    const { identifier, payload, jobKey } = jobFor('enqueue', n)
    const { key } = await this.#utils.addJob(identifier, payload, { jobKey })
    if (key !== jobKey) throw new Error(`graphile-worker answered ${key} to ${jobKey}`)
  }

  enqueueBulk(first: number, count: number): Promise<void> {
    return this.#addJobs('enqueue', first, count)
  }

  held(): Promise<number> {
    return this.#count('enqueue')
  }

  fill(jobs: number): Promise<void> {
    return inBatches(jobs, BATCH, (first, count) => this.#addJobs('drain', first, count))
  }

  runScheduled(due: readonly number[]): Promise<Observed> {
    return this.#worker.runScheduled(due, async () => {
      await inBatches(due.length, BATCH, (first, count) => this.#addJobs('drain', first, count, due))
      return due
    })
  }

  drain(jobs: number, concurrency: number): Promise<number> {
    return this.#worker.drain(jobs, concurrency)
  }

  undrained(): Promise<number> {
    return this.#count('drain')
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
    await this.#utils.release()
    await this.#server.stop()
  }

  async #addJobs(task: string, first: number, count: number, due?: readonly number[]) {
    const jobs = Array.from({ length: count }, (_, at) => jobFor(task, first + at, due?.[first + at]))
    const added = await this.#utils.addJobs(jobs)
    if (added.length !== count) throw new Error(`graphile-worker answered ${added.length} to ${count} jobs`)
  }

  async #count(task: string): Promise<number> {
    const sql = `SELECT count(*) AS jobs FROM graphile_worker.jobs WHERE task_identifier = '${task}'`
    const { rows } = await this.#server.client.query(sql)
    return Number(rows[0]!.jobs)
  }
}

function jobFor(task: string, n: number, due?: number): GraphileJob {
  const runAt = due === undefined ? {} : { runAt: new Date(due) }
  return { ...runAt, identifier: task, payload: argumentFor(n), jobKey: `${task}-${n}` }
}
