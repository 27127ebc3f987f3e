/**
 * The host's side of one actor: takes batches of frames from the supervisor, makes the instance, runs its
 * turns, and answers in batches. The same code in a thread, inline and in a test.
 */
import { type OffstageError, RemoteWorkerError } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import { decodeFailure, describeThrown, encodeFailure } from '../wire/failure.js'
import { FrameReader, writeU32 } from '../wire/frame.js'
import { Outbox } from '../wire/outbox.js'
import { ResultCache } from './cache.js'
import { CacheCopy } from './cache-copy.js'
import { type CacheChange, readCacheFrame, writeCacheFrame } from './cache-frame.js'
import { CacheWrites } from './cache-writes.js'
import { Call, calls, task } from './call.js'
import type { Clock } from './clock.js'
import { construct, type WorkerContext } from './context.js'
import type { LoadedClass } from './description.js'
import { type Gauge, Task } from './gauge.js'
import { WorkerLogger } from './logger.js'
import {
  DEADLINE_BYTES,
  HostFrame,
  LAST_HOST_FRAME,
  LEAVE,
  type LoadFailure,
  type LoadRequest,
  MAX_HOST_BODY,
  monotonic,
  OVERDUE,
  RELEASE,
  TIMED,
} from './messages.js'
import { fieldsOf, fieldsSetSince } from './pool/fields.js'
import type { MakePool } from './pool/task.js'
import { PoolThreads } from './pool/threads.js'
import { WorkerPool } from './pool/worker-pool.js'
import { WorkerSockets } from './sockets/sockets.js'
import { WorkerTimers } from './timers.js'
import { type TurnOutput, Turns } from './turns.js'
import type { MetaWorker } from './worker.js'

const EMPTY_MAP = Uint8Array.of(0xa0)
/** Milliseconds after which the progress of a method that runs without a break is sent. */
const PROGRESS_PERIOD = 50

export interface RuntimeOptions {
  gauge: Gauge
  clock: Clock
  /** Takes a batch for the supervisor and owns it. */
  post(batch: Uint8Array): void
  load(request: LoadRequest): Promise<LoadedClass>
  /** Where deferred calls run; by default in threads. */
  pool?: MakePool
}

