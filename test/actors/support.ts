/** Real actors from worker files that a test writes, and calls to them that look like calls. */
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { Actor } from '#offstage/actors/actor.js'
import type { ActorOptions } from '#offstage/actors/actor-options.js'
import { type Clock, systemClock } from '#offstage/actors/clock.js'
import type { ReplySink } from '#offstage/actors/reply.js'
import { decodeValue, encodeValue } from '#offstage/wire/codec.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '#offstage/wire/envelope.js'
import { decodeFailure } from '#offstage/wire/failure.js'

/** Hosts that can be ended whatever their worker does. */
export const SEPARATE_HOSTS = ['thread', 'process'] as const

/** The longest pause before a restart, in milliseconds. */
const LONGEST_PAUSE = 10_000

/** Real time, but restarts do not wait: the pauses that were asked for are kept. */
export function impatient(): { clock: Clock; pauses: number[] } {
  const pauses: number[] = []
  const clock: Clock = {
    now: () => performance.now(),
    after(ms, fn) {
      if (ms > LONGEST_PAUSE) return systemClock.after(ms, fn)
      pauses.push(ms)
      const timer = setImmediate(fn)
      return { cancel: () => clearImmediate(timer) }
    },
  }
  return { clock, pauses }
}

export interface Line {
  level: string
  fields: Record<string, unknown>
  message: string | undefined
}

export interface CallOptions {
  arg?: unknown
  jobKey?: string
  timeout?: number
  jobId?: number
  attempt?: number
}

/** What a test needs of `t`. */
interface Test {
  testdir(files: Record<string, string>): string
  teardown(fn: () => unknown): void
}

export function callBody(method: string, options: CallOptions = {}): Buffer {
  const head = envelope(Verb.CALL, 'w', '', method, options.jobKey ?? '')
  head.timeout = options.timeout ?? -1
  head.jobId = options.jobId ?? 0
  head.attempt = options.attempt ?? 0
  const arg = options.arg === undefined ? new Uint8Array(0) : encodeValue(options.arg)
  const body = Buffer.alloc(envelopeBound(head) + arg.length)
  const end = writeEnvelope(body, 0, head)
  body.set(arg, end)
  return body.subarray(0, end + arg.length)
}

/** A worker file's text around the body of its class. */
export function workerSource(classBody: string, before = ''): string {
  return `import { MetaWorker } from 'offstage/actors'\n${before}\nexport default class W extends MetaWorker {\n${classBody}\n}\n`
}

export class Rig {
  readonly actor: Actor
  readonly lines: Line[] = []
  readonly cache = new Map<string, unknown>()
  /** Cache changes, results and failures, in the order in which the supervisor hears of them. */
  readonly heard: string[] = []
  /** The answers to `persistentJob.finish()` and `release()`; true without an entry. */
  readonly settlements: { tag: number; how: string }[] = []
  current = true
  changes = 0
  readonly events = new EventEmitter()
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #lastTag = 0

  constructor(options: Partial<ActorOptions> & { file: string }) {
    this.events.setMaxListeners(0)
    this.actor = new Actor({
      workerKey: '',
      log: {
        debug: (fields, message) => this.#line('debug', fields, message),
        info: (fields, message) => this.#line('info', fields, message),
        warn: (fields, message) => this.#line('warn', fields, message),
        error: (fields, message) => this.#line('error', fields, message),
      },
      onCache: ({ key, value }) => {
        this.heard.push(`cache ${key}`)
        if (value === undefined) this.cache.delete(key)
        else this.cache.set(key, decodeValue(value))
        this.events.emit('heard')
      },
      onChange: () => {
        this.changes++
        this.events.emit('change')
      },
      ...options,
    })
  }

  readonly sink: ReplySink = {
    result: (tag, bytes, start, end) => {
      this.heard.push(`result ${tag}`)
      this.#take(tag).resolve(decodeValue(bytes, start, end))
    },
    failed: (tag, bytes, start, end) => {
      this.heard.push(`failed ${tag}`)
      this.#take(tag).reject(decodeFailure(bytes.subarray(start, end)))
    },
    settle: (tag, how, done) => {
      this.heard.push(`settle ${tag}`)
      this.settlements.push({ tag, how })
      done(this.current)
    },
  }

  /** For queued jobs. */
  readonly queue: ReplySink = { ...this.sink, queued: true }

  async run(mode: 'supervised' | 'once' = 'supervised'): Promise<this> {
    await this.actor.load()
    await this.actor.start(mode)
    return this
  }

  /** Sends a call; the promise is its outcome. */
  call(method: string, options: CallOptions = {}): Promise<unknown> {
    return this.cancelable(method, options).outcome
  }

  cancelable(method: string, options: CallOptions = {}): { outcome: Promise<unknown>; cancel(): void } {
    const tag = ++this.#lastTag
    let id = 0
    const outcome = new Promise((resolve, reject) => {
      this.#waiting.set(tag, { resolve, reject })
      const sink = options.jobId === undefined ? this.sink : this.queue
      id = this.actor.send(callBody(method, options), method, options.timeout ?? -1, sink, tag)
    })
    return { outcome, cancel: () => this.actor.cancel(id) }
  }

  /** The first log line, past or future, that fits. */
  async line(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      await once(this.events, 'line')
    }
  }

  /** Waits until this is so: looked at again whenever the supervisor hears of something. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) await once(this.events, 'heard')
  }

  /** Waits until the worker's state is this. */
  async state(wanted: string): Promise<void> {
    while (this.actor.info().state !== wanted) await once(this.events, 'change')
  }

  #line(level: string, fields: object, message: string | undefined): void {
    this.lines.push({ level, fields: fields as Record<string, unknown>, message })
    this.events.emit('line')
  }

  #take(tag: number): { resolve(value: unknown): void; reject(error: Error): void } {
    const waiting = this.#waiting.get(tag)
    if (waiting === undefined) throw new Error(`message ${tag} got a second answer`)
    this.#waiting.delete(tag)
    return waiting
  }
}

/** A worker from the text of its file, loaded and started, and stopped at the end of the test. */
export async function rig(t: Test, source: string, options: Partial<ActorOptions> = {}): Promise<Rig> {
  const made = loadable(t, source, options)
  return made.run()
}

export function loadable(t: Test, source: string, options: Partial<ActorOptions> = {}): Rig {
  const file = options.file ?? join(t.testdir({ 'w.mjs': source }), 'w.mjs')
  const made = new Rig({ ...options, file })
  t.teardown(() => made.actor.stop(0))
  return made
}
