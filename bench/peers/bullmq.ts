/** BullMQ on a Redis that appends to its file, and syncs it, before it answers. */
import { argumentFor } from '../argument.js'
import type { Observed } from '../lateness.js'
import { canConnect, Daemon, freePort } from './daemon.js'
import { DrainProcess } from './drain_process.js'
import { debianProgram, installPackages } from './install.js'
import { type BullJob, type BullQueue, PeerModules, type Redis, type RedisAddress } from './modules.js'
import { inBatches, type Peer, type PeerFolders } from './peer.js'

/**
 * No snapshots, and no rewrite of the append-only file either: both would take the disk from whoever's turn it is. `hz`:
 * a worker that waits for the next scheduled job is told so many times a second that its time is over, by default 10.
 */
const SETTINGS = {
  appendonly: 'yes',
  appendfsync: 'always',
  save: '',
  'auto-aof-rewrite-percentage': '0',
  hz: '100',
} as const
const BATCH = 500

export class BullMq implements Peer {
  readonly name = 'BullMQ'
  readonly bulkInFlight = 4
  readonly drainJobsPerMs = 40
  readonly #modules: PeerModules
  readonly #daemon: Daemon
  readonly #redis: Redis
  readonly #enqueued: BullQueue
  readonly #drained: BullQueue
  readonly #worker: DrainProcess

  private constructor(folders: PeerFolders, daemon: Daemon, connection: RedisAddress) {
    this.#modules = new PeerModules(folders.installed)
    this.#daemon = daemon
    const { bullmq, ioredis } = this.#modules
    this.#redis = new ioredis.Redis(connection)
    this.#enqueued = new bullmq.Queue('enqueue', { connection })
    this.#drained = new bullmq.Queue('drain', { connection })
    this.#worker = new DrainProcess('bullmq.js', [folders.installed, String(connection.port), 'drain'])
  }

  static async start(folders: PeerFolders): Promise<BullMq> {
    installPackages(folders.installed)
    const program = debianProgram(folders.installed, 'redis-server', 'redis-server')
    const port = await freePort()
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folders.data]
    const daemon = await Daemon.start({
      ...program,
      args: [...args, ...Object.entries(SETTINGS).flatMap(([name, value]) => [`--${name}`, value])],
      log: `${folders.data}/redis.log`,
      stopSignal: 'SIGKILL',
      ready: () => canConnect(port),
    })
    return new BullMq(folders, daemon, { host: '127.0.0.1', port })
  }

  async describe(): Promise<string> {
    const settings: string[] = []
    for (const [name, wanted] of Object.entries(SETTINGS)) {
      const [, value] = await this.#redis.config('GET', name)
      if (value !== wanted) throw new Error(`Redis runs with ${name} ${value}, not ${wanted}`)
      settings.push(`${name} ${value === '' ? '""' : value}`)
    }
    const version = /^redis_version:(.*)$/m.exec(await this.#redis.info('server'))?.[1]?.trim()
    const clients = `BullMQ ${this.#modules.version('bullmq')} with ioredis ${this.#modules.version('ioredis')}`
    return `${clients} on Redis ${version}: ${settings.join(', ')}`
  }

  async enqueue(n: number): Promise<void> {
    const { name, data, opts } = jobFor(n)
    const { id } = await this.#enqueued.add(name, data, opts)
    if (id !== opts.jobId) throw new Error(`BullMQ answered ${id} to ${opts.jobId}`)
  }

  enqueueBulk(first: number, count: number): Promise<void> {
    return addBulk(this.#enqueued, first, count)
  }

  held(): Promise<number> {
    return count(this.#enqueued)
  }

  fill(jobs: number): Promise<void> {
    return inBatches(jobs, BATCH, (first, count) => addBulk(this.#drained, first, count))
  }

  runScheduled(due: readonly number[]): Promise<Observed> {
    return this.#worker.runScheduled(due, async () => {
      await inBatches(due.length, BATCH, (first, count) => addBulk(this.#drained, first, count, due))
      return due
    })
  }

  drain(jobs: number, concurrency: number): Promise<number> {
    return this.#worker.drain(jobs, concurrency)
  }

  undrained(): Promise<number> {
    return count(this.#drained)
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
    await Promise.all([this.#enqueued.close(), this.#drained.close(), this.#redis.quit()])
    await this.#daemon.stop()
  }
}

/** Removed when it is completed, as ours are; so its id can be used again. */
function jobFor(n: number, due?: number): BullJob {
  const timestamp = Date.now()
  const delay = due === undefined ? {} : { timestamp, delay: due - timestamp }
  return { name: 'noop', data: argumentFor(n), opts: { jobId: `job-${n}`, removeOnComplete: true, ...delay } }
}

async function addBulk(queue: BullQueue, first: number, count: number, due?: readonly number[]) {
  const jobs = Array.from({ length: count }, (_, at) => jobFor(first + at, due?.[first + at]))
  const added = await queue.addBulk(jobs)
  if (added.length !== count) throw new Error(`BullMQ answered ${added.length} to ${count} jobs`)
}

/** Jobs of any state. */
async function count(queue: BullQueue): Promise<number> {
  return Object.values(await queue.getJobCounts()).reduce((sum, jobs) => sum + jobs, 0)
}
