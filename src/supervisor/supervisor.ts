/**
 * One supervisor: builds its parts in the order of their dependencies, and ends them in reverse.
 *
 * Whatever can be wrong is found before anything runs: the configuration, the workers' files, the journal and
 * the port, in this order. Only then are workers created and connections taken.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { WorkerEvents } from '../actors/worker-events.js'
import { ConfigurationError, OffstageError } from '../errors.js'
import { type Backoff, DEFAULT_BACKOFF } from '../persistence/backoff.js'
import { openJournal } from '../persistence/journal/open.js'
import type { JobStore } from '../persistence/store.js'
import { Credit } from '../wire/credit.js'
import { WireStats } from '../wire/stats.js'
import { guardOf } from './access.js'
import { CachedResults } from './cached-results.js'
import type { Config } from './config.js'
import { Dispatcher } from './dispatcher.js'
import { FailedAttempts } from './failed-attempts.js'
import { Graveyard } from './graveyard.js'
import type { Guest } from './greeting.js'
import { JobLimits } from './job-limits.js'
import { JobService } from './job-service.js'
import { Listener } from './listener.js'
import type { Logger } from './log.js'
import { Pauses } from './pauses.js'
import { Rates } from './rates.js'
import { Registry } from './registry.js'
import { Reloader } from './reloader.js'
import { Replays } from './replays.js'
import { Schedules } from './schedules.js'
import { Service } from './service.js'
import { Session } from './session.js'
import { WatchedJobs } from './watched-jobs.js'
import { wireLimits } from './wire-limits.js'
import { findWorkerFiles, isFolder } from './worker-files.js'

/** Milliseconds between two looks at who has fallen silent. */
const HEARTBEAT_STEP = 1_000

/** Hears that the job store failed for good: the process should end, with the error's `exitCode`. */
export type OnFailure = (error: Error & { exitCode?: number }) => void

export class Supervisor {
  readonly #config: Config
  readonly #log: Logger
  readonly #registry: Registry
  readonly #store: JobStore | undefined
  readonly #dispatcher: Dispatcher | undefined
  readonly #graveyard: Graveyard | undefined
  readonly #schedules: Schedules
  readonly #reloader: Reloader | undefined
  readonly #listener: Listener
  readonly #service: Service
  readonly #results: CachedResults
  readonly #sessions = new Set<Session>()
  readonly #rates: Rates
  readonly #replays = new Replays()
  #sweeps: NodeJS.Timeout | undefined
  #heartbeats: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined

  /** What has happened on its connections: counters since the start. */
  readonly wire = new WireStats()

