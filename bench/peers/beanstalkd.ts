/** beanstalkd with a log that is synced after every write. It has neither job keys nor a bulk call. */
import { setTimeout as sleep } from 'node:timers/promises'
import { argumentFor } from '../argument.js'
import type { Observed } from '../lateness.js'
import { BeanstalkClient } from './beanstalk_client.js'
import { canConnect, Daemon, freePort } from './daemon.js'
import { DrainProcess } from './drain_process.js'
import { debianProgram } from './install.js'
import type { Peer, PeerFolders } from './peer.js'

/** Sync at least every 0 ms: after each write, before the answer. */
const SYNC = '-f0'

export class Beanstalkd implements Peer {
  readonly name = 'beanstalkd'
  readonly bulkInFlight = 2
  readonly drainJobsPerMs = 2
  readonly #daemon: Daemon
  readonly #enqueued: BeanstalkClient
  readonly #drained: BeanstalkClient
  readonly #worker: DrainProcess

  private constructor(port: number, daemon: Daemon, enqueued: BeanstalkClient, drained: BeanstalkClient) {
    this.#daemon = daemon
    this.#enqueued = enqueued
    this.#drained = drained
    this.#worker = new DrainProcess('beanstalkd.js', [String(port), 'drain'])
  }

  static async start({ installed, data }: PeerFolders): Promise<Beanstalkd> {
    const port = await freePort()
    const daemon = await Daemon.start({
      ...debianProgram(installed, 'beanstalkd', 'beanstalkd'),
      args: ['-l', '127.0.0.1', '-p', String(port), '-b', data, SYNC],
      log: `${data}/beanstalkd.log`,
      stopSignal: 'SIGKILL',
      ready: () => canConnect(port),
    })
    const clients = ['enqueue', 'drain'].map((tube) => BeanstalkClient.connect(port, tube))
    const [enqueued, drained] = await Promise.all(clients)
    return new Beanstalkd(port, daemon, enqueued!, drained!)
  }

  async describe(): Promise<string> {
    const stats = await this.#enqueued.stats()
    if (stats.get('binlog-current-index') === '0') throw new Error('beanstalkd runs without a log')
    return `beanstalkd ${stats.get('version')}: -b ${SYNC} (it does not tell by which setting it runs), no job keys, no bulk call: pipelined puts`
  }

  enqueue(n: number): Promise<void> {
    return this.#enqueued.put(bodyFor(n))
  }

  async enqueueBulk(first: number, count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, at) => this.enqueue(first + at)))
  }

  held(): Promise<number> {
    return ready(this.#enqueued, 'enqueue')
  }

  async fill(jobs: number): Promise<void> {
    await Promise.all(Array.from({ length: jobs }, (_, n) => this.#drained.put(bodyFor(n))))
  }

  /**
   * It knows delays in whole seconds only. So each job is put when it is due in some of them, at a random one of these
   * moments before the first time; and it is due just so long after it was sent.
   */
  runScheduled(wanted: readonly number[], lead: number): Promise<Observed> {
    const first = Date.now() + lead
    const put = async (at: number, n: number) => {
      const least = Math.max(1, Math.ceil((at - first) / 1000))
      const most = Math.floor((at - Date.now()) / 1000)
      const seconds = least + Math.floor(Math.random() * (Math.max(most, least) - least + 1))
      await sleep(at - seconds * 1000 - Date.now())
      const sent = Date.now()
      await this.#drained.put(bodyFor(n), seconds)
      return sent + seconds * 1000
    }
    return this.#worker.runScheduled(wanted, () => Promise.all(wanted.map(put)))
  }

  drain(jobs: number, concurrency: number): Promise<number> {
    return this.#worker.drain(jobs, concurrency)
  }

  undrained(): Promise<number> {
    return ready(this.#drained, 'drain')
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
    this.#enqueued.close()
    this.#drained.close()
    await this.#daemon.stop()
  }
}

/** 100 bytes here too. */
function bodyFor(n: number): string {
  return JSON.stringify(argumentFor(n))
}

async function ready(client: BeanstalkClient, tube: string): Promise<number> {
  const stats = await client.stats(tube)
  return ['ready', 'reserved', 'delayed', 'buried'].reduce(
    (sum, state) => sum + Number(stats.get(`current-jobs-${state}`)),
    0,
  )
}
