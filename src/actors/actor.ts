/**
 * One worker instance as the supervisor sees it: starts its host, loads the class, makes the instance, passes
 * messages, starts it again after failures, and stops it.
 */
import { basename, extname } from 'node:path'
import { createActor } from 'xstate'
import type { OffstageError, WorkerStopped } from '../errors.js'
import { decodeFailure } from '../wire/failure.js'
import { createTooLong, endedWithGroup, hostEnded, loadError, noMethod, stoppedError } from './actor-errors.js'
import type { ActorOptions, WorkerInfo } from './actor-options.js'
import type { CacheChange } from './cache-frame.js'
import { type Cancelable, type Clock, systemClock } from './clock.js'
import type { WorkerDescription } from './description.js'
import type { Group, Member } from './group.js'
import { HostLink, type LinkEvents } from './host-link.js'
import type { Launch } from './hosts/host.js'
import { launchHost } from './hosts/launch.js'
import { lifecycle, machineClock, stateOf } from './lifecycle.js'
import { limitsOf, shorter } from './limits.js'
import { type Counts, Mailbox } from './mailbox.js'
import { originOf } from './message.js'
import { ANY_CACHE, monotonic } from './messages.js'
import { Overseer, type Watched } from './overseer.js'
import { placementOf, samePlace } from './placement.js'
import type { ReplySink } from './reply.js'
import { Reporter } from './reporter.js'
import { afterEnd } from './restarts.js'
import { freePlaces, roomFor } from './room.js'
import { Startup } from './startup.js'

/** What the lifecycle calls it. */
const EVENTS = { again: 'failed', held: 'held', failed: 'gaveUp' } as const

export class Actor implements Member {
  readonly #options: ActorOptions
  readonly #launch: Launch
  readonly #clock: Clock
  readonly #machine
  /** Views of the machine's state, for every message. */
  #running = false
  #over = false
  #link: HostLink | undefined
  #description: WorkerDescription | undefined
  #methods: ReadonlySet<string> = new Set()
  #limits: ReadonlyMap<string, number> = new Map()
  #mailbox = new Mailbox(0)
  readonly #startup: Startup
  /** `start` was called: a host that has loaded goes on to `create`. */
  #wanted = false
  /** It is started again after a failure. */
  #supervised = false
  #group: Group | undefined
  #stopping: Promise<void> | undefined
  #endStop: () => void = () => undefined
  #stopSent = false
  /** The host is being stopped so that another one starts: it is sent no more messages. This ends the waiting. */
  #renewing: Cancelable | undefined
  #tickDue = false
  #changed = false
  readonly #report: Reporter
  readonly #overseer: Overseer