  private constructor(parts: Parts) {
    this.#config = parts.config
    this.#log = parts.log
    this.#registry = parts.registry
    this.#store = parts.store
    this.#dispatcher = parts.dispatcher
    this.#graveyard = parts.graveyard
    this.#schedules = parts.schedules
    this.#reloader = parts.reloader
    this.#service = parts.service
    this.#results = parts.results
    this.#rates = new Rates(parts.config.rate_frames, parts.config.rate_bytes)
    this.#listener = new Listener({
      settings: parts.config,
      limits: wireLimits(parts.config),
      stats: this.wire,
      users: parts.config.users,
      attempts: new FailedAttempts(parts.config.auth_attempts),
      serverId: randomUUID(),
      log: parts.log,
      accept: (connect, guest) => this.#accept(connect, guest),
    })
  }

  /** Resolves when it takes calls; rejects with an error that says what is wrong, and then nothing runs. */
  static async start(config: Config, log: Logger, onFailure: OnFailure): Promise<Supervisor> {
    const undo: (() => Promise<void> | void)[] = []
    try {
      const parts = await build(config, log, onFailure, undo)
      const supervisor = new Supervisor(parts)
      await supervisor.#listener.listen()
      undo.push(() => supervisor.#listener.close())
      await supervisor.#start()
      return supervisor
    } catch (error) {
      for (const step of undo.reverse()) {
        // What went wrong first is what the caller has to hear.
        await Promise.resolve(step()).catch((second: unknown) =>
          log.error({ err: second }, 'it could not end in order'),
        )
      }
      throw error
    }
  }

  /** `ip:port` that it listens on, or `unix:` and the path. */
  get address(): string {
    return this.#listener.address
  }

  /** What happens to the workers, as it happens: `subscribe(listener)` returns the end of the subscription. */
  get events(): Pick<WorkerEvents, 'subscribe'> {
    return this.#registry.events
  }

  /** What it loaded, for the program to show. */
  get workers(): Registry['names'] {
    return this.#registry.names
  }

  /**
   * Ends it in good order: no new calls, running methods get `stop_timeout`, the journal is closed clean.
   * Calling it again returns the same promise.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #start(): Promise<void> {
    await this.#registry.start()
    // Before any job runs: what was queued for a schedule is still there to be seen.
    await this.#schedules.start()
    this.#dispatcher?.start()
    const dispatcher = this.#dispatcher
    if (dispatcher !== undefined) {
      // By the monotonic clock: what a jump of the wall clock made due must not wait for that same clock.
      this.#sweeps = setInterval(() => dispatcher.sweep(), this.#config.persistent_delay * 1_000)
    }
    this.#graveyard?.start()
    this.#reloader?.start()
    this.#heartbeats = setInterval(() => {
      for (const session of this.#sessions) session.heartbeat()
      this.#results.sweep()
    }, HEARTBEAT_STEP)
    this.#listener.open()
    const { address } = this
    this.#log.info(
      { address, workers: this.#registry.names.map((worker) => worker.name), store: this.#store?.description },
      `listening on ${address}`,
    )
  }

  #accept(connect: ConstructorParameters<typeof Session>[0], guest: Guest): void {
    const { max_calls, max_call_bytes, access } = this.#config
    const stats = this.wire
    const { peer, identity } = guest
    const rate = this.#rates.join(identity)
    const options = {
      guest,
      service: this.#service,
      replays: this.#replays,
      credit: new Credit(max_calls, max_call_bytes),
      stats,
      meter: rate?.meter,
      guard: guardOf(identity, access),
    }
    const session = new Session(connect, options, (ended, error) => {
      this.#sessions.delete(ended)
      stats.sessions--
      rate?.leave()
      if (error === undefined) this.#log.debug({ peer, identity }, 'a client left')
      else {
        stats.refuse((error as { code?: string }).code ?? 'UNKNOWN')
        this.#log.warn({ peer, identity, err: error }, `a connection broke: ${error.message}`)
      }
    })
    stats.sessions++
    this.#sessions.add(session)
    this.#log.debug({ peer, identity }, 'a client came')
    if (this.#stopping !== undefined) session.goAway('the server is stopping')
  }

  async #stop(): Promise<void> {
    this.#log.info('stopping: no new calls are taken')
    this.#listener.close()
    clearInterval(this.#sweeps)
    clearInterval(this.#heartbeats)
    this.#schedules.stop()
    for (const session of this.#sessions) session.goAway('the server is stopping')
    const drained = this.#dispatcher?.stop()
    const reloaded = this.#reloader?.stop()
    const cleared = this.#graveyard?.stop()
    await this.#registry.stop()
    await reloaded
    await drained
    await cleared
    try {
      // Enqueues that wait for the disk are answered by this, so the sessions end after it.
      await this.#store?.close()
    } finally {
      this.#results.close()
      for (const session of this.#sessions) session.end()
      await this.#listener.ended()
    }
    this.#log.info('stopped')
  }
}

interface Parts {
  readonly config: Config
  readonly log: Logger
  readonly registry: Registry
  readonly store: JobStore | undefined
  readonly dispatcher: Dispatcher | undefined
  readonly graveyard: Graveyard | undefined
  readonly schedules: Schedules
  readonly reloader: Reloader | undefined
  readonly service: Service
  readonly results: CachedResults
}

async function build(
  config: Config,
  log: Logger,
  onFailure: OnFailure,
  undo: (() => Promise<void> | void)[],
): Promise<Parts> {
  let dispatcher: Dispatcher | undefined
  let limits: JobLimits | undefined
  let graveyard: Graveyard | undefined
  let jobs: JobService | undefined
  const results = new CachedResults(config, (worker, workerKey) => registry.find(worker, workerKey))
  const registry: Registry = new Registry({
    overrides: config.workerOverrides,
    groups: config.groups,
    results,
    log,
    stopTimeout: config.stop_timeout * 1_000,
    onChange: (queue) => dispatcher?.wake(queue),
  })
  undo.push(() => registry.stop())
  const folders = workerFolders(config, log)
  const reloader = config.watch ? new Reloader({ folders, registry, log }) : undefined
  await reloader?.begin()
  await registry.load(findWorkerFiles(folders))
  const store = config.persistent_disabled ? undefined : await openStore(config, log)
  if (store !== undefined) {
    undo.push(() => store.close())
    store.on('failed', onFailure)
    const releaseDelay = config.persistent_delay * 1_000
    const keep = config.dead_jobs_keep * 1_000
    graveyard = new Graveyard({ store, log, keep, entries: config.dead_jobs_entries })
    const pauses = new Pauses(join(config.data, 'queues.json'))
    const rateOf = (worker: string) => registry.rateLimitOf(worker)
    limits = new JobLimits({ pauses, rateOf, onRoom: (queue) => dispatcher?.wake(queue) })
    const watched = new WatchedJobs(store)
    dispatcher = new Dispatcher({ store, registry, limits, watched, log, releaseDelay, backoff: backoffOf(config) })
    jobs = new JobService({ store, watched, dispatcher })
  }
  const { attempts } = config
  const onScheduled = (runAt: number) => dispatcher?.expect(runAt)
  const schedules = new Schedules({
    schedules: config.schedules,
    registry,
    log,
    folder: config.data,
    store,
    attempts,
    onScheduled,
  })
  await schedules.checkData()
  dispatcher?.watch(schedules.watch)
  const service = new Service({
    registry,
    store,
    results,
    limits,
    schedules,
    jobs,
    attempts,
    log,
    onScheduled,
  })
  return { config, log, registry, store, dispatcher, graveyard, schedules, reloader, service, results }
}

async function openStore(config: Config, log: Logger): Promise<JobStore> {
  try {
    return await openJournal({
      dir: config.data,
      log,
      backoff: backoffOf(config),
      keep: {
        ms: config.job_results_keep * 1_000,
        entries: config.job_results_entries,
        bytes: config.job_results_bytes,
      },
    })
  } catch (cause) {
    if (cause instanceof OffstageError) throw cause
    throw new ConfigurationError(
      `the data folder ${config.data} cannot be used: ${(cause as Error).message}; name another one with --data`,
      { cause },
    )
  }
}

function backoffOf(config: Config): Backoff {
  return { ...DEFAULT_BACKOFF, first: config.retry_delay * 1_000, max: config.retry_max_delay * 1_000 }
}

/** A folder that was asked for must exist; the default one may be missing, and then no worker is loaded. */
function workerFolders(config: Config, log: Logger): readonly string[] {
  if (!config.workersByDefault) return config.workers
  const [folder = 'workers'] = config.workers
  if (isFolder(folder)) return config.workers
  log.warn(`there is no folder ${folder}, so no worker is loaded: make one, or name another with --workers`)
  return []
}