export class Runtime implements WorkerContext, TurnOutput {
  workerName = ''
  workerKey = ''
  readonly cached: CacheCopy
  readonly cache: ResultCache
  readonly logger: WorkerLogger
  readonly timers: WorkerTimers
  readonly sockets: WorkerSockets
  readonly pool: WorkerPool
  readonly #options: RuntimeOptions
  readonly #out: Outbox
  readonly #reader: FrameReader
  readonly #stopping = new AbortController()
  readonly #writes = new CacheWrites((call, error) => this.#unstored(call, error))
  readonly #settlements = new Map<number, (current: boolean) => void>()
  #lastToken = 0
  #class: LoadedClass | undefined
  #turns: Turns | undefined
  #instance: MetaWorker | undefined
  /** The fields of the instance after its constructor. */
  #fields: ReadonlyMap<string, unknown> = new Map()
  /** Names of those that `create` has set; undefined while it runs. */
  #unshared: string[] | undefined
  #flushDue = false
  /** Calls with a progress that is on no batch yet. */
  #progressing: Call[] = []
  #postedAt = 0
  #dead = false

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.#out = new Outbox(() => {
      this.#scheduleFlush()
      return Number.POSITIVE_INFINITY
    })
    this.#reader = new FrameReader({ maxBody: MAX_HOST_BODY, maxType: LAST_HOST_FRAME }, this.#frame)
    const { clock } = options
    this.cached = new CacheCopy(
      () => clock.now(),
      (change) => this.#change(change),
    )
    this.cache = new ResultCache(this.cached)
    this.logger = new WorkerLogger((line) => this.writeLog(line))
    this.timers = new WorkerTimers(clock, (periodic, run, ended) => {
      const name = periodic ? 'periodic timer' : 'timer'
      this.#takeTurn(periodic ? Task.PERIODIC_TIMER : Task.TIMER, name, run, ended)
    })
    this.sockets = new WorkerSockets({
      takeTurn: (name, run, ended) => this.#takeTurn(Task.SOCKET, name, run, ended),
      warn: (fields, message) => this.logger.warn(fields, message),
    })
    this.pool = new WorkerPool(this, options.pool ?? ((pool) => new PoolThreads(pool)))
  }

  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** For the test helper. */
  get instance(): MetaWorker | undefined {
    return this.#instance
  }

  /** Resolves when no turn waits or runs. */
  idle(): Promise<void> {
    return new Promise((resolve) => (this.#turns === undefined ? resolve() : this.#turns.whenIdle(resolve)))
  }

  receive(batch: Uint8Array): void {
    if (this.#dead) return
    this.#reader.push(Buffer.from(batch.buffer as ArrayBuffer, batch.byteOffset, batch.byteLength))
    if (this.#turns !== undefined) this.#turns.work()
  }

  /** Nothing is heard of it any more: the inline host cannot end what runs, only stop listening. */
  async kill(): Promise<void> {
    this.#dead = true
    this.timers.stop()
    this.sockets.kill()
    this.#stopping.abort()
    this.#turns?.abort()
    await this.pool.end()
  }

  /** Also called when the thread is about to end, so that what is done is known. */
  flush(): void {
    this.#turns?.measure()
    this.#post()
  }

  #post(): void {
    this.#writeProgress()
    this.#postedAt = performance.now()
    if (this.#out.bytes > 0 && !this.#dead) this.#options.post(this.#out.takeOwned())
  }

  result(call: Call, value: unknown): void {
    if (call.progress !== undefined) this.#writeProgress()
    let bytes: Uint8Array
    try {
      bytes = encodeValue(value, 'result')
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      const facts = { executed: 'yes', details: { method: call.method } } as const
      this.failed(call, new RemoteWorkerError('RESULT_NOT_ENCODABLE', `${call.method} returned: ${what}`, facts))
      return
    }
    this.#out.frame(HostFrame.RESULT, 0, call.corr, bytes)
  }

  failed(call: Call, error: OffstageError): void {
    if (call.progress !== undefined) this.#writeProgress()
    this.#out.frame(HostFrame.FAILED, 0, call.corr, encodeFailure(error))
  }

  told(call: Call): void {
    this.#out.frame(HostFrame.TOLD, 0, call.corr, EMPTY_MAP)
  }

  ended(call: Call, thrown: unknown): void {
    if (call.task === undefined) this.#out.frame(HostFrame.ENDED, 0, call.corr, EMPTY_MAP)
    else if (thrown !== undefined) this.#logTaskError(call, thrown)
    call.whenEnded?.(thrown)
  }

  settle(call: Call, release: boolean): Promise<boolean> {
    // The turn's end settles the job, so after it this attempt is not the current one.
    if (call.ended && call.settled === undefined) return Promise.resolve(false)
    if (call.settled !== undefined) {
      return call.settled.release === release ? call.settled.current : Promise.resolve(false)
    }
    const token = ++this.#lastToken
    const current = new Promise<boolean>((resolve) => this.#settlements.set(token, resolve))
    call.settled = { release, current }
    const body = Buffer.alloc(4)
    writeU32(body, 0, token)
    this.#out.frame(HostFrame.SETTLE, release ? RELEASE : 0, call.corr, body)
    return current
  }

  progress(call: Call, value: Uint8Array): void {
    if (call.ended) return
    if (call.progress === undefined) this.#progressing.push(call)
    call.progress = value
    // A method that gives the thread no break is heard all the same.
    if (performance.now() - this.#postedAt > PROGRESS_PERIOD) this.#post()
    else this.#scheduleFlush()
  }

  /** The latest of each call. */
  #writeProgress(): void {
    if (this.#progressing.length === 0) return
    for (const call of this.#progressing) {
      // Its answer has taken it along.
      if (call.progress === undefined) continue
      this.#out.frame(HostFrame.PROGRESS, 0, call.corr, call.progress)
      call.progress = undefined
    }
    this.#progressing = []
  }

  writeLog(line: Uint8Array): void {
    this.#out.frame(HostFrame.LOG, 0, 0, line)
  }

  unshared(): string[] {
    return this.#unshared ?? fieldsSetSince(this.#fields, this.#instance!)
  }

  unheard(method: string, error: unknown): void {
    this.logger.error(
      { err: error },
      `${method} of ${this.workerName} failed in the thread pool: ${describeThrown(error).message}`,
    )
  }

  /** Neither a turn nor a deferred call waits or runs, and no connection is left. */
  #whenQuiet(quiet: () => void): void {
    if (this.#turns === undefined) {
      quiet()
      return
    }
    this.#turns.whenIdle(() => {
      const busy = [this.pool, this.sockets].find((part) => part.busy)
      if (busy === undefined) quiet()
      else busy.whenIdle(() => this.#whenQuiet(quiet))
    })
  }

  #scheduleFlush(): void {
    if (this.#flushDue || this.#turns?.working === true) return
    this.#flushDue = true
    setImmediate(() => {
      this.#flushDue = false
      this.flush()
    })
  }

  readonly #frame = (type: number, flags: number, corr: number, bytes: Buffer, start: number, end: number): void => {
    switch (type) {
      case HostFrame.TURN: {
        const timed = (flags & TIMED) !== 0
        const deadline = timed ? bytes.readDoubleBE(start) : 0
        this.#turns?.add(new Call(this, corr, bytes, timed ? start + DEADLINE_BYTES : start, end, deadline))
        return
      }
      case HostFrame.CANCEL:
        this.#turns?.cancel(corr, (flags & OVERDUE) !== 0)
        return
      case HostFrame.SETTLED: {
        const answer = this.#settlements.get(corr)
        this.#settlements.delete(corr)
        answer?.(bytes[start] === 1)
        return
      }
      case HostFrame.CACHE:
        this.cached.receive(readCacheFrame(flags, corr, bytes, start, end))
        return
      case HostFrame.STORED:
        this.#writes.end(corr, bytes[start] === EMPTY_MAP[0] ? undefined : decodeFailure(bytes, start, end))
        return
      case HostFrame.LOAD:
        void this.#load(decodeValue(bytes, start, end) as LoadRequest)
        return
      case HostFrame.CREATE:
        this.#startInstance(bytes, start, end)
        return
      case HostFrame.STOP:
        if ((flags & LEAVE) !== 0) this.#turns?.leave()
        this.timers.stop()
        this.sockets.stop()
        this.#stopping.abort()
        this.pool.cancel()
        this.#whenQuiet(() => this.#out.frame(HostFrame.STOPPED, 0, 0, EMPTY_MAP))
    }
  }

  async #load(request: LoadRequest): Promise<void> {
    try {
      this.#class = await this.#options.load(request)
      this.workerName = this.#class.description.name
      this.workerKey = request.workerKey
      this.cached.rules = request.cache
      this.pool.belongsTo(this.#class, request)
      this.#out.frame(HostFrame.LOADED, 0, 0, encodeValue(this.#class.description, 'description'))
    } catch (error) {
      const failure: LoadFailure = { message: error instanceof Error ? error.message : String(error) }
      if (error instanceof Error && error.cause !== undefined) failure.cause = describeThrown(error.cause)
      this.#out.frame(HostFrame.LOAD_FAILED, 0, 0, encodeValue(failure, 'failure'))
    }
  }

  #startInstance(bytes: Buffer, start: number, end: number): void {
    let data: unknown
    try {
      data = decodeValue(bytes, start, end)
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      const message = `the data for create of ${this.workerName} cannot be read: ${what}`
      this.#out.frame(HostFrame.CREATE_FAILED, 0, 0, encodeFailure(new RemoteWorkerError('BAD_ARGUMENT', message)))
      return
    }
    void this.#create(data)
  }

  async #create(data: unknown): Promise<void> {
    const { Class, methods, description, backoffs } = this.#class!
    const { gauge } = this.#options
    const call = task(this, Task.CREATE, 'create', () => {
      this.#instance = construct(Class, this)
      this.#fields = fieldsOf(this.#instance)
      this.#turns = new Turns(description, methods, this.#instance, gauge, this, backoffs)
      return this.#instance.create(data)
    })
    gauge.begin(Task.CREATE, monotonic())
    try {
      const created = calls.run(call, call.task!)
      gauge.beat(monotonic())
      await created
    } catch (thrown) {
      const remote = describeThrown(thrown)
      this.#out.frame(
        HostFrame.CREATE_FAILED,
        0,
        0,
        encodeFailure(
          new RemoteWorkerError('CREATE_FAILED', `create of ${this.workerName} failed: ${remote.message}`, {
            executed: 'yes',
            remote,
            details: { worker: this.workerName, workerKey: this.workerKey },
          }),
        ),
      )
      return
    } finally {
      gauge.beat(monotonic())
      call.ended = true
    }
    this.#unshared = this.unshared()
    this.#out.frame(HostFrame.CREATED, 0, 0, EMPTY_MAP)
    this.#turns!.open = true
    this.#turns!.work()
  }

  /** A turn that is not a message. `kind` is a `Task`. */
  #takeTurn(kind: number, name: string, run: () => unknown, ended: (thrown: unknown) => void): void {
    const turns = this.#turns
    // The constructor has thrown: its host is about to end.
    if (turns === undefined) return
    const call = task(this, kind, name, run)
    call.whenEnded = ended
    turns.add(call)
    turns.work()
  }

  #change(change: CacheChange): void {
    if (this.cached.awaited) {
      const call = calls.getStore()
      this.#writes.begin(change.number, call?.owner === this ? call : undefined)
    }
    writeCacheFrame(this.#out, change)
  }

  #unstored(call: Call | undefined, err: OffstageError): void {
    const log = () => this.logger.error({ err }, `what ${this.workerName} has cached is not kept: ${err.message}`)
    if (call === undefined) log()
    else calls.run(call, log)
  }

  #logTaskError(call: Call, thrown: unknown): void {
    const err = thrown instanceof Error ? thrown : new Error(describeThrown(thrown).message)
    const what = call.corr === Task.SOCKET ? call.method : `a ${call.method}`
    calls.run(call, () => this.logger.error({ err }, `${what} of ${this.workerName} failed: ${err.message}`))
  }
}
