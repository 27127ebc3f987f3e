/**
 * The workers that this supervisor knows: each class once, and under it the instances by their key. The
 * instance that starts with the supervisor has the key ''.
 */
import { Actor } from '../actors/actor.js'
import type { WorkerInfo } from '../actors/actor-options.js'
import { Checker } from '../actors/checks/checker.js'
import { DeadLetters } from '../actors/dead-letters.js'
import type { WorkerDescription } from '../actors/description.js'
import type { GroupPlan } from '../actors/group.js'
import type { RateLimit } from '../actors/rate-limit.js'
import { type KnownRetry, policiesOf } from '../actors/retry-policy.js'
import { WorkerEvents } from '../actors/worker-events.js'
import { ConfigurationError, Draining, RemoteWorkerError, WorkerKeyInUse, WorkerStopped } from '../errors.js'
import type { QueueName } from '../persistence/store.js'
import { encodeValue } from '../wire/codec.js'
import type { CachedResults } from './cached-results.js'
import type { Logger } from './log.js'
import { patiently } from './patience.js'
import { Tree } from './tree.js'
import { settingsOf, type WorkerOverrides } from './worker-overrides.js'

export interface RegistryOptions {
  readonly overrides: ReadonlyMap<string, WorkerOverrides>
  readonly groups: readonly GroupPlan[]
  readonly results: Pick<CachedResults, 'of' | 'drop'>
  readonly log: Logger
  /** In milliseconds: how long running methods get when an instance is stopped. */
  readonly stopTimeout: number
  /** The state or the room of an instance has changed. */
  readonly onChange: (queue: QueueName) => void
}

interface WorkerClass {
  readonly file: string
  readonly description: WorkerDescription
  readonly methods: ReadonlySet<string>
  /** Of the methods that have one. */
  readonly retries: ReadonlyMap<string, KnownRetry>
  /** There when a method has a schema. */
  readonly checker: Checker | undefined
  readonly instances: Map<string, Actor>
  /** Keys that `startNew` is at. */
  readonly starting: Set<string>
}

interface Loaded {
  readonly actor: Actor
  readonly description: WorkerDescription
}

export class Registry {
  /** What happens to the workers. */
  readonly events: WorkerEvents
  readonly deadLetters: DeadLetters
  readonly #options: RegistryOptions
  readonly #classes = new Map<string, WorkerClass>()
  /** Not among the instances yet: their class is being imported. */
  readonly #opening = new Set<Actor>()
  readonly #tree: Tree
  #stopping = false

  constructor(options: RegistryOptions) {
    this.#options = options
    const { log } = options
    this.events = new WorkerEvents((err) => log.error({ err }, 'a listener of worker events threw an error'))
    this.deadLetters = new DeadLetters(log)
    this.#tree = new Tree(options.groups, (worker) => this.find(worker, ''))
  }