  constructor(options: ActorOptions, launch: Launch = launchHost) {
    this.#options = options
    this.#launch = launch
    this.#clock = options.clock ?? systemClock
    this.#startup = new Startup(this.#clock)
    const { log, workerLog = log, events, workerKey } = options
    this.#report = new Reporter({ log, workerLog, events, workerKey, worker: () => this.#name })
    this.#overseer = new Overseer(() => this.#watched(), this.#report, this.#clock)
    this.#machine = createActor(lifecycle.provide({ actions: { launch: () => this.#startHost() } }), {
      input: { random: options.random ?? Math.random },
      clock: machineClock(this.#clock),
    })
    let before = ''
    this.#machine.subscribe((snapshot) => {
      this.#running = snapshot.matches('running')
      this.#over = snapshot.matches('stopped')
      const { state } = stateOf(snapshot.value)
      const now = state === 'running.idle' ? 'running.busy' : state
      if (now !== before) this.#change()
      before = now
    })
    this.#machine.start()
  }

  /** Starts the host and imports the class; `create` is not called yet. Rejects with `ConfigurationError`. */
  load(): Promise<WorkerDescription> {
    const imported = this.#startup.imported()
    this.#startHost()
    return imported
  }

  /**
   * Calls `create`. Rejects when that fails the first time (CREATE_FAILED, the host ended, it took too long); then
   * `supervised` goes on trying as after any failure, and `once` leaves the worker stopped.
   */
  async start(mode: 'supervised' | 'once'): Promise<void> {
    if (this.#over) throw this.#stoppedBecause(false)
    this.#wanted = true
    this.#supervised = mode === 'supervised'
    const created = this.#startup.created()
    if (this.#held) this.#machine.send({ type: 'launch' })
    else {
      this.#limitStart()
      this.#create()
    }
    return created
  }

  /**
   * `body` is the body of a CALL, owned by the actor from now on; `timeout` is in milliseconds, -1 for none. `limit` is how
   * long the method may run, if the worker lets it; 0 for as long as that.
   * Returns an id for `cancel`. Throws `Overloaded`, `WorkerStopped`, `RemoteWorkerError` with NO_METHOD.
   */
  send(body: Buffer, method: string, timeout: number, sink: ReplySink, tag: number, limit = 0): number {
    if (this.#over || this.#stopping !== undefined) throw this.#stoppedBecause(false)
    if (!this.#methods.has(method)) throw noMethod(this.#name, method, this.#description?.refused ?? [])
    const deadline = timeout < 0 ? 0 : monotonic() + timeout
    const id = this.#mailbox.add(body, deadline, sink, tag, shorter(limit, this.#limits.get(method)))
    if (deadline > 0) this.#overseer.by(deadline)
    this.#wake()
    return id
  }

  /** The message ends with CANCELLED, or with what it came to when that was faster. */
  cancel(id: number): void {
    const index = this.#mailbox.cancel(id)
    if (index === undefined) return
    this.#link?.cancel(index, false)
    this.#overseer.by(this.#mailbox.earliestDeadline)
  }

  /** Tells the worker of a cache entry that was changed from outside, or that is gone. */
  setCache(change: CacheChange): void {
    if (this.#wanted) this.#link?.cache(change)
  }

  /** How many more queued jobs should be sent now. */
  get room(): number {
    if (!this.#running || this.#stopping !== undefined) return 0
    return roomFor(this.#description!, this.#link?.meanTurn ?? 0, this.#mailbox.size)
  }

  /** How many of these would start at once. */
  get free(): number {
    return this.room === 0 ? 0 : freePlaces(this.#description!, this.#mailbox.size)
  }

  info(): WorkerInfo {
    // Idle or busy is decided now, and not on every message.
    this.#machine.send({ type: this.#mailbox.size > 0 ? 'busy' : 'idle' })
    const { value, context } = this.#machine.getSnapshot()
    const { failure, failedAt } = context
    const blocked = this.#overseer.blocked()
    return {
      worker: this.#name,
      workerKey: this.#options.workerKey,
      ...stateOf(value),
      mailbox: this.#mailbox.size,
      oldest: this.#mailbox.oldest(monotonic()),
      refused: this.#mailbox.refused,
      inFlight: this.#mailbox.inFlight,
      restarts: context.restarts,
      uptime: this.#running ? Math.round(this.#clock.now() - context.runningSince) : 0,
      ...(blocked === undefined ? {} : { blocked }),
      restart: this.#description?.restart ?? 'permanent',
      ...(this.#group === undefined ? {} : { group: this.#group.plan.name }),
      ...(failure === undefined ? {} : { failure, sinceFailure: Math.round(this.#clock.now() - failedAt) }),
    }
  }

  /**
   * Takes no more messages, lets those that it has run for up to `deadline` milliseconds, then ends the host,
   * whatever it is doing. What is left by then fails with `WorkerStopped`.
   */
  stop(deadline: number): Promise<void> {
    this.#stopping ??= new Promise((resolve) => {
      this.#endStop = resolve
      if (!this.#running) return this.#finish()
      this.#machine.send({ type: 'drain' })
      const timer = this.#clock.after(deadline, () => this.#finish())
      this.#endStop = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#stopWhenDrained()
    return this.#stopping
  }

  /**
   * Starts it again in a new host, which loads the file as it is now. What runs gets up to `deadline` milliseconds, and
   * then fails with `WorkerCrashed`; what waits runs afterwards. Calls of its new `methods` are taken at once.
   */
  renew(deadline: number, methods: ReadonlySet<string>): void {
    if (this.#over || this.#stopping !== undefined) return
    this.#methods = methods
    if (this.#renewing !== undefined) return
    if (this.#running && this.#link !== undefined) {
      this.#renewing = this.#clock.after(deadline, () => void this.#renew())
      this.#link.stop(true)
    } else if (this.#link !== undefined) {
      void this.#link.end()
      this.#startHost()
    }
  }

  #endRenewing(): void {
    this.#renewing?.cancel()
    this.#renewing = undefined
  }

  async #renew(): Promise<void> {
    const renewing = this.#renewing!
    renewing.cancel()
    const link = this.#link!
    this.#link = undefined
    this.#overseer.pause()
    const why = `worker ${this.#name} was started again, because its file has changed, while this was running`
    this.#mailbox.crashed(link.taken, why)
    // Not before its ports and files are free.
    await link.end()
    // It was ended with its group meanwhile.
    if (this.#renewing !== renewing) return
    this.#renewing = undefined
    if (this.#stopping === undefined) this.#machine.send({ type: 'renewed' })
    else this.#finish()
  }

  /** From now on a failure is its group's affair. */
  join(group: Group): void {
    this.#group = group
  }

  get alive(): boolean {
    return !this.#over && this.#stopping === undefined
  }

  get waits(): boolean {
    return this.alive && (this.#held || !this.#wanted)
  }

  async hold(why: string): Promise<void> {
    if (!this.alive || this.waits) return
    const error = endedWithGroup(this.#name, why)
    const again = this.#supervised && this.#description!.restart !== 'temporary'
    const { counts, ended } = this.#lose(error, again ? 'held' : 'failed')
    this.#report.halted(error.message, counts)
    if (!again) this.#report.failed(error.message)
    await ended
  }

  backOff(pause: number): void {
    if (this.#held) this.#report.backingOff(pause)
  }

  giveUp(why: string): void {
    const error = endedWithGroup(this.#name, why)
    this.#lose(error, 'failed')
    this.#report.failed(error.message)
  }

  /** It waits for its group to start it again. */
  get #held(): boolean {
    return this.#machine.getSnapshot().matches({ loading: 'waiting' })
  }

  get #life() {
    return this.#machine.getSnapshot().context
  }

  get #name(): string {
    return this.#description?.name ?? basename(this.#options.file, extname(this.#options.file))
  }

  #startHost(): void {
    const { file, workerKey, overrides = {}, cache = ANY_CACHE } = this.#options
    const name = workerKey === '' ? this.#name : `${this.#name} ${workerKey}`
    this.#link = new HostLink(this.#launch, { name, ...placementOf(this.#description ?? overrides) }, this.#linkEvents)
    this.#link.load({ file, workerKey, overrides, cache })
    if (this.#wanted) this.#limitStart()
    this.#overseer.start()
  }

  readonly #linkEvents: LinkEvents = {
    wake: () => this.#wake(),
    loaded: (description) => this.#loaded(description),
    loadFailed: (failure) => this.#fail(loadError(failure)),
    created: () => this.#created(),
    createFailed: (body) => this.#fail(decodeFailure(body)),
    cache: (change) => this.#options.onCache(change),
    log: (line) => this.#report.line(line),
    output: (stream, text) => this.#report.output(stream, text),
    stopped: () => (this.#renewing === undefined ? this.#finish() : void this.#renew()),
    batchDone: () => this.#batchDone(),
    exit: (reason, normal) => this.#fail(hostEnded(this.#name, reason), normal),
  }

  #loaded(description: WorkerDescription): void {
    const moves = !samePlace(placementOf(description), this.#link!.placement)
    this.#description = description
    if (moves) {
      // Only the class says where it wants to live: it is loaded again there.
      void this.#link!.end()
      this.#startHost()
      return
    }
    this.#methods = new Set(description.methods)
    this.#limits = limitsOf(description)
    if (this.#startup.hasImported(description)) {
      this.#mailbox = new Mailbox(description.mailboxLimit, description.grace)
    }
    const { maxRestarts, restartPeriod } = description
    this.#machine.send({ type: 'described', maxRestarts, restartPeriod })
    if (this.#wanted) this.#create()
  }

  #limitStart(): void {
    const { createTimeout } = this.#description!
    this.#startup.limit(createTimeout, () => this.#fail(createTooLong(this.#name, createTimeout)))
  }

  #create(): void {
    const link = this.#link
    if (link === undefined) return
    for (const entry of this.#options.initialCache?.() ?? []) link.cache(entry)
    link.create(this.#options.data)
  }

  #created(): void {
    this.#link!.mailbox = this.#mailbox
    this.#supervised = true
    this.#machine.send({ type: 'created', at: this.#clock.now() })
    this.#report.running(this.#life.restarts)
    this.#startup.hasCreated()
    this.#wake()
  }

  /** The class could not be loaded, `create` failed, or the host has ended; `normal`: of itself, with code 0. */
  #fail(error: OffstageError, normal = false): void {
    if (this.#stopping !== undefined) {
      this.#endRenewing()
      this.#finish()
      return
    }
    const reason = error.message
    const after = this.#supervised ? afterEnd(this.#description!.restart, normal) : 'failed'
    const { importing } = this.#startup
    const { counts } = this.#lose(error, after === 'again' && this.#group !== undefined ? 'held' : after)
    // That one was only looked at, perhaps beside the one that runs.
    if (importing) return
    if (after === 'done') this.#report.ended(reason, counts)
    else this.#report.crashed(error, this.info().state, counts)
    if (this.#held) this.#group!.failed(this.#name, reason)
    else if (!this.#over) this.#report.backingOff(this.#life.failures.pause)
    else if (after !== 'done') this.#report.failed(reason)
  }

  /** It has no host from now on. `ended` resolves when that is gone. */
  #lose(error: OffstageError, then: 'again' | 'held' | 'done' | 'failed'): { counts: Counts; ended: Promise<void> } {
    const link = this.#link
    this.#link = undefined
    this.#endRenewing()
    this.#overseer.pause()
    const ended = link?.end() ?? Promise.resolve()
    const reason = error.message
    const at = this.#clock.now()
    this.#machine.send(then === 'done' ? { type: 'ended' } : { type: EVENTS[then], at, reason })
    const counts = this.#mailbox.crashed(link?.taken ?? 0, reason)
    if (this.#over) this.#failAll(0)
    this.#startup.hasFailed(error)
    return { counts, ended }
  }

  /** The end of `stop`: drained, or out of time, or without a host. */
  #finish(): void {
    const link = this.#link
    this.#link = undefined
    this.#overseer.stop()
    const before = this.#over
    this.#machine.send({ type: 'ended' })
    if (!before && this.#wanted) this.#report.stopped()
    this.#failAll(link?.taken ?? 0)
    this.#startup.wasStopped(this.#stoppedBecause(false))
    void (link?.end() ?? Promise.resolve()).then(this.#endStop)
  }

  /** What has not started is undeliverable, but for queued jobs, which go back to their queue. */
  #failAll(taken: number): void {
    const undelivered = this.#stoppedBecause(false)
    this.#mailbox.failAll(
      (started) => (started ? this.#stoppedBecause(true) : undelivered),
      taken,
      (message) => this.#options.deadLetters?.add({ ...this.#fields(), ...originOf(message) }, undelivered),
    )
  }

  #watched(): Watched {
    const { grace = 0 } = this.#description ?? {}
    return { link: this.#link, mailbox: this.#mailbox, grace, creating: this.#wanted && !this.#running }
  }

  #batchDone(): void {
    this.#change()
    this.#stopWhenDrained()
  }

  #stopWhenDrained(): void {
    if (this.#stopping === undefined || this.#stopSent || this.#mailbox.size > 0 || this.#link === undefined) return
    this.#stopSent = true
    this.#link.stop(false)
  }

  #change(): void {
    this.#changed = true
    this.#wake()
  }

  #wake(): void {
    if (this.#tickDue) return
    this.#tickDue = true
    setImmediate(this.#tick)
  }

  /** Once per event-loop turn in which something happened: hear, then speak. */
  readonly #tick = (): void => {
    if (this.#changed) {
      this.#changed = false
      this.#options.onChange()
    }
    this.#tickDue = false
    const link = this.#link
    if (link === undefined) return
    if (link.mailbox !== undefined && this.#renewing === undefined) {
      for (let message = this.#mailbox.send(); message !== undefined; message = this.#mailbox.send()) link.turn(message)
      this.#overseer.by(this.#mailbox.earliestDeadline)
    }
    link.flush()
  }

  #stoppedBecause(started: boolean): WorkerStopped {
    const failed = this.#machine.getSnapshot().matches({ stopped: 'failed' })
    return stoppedError(this.#name, failed ? this.#life.failure : undefined, started)
  }

  #fields(): { worker: string; workerKey: string } {
    return { worker: this.#name, workerKey: this.#options.workerKey }
  }
}