  /**
   * Imports every file in a host of its own; nothing is created yet. Rejects with a `ConfigurationError` that
   * names each file that is wrong.
   */
  async load(files: readonly string[]): Promise<void> {
    const loaded = await Promise.allSettled(
      files.map((file) => patiently(this.#options.log, `the import of ${file}`, this.#loadFile(file))),
    )
    const problems: string[] = []
    for (const [i, outcome] of loaded.entries()) {
      const file = files[i]!
      if (outcome.status === 'rejected') {
        problems.push(outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason))
        continue
      }
      const { actor, description } = outcome.value
      const twin = this.#twinOf(file, description)
      if (twin !== undefined) problems.push(twin)
      this.#add(file, actor, description)
    }
    for (const name of this.#options.overrides.keys()) {
      if (!this.#classes.has(name)) problems.push(`workers.${name} in the configuration is for ${this.#unknown(name)}`)
    }
    problems.push(...this.#tree.problems(this.#classes, (name) => this.#unknown(name)))
    if (problems.length > 0) {
      await Promise.allSettled(loaded.map((l) => (l.status === 'fulfilled' ? l.value.actor.stop(0) : undefined)))
      throw new ConfigurationError(problems.join('\n'))
    }
  }

  /**
   * Calls `create` of every worker that starts with the supervisor: in a group one after another, otherwise beside each
   * other. Resolves when each has had its first outcome; one that fails is tried again.
   */
  async start(): Promise<void> {
    const { groups } = this.#tree
    for (const worker of groups.flatMap(({ plan }) => plan.workers)) this.#prepare(worker)
    const single = [...this.#classes.keys()].filter((name) => this.#tree.groupOf(name) === undefined).sort()
    await Promise.all([
      ...groups.map((group) => patiently(this.#options.log, `the start of group ${group.plan.name}`, group.start())),
      ...single.map((name) => this.#startClass(name)),
    ])
  }

  /** Whether a worker was loaded from this file. */
  has(file: string): boolean {
    return this.#nameOf(file) !== undefined
  }

  /** Loads one more file, and starts its worker. Rejects with `ConfigurationError`. */
  async loadOne(file: string): Promise<void> {
    const { actor, description } = await this.#loadFile(file)
    const twin = this.#twinOf(file, description)
    if (twin !== undefined || this.#stopping) {
      await actor.stop(0)
      throw twin === undefined ? new Draining('the server is stopping') : new ConfigurationError(twin)
    }
    this.#add(file, actor, description)
    await this.#startClass(description.name)
  }

  /**
   * Loads a file again and starts the instances of its worker anew, which keep their mailboxes. Resolves when they have been
   * told to. Rejects with `ConfigurationError`, and then nothing has changed.
   */
  async renew(file: string): Promise<void> {
    const name = this.#nameOf(file)!
    const known = this.#class(name)
    if (known.description.host === 'inline') {
      throw new ConfigurationError(
        `${name} runs inline, in the supervisor's own thread, which cannot load a file twice: restart the supervisor, or ` +
          "let the worker run with host 'thread' while you change it",
      )
    }
    const { actor: trial, description } = await this.#open(file, name, '', undefined)
    await trial.stop(0)
    if (description.name !== name) {
      throw new ConfigurationError(
        `the worker of ${file} was ${name} and is now ${description.name}: restart the supervisor for that`,
      )
    }
    const methods = new Set(description.methods)
    const checker = this.#checkerFor(file, description)
    this.#classes.set(name, { ...known, description, methods, retries: policiesOf(description), checker })
    void known.checker?.end(new WorkerStopped(`${name} is loaded again: its file has changed`, { retryable: true }))
    for (const actor of known.instances.values()) actor.renew(this.#options.stopTimeout, methods)
    if (known.instances.get('')?.info().status !== 'stopped') return
    // It has failed for good, and now perhaps does not.
    known.instances.set('', (await this.#open(file, name, '', this.#dataOf(name))).actor)
    await this.#startClass(name)
  }

  /** Names, with whether each starts with the supervisor. */
  get names(): { name: string; file: string; autoLoad: boolean; methods: readonly string[] }[] {
    return [...this.#classes].map(([name, { file, description }]) => ({
      name,
      file,
      autoLoad: description.autoLoad,
      methods: description.methods,
    }))
  }

  find(worker: string, workerKey: string): Actor | undefined {
    return this.#classes.get(worker)?.instances.get(workerKey)
  }

  /** Throws `RemoteWorkerError` (NO_WORKER) for one that does not run here. */
  instance(worker: string, workerKey: string): Actor {
    const actor = this.find(worker, workerKey)
    if (actor !== undefined) return actor
    const known = this.#class(worker)
    const keys = [...known.instances.keys()].map((key) => (key === '' ? 'one without a key' : `"${key}"`))
    const which = workerKey === '' ? 'without a key' : `with the key "${workerKey}"`
    throw new RemoteWorkerError(
      'NO_WORKER',
      `no instance of ${worker} ${which} runs here; running: ${list(keys)}. Start one with newWorker`,
    )
  }

  checkWorker(worker: string): void {
    this.#class(worker)
  }

  checkMethod(worker: string, method: string): void {
    const { methods } = this.#class(worker)
    if (methods.has(method)) return
    throw new RemoteWorkerError(
      'NO_METHOD',
      `${worker} has no method ${JSON.stringify(method)} that clients may call; it has: ${list([...methods])}`,
    )
  }

  /** Undefined: any number of jobs may start. */
  rateLimitOf(worker: string): RateLimit | undefined {
    return this.#classes.get(worker)?.description.rateLimit ?? undefined
  }

  /** Who checks arguments for a worker with schemas. */
  checkerOf(worker: string): Checker | undefined {
    return this.#classes.get(worker)?.checker
  }

  /** How jobs of the method are tried again; undefined: as the configuration says. */
  retryOf(worker: string, method: string): KnownRetry | undefined {
    return this.#classes.get(worker)?.retries.get(method)
  }

  /** Resolves when `create` has ended well; otherwise the instance is gone again. */
  async startNew(worker: string, workerKey: string, data: Uint8Array | undefined): Promise<void> {
    const known = this.#class(worker)
    if (this.#stopping) throw new Draining('the server is stopping and starts no more workers')
    const old = known.instances.get(workerKey)
    // One that has failed for good can be started again.
    if (old?.info().status === 'stopped') this.#forget(worker, workerKey, old)
    if (known.instances.has(workerKey) || known.starting.has(workerKey)) {
      const which = workerKey === '' ? 'without a key' : `with the key "${workerKey}"`
      throw new WorkerKeyInUse(`${worker} has an instance ${which} already; give newWorker another workerKey`)
    }
    known.starting.add(workerKey)
    let actor: Actor | undefined
    try {
      actor = (await this.#open(known.file, worker, workerKey, data)).actor
      known.instances.set(workerKey, actor)
      const group = workerKey === '' ? this.#tree.groupOf(worker) : undefined
      if (group !== undefined) actor.join(group)
      await actor.start('once')
    } catch (error) {
      if (actor !== undefined) this.#forget(worker, workerKey, actor)
      throw error
    } finally {
      known.starting.delete(workerKey)
    }
  }

  /** An instance with the data that the configuration has for the worker. */
  startFresh(worker: string, workerKey: string): Promise<void> {
    return this.startNew(worker, workerKey, this.#dataOf(worker))
  }

  /** Whether each firing of a schedule has an instance of its own. */
  reloads(worker: string): boolean {
    return this.#class(worker).description.reloadOnSchedule
  }

  async remove(worker: string, workerKey: string): Promise<void> {
    const actor = this.instance(worker, workerKey)
    await actor.stop(this.#options.stopTimeout)
    this.#forget(worker, workerKey, actor)
  }

  info(worker: string, workerKey: string): WorkerInfo {
    return this.instance(worker, workerKey).info()
  }

  allInfo(): WorkerInfo[] {
    return this.#actors().map((actor) => actor.info())
  }

  /**
   * Stops all instances, also those that are only being started: members of a group one after another, all others at
   * once. A group, and each of the others, gets the whole deadline.
   */
  async stop(): Promise<void> {
    this.#stopping = true
    const { stopTimeout } = this.#options
    const { groups } = this.#tree
    const grouped = new Set(groups.flatMap(({ plan }) => plan.workers.map((worker) => this.find(worker, ''))))
    const single = [...this.#opening, ...this.#actors()].filter((actor) => !grouped.has(actor))
    const checkers = [...this.#classes.values()].map(({ checker }) =>
      checker?.end(new Draining('the server is stopping')),
    )
    await Promise.all([...checkers, ...[...groups, ...single].map((each) => each.stop(stopTimeout))])
    this.deadLetters.flush()
  }

  async #startClass(name: string): Promise<void> {
    const actor = this.#prepare(name)
    const { description, instances } = this.#class(name)
    const { log } = this.#options
    if (description.autoLoad) {
      await patiently(log, `create of ${name}`, actor.start('supervised')).catch((error: unknown) => {
        log.error({ err: error, worker: name }, `${name} could not be started; it is tried again`)
      })
    } else {
      instances.delete('')
      await actor.stop(0)
    }
  }

  /** The instance without a key, which belongs to its group from now on. */
  #prepare(name: string): Actor {
    const { description, instances } = this.#class(name)
    for (const { name: method, why } of description.refused) {
      this.#options.log.warn({ worker: name, method }, `${name}.${method} cannot be called by clients: ${why}`)
    }
    const actor = instances.get('')!
    const group = this.#tree.groupOf(name)
    if (group !== undefined) actor.join(group)
    return actor
  }

  #add(file: string, actor: Actor, description: WorkerDescription): void {
    this.#classes.set(description.name, {
      file,
      description,
      methods: new Set(description.methods),
      retries: policiesOf(description),
      checker: this.#checkerFor(file, description),
      instances: new Map([['', actor]]),
      starting: new Set(),
    })
  }

  #checkerFor(file: string, worker: WorkerDescription): Checker | undefined {
    if (worker.schemas.length === 0) return undefined
    const overrides = this.#options.overrides.get(worker.name)
    return new Checker({ file, worker, overrides: overrides === undefined ? {} : settingsOf(overrides) })
  }

  #twinOf(file: string, { name }: WorkerDescription): string | undefined {
    const twin = this.#classes.get(name)
    if (twin === undefined) return undefined
    return `two files hold a worker named "${name}": ${twin.file} and ${file}; rename one of them`
  }

  #nameOf(file: string): string | undefined {
    return [...this.#classes].find(([, known]) => known.file === file)?.[0]
  }

  /** For `create`, as the configuration says it. */
  #dataOf(name: string): Uint8Array | undefined {
    const data = this.#options.overrides.get(name)?.data
    return data === undefined ? undefined : encodeValue(data, `workers.${name}.data`)
  }

  /** While one was being stopped, another may have been started under its key. */
  #forget(worker: string, workerKey: string, actor: Actor): void {
    const { instances } = this.#class(worker)
    if (instances.get(workerKey) !== actor) return
    instances.delete(workerKey)
    this.#options.results.drop(worker, workerKey)
  }

  #actors(): Actor[] {
    return [...this.#classes.values()].flatMap(({ instances }) => [...instances.values()])
  }

  async #loadFile(file: string): Promise<Loaded> {
    const loaded = await this.#open(file, undefined, '', undefined)
    const { name } = loaded.description
    const overrides = this.#options.overrides.get(name)
    if (overrides === undefined) return loaded
    // The name, and so what the configuration says about it, is known only now: load it again with that.
    await loaded.actor.stop(0)
    return this.#open(file, name, '', this.#dataOf(name))
  }

  /** Imports the class in a host of its own. */
  async #open(
    file: string,
    name: string | undefined,
    workerKey: string,
    data: Uint8Array | undefined,
  ): Promise<Loaded> {
    const { results, log, onChange } = this.#options
    const overrides = name === undefined ? undefined : this.#options.overrides.get(name)
    // Only the class knows its name; nothing but `load` happens before it is known.
    const queue = { worker: name ?? '', workerKey }
    const actor = new Actor({
      file,
      workerKey,
      log,
      events: this.events,
      deadLetters: this.deadLetters,
      ...(data === undefined ? {} : { data }),
      ...(overrides === undefined ? {} : { overrides: settingsOf(overrides) }),
      ...results.of(queue),
      onChange: () => onChange(queue),
    })
    this.#opening.add(actor)
    try {
      const description = await actor.load()
      queue.worker = description.name
      return { actor, description }
    } finally {
      this.#opening.delete(actor)
    }
  }

  #class(worker: string): WorkerClass {
    const known = this.#classes.get(worker)
    if (known === undefined) {
      throw new RemoteWorkerError('NO_WORKER', `this server has ${this.#unknown(worker)}`)
    }
    return known
  }

  #unknown(worker: string): string {
    return `no worker ${JSON.stringify(worker)}; it has: ${list([...this.#classes.keys()])}`
  }
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
